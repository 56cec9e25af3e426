// The page of quality: how good the tags are, by what was drawn at random and read.
// Flow: read the choice from the address -> ask the API, each section for itself -> words, dots with intervals, tables.

import { ask, daysAround, details, draw, element, isoDay, link, longDay, make, many, table } from "./shared.js";

const FIRST = { by: "narrative", key: "" };
const HEADS = { narrative: "Narrative", asset: "Asset", outlet: "Outlet" };
const AT_ONCE = { outlet: 15, mixed: 8, few: 30 };
const view = { ...FIRST };
const forms = { by: element("choice"), key: element("which") };
const answers = new Map();
const shown = {};
let names = new Map();
let narratives = new Set();

// -- words -----------------------------------------------------------------------------------------------------------

const called = (key) => names.get(key) || key;
const within = (text) => (/^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text);
const listed = (keys) => keys.map((key) => within(called(key))).join(", ");
const two = (value) => value.toFixed(2).replace("-", "−");
const estimate = (value, low, high) => (value == null ? "not known" : low == null || high == null ? `${two(value)}, no interval` : `${two(value)} (${two(low)} to ${two(high)})`);
const quarter = (start) => `${start.slice(0, 4)} Q${Math.ceil(Number(start.slice(5, 7)) / 3)}`;

// -- the choice in the address -----------------------------------------------------------------------------------------

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(view)) view[name] = given.get(name) || FIRST[name];
  if (!(view.by in HEADS)) view.by = FIRST.by;
}

const address = (changes) => `#${new URLSearchParams(Object.entries({ ...view, ...changes }).filter(([, value]) => value))}`;

// -- sections ----------------------------------------------------------------------------------------------------------

// Asks once for each question; an error is not kept, so that the next look asks anew.
function asking(path, parameters) {
  const question = JSON.stringify([path, parameters]);
  if (!answers.has(question)) {
    const answer = ask(path, parameters);
    answers.set(question, answer);
    answer.catch(() => answers.delete(question));
  }
  return answers.get(question);
}

// Fills a section for itself, where its question is not the one whose answer it shows: show gives nodes for its sentence
// and for what stands below. What else the section depends on is `chosen`.
async function fill(part, path, parameters, show, chosen = "") {
  const question = JSON.stringify([path, parameters, chosen]);
  if (shown[part] === question) return;
  shown[part] = question;
  const section = element(part);
  section.setAttribute("aria-busy", "true");
  let told;
  try {
    const answer = await asking(path, parameters);
    if (shown[part] !== question) return;
    told = show(answer);
  } catch (error) {
    if (shown[part] !== question) return;
    delete shown[part];
    told = { said: [error.message] };
  }
  element(part === "top" ? "top-verdict" : `${part}-said`).replaceChildren(...told.said);
  element(`${part}-told`).replaceChildren(...(told.below || []));
  section.setAttribute("aria-busy", "false");
}

const toReview = (text, where = "") => link(`/review${where}`, text);

// -- at the top --------------------------------------------------------------------------------------------------------

function showTop({ data, meta }) {
  if (!meta.n) {
    const drawn = meta.n_drawn ? `${meta.n_drawn.toLocaleString("en")} stories are drawn at random and wait to be read.` : "Half of what Review shows is drawn at random.";
    return {
      said: ["How good the tags are is not known: nothing was read at random yet."],
      below: [make("p", "told", `All numbers on the other pages are as ${meta.tagger} tagged them. ${drawn} Read them in `, toReview("Review"),
        `; a narrative is told of from the first on, and corrected from ${meta.needed} that carry it.`)],
    };
  }
  const words = [
    ["Known well enough to correct their shares:", data.filter((row) => !row.thin), (row) => within(called(row.key))],
    ["Below its floor of precision:", data.filter((row) => row.below_floor), (row) => `${within(called(row.key))} (${two(row.precision)}, floor ${two(row.floor)}${unsure(row)})`],
    ["Not known well enough, so as tagged:", data.filter((row) => row.thin), (row) => `${within(called(row.key))} (${row.n_positive} of ${meta.needed} random finds)`],
  ].filter(([, rows]) => rows.length);
  const all = meta.n === meta.n_drawn ? `All ${many(meta.n, "story", "stories")}` : `${meta.n.toLocaleString("en")} of ${many(meta.n_drawn, "story", "stories")}`;
  return {
    said: [`${all} drawn at random ${meta.n === 1 ? "was" : "were"} read, of ${meta.n_stories.toLocaleString("en")} that ${meta.tagger} has tagged.`],
    below: [
      make("dl", "known", ...words.flatMap(([says, rows, word]) => [make("dt", "", says), make("dd", "", rows.map(word).join(", "))])),
      ...(meta.n < meta.n_drawn ? [make("p", "caveat", "The rest waits in ", toReview("Review: drawn at random", "#slice=audit"), ".")] : []),
    ],
  };
}

// -- dots with intervals ------------------------------------------------------------------------------------------------

const placed = (number, from) => `${(100 * (number - from)) / (1 - from)}%`;
const marksOf = (from) => (from < 0 ? [from, 0, 1] : [0, 0.5, 1]);

// A dot on a line from `from` to 1, with its interval; ticks: values that are asked for. What it says stands beside it.
function track([value, low, high], { ticks = [], from = 0 } = {}) {
  const place = (number) => placed(number, from);
  const svg = draw("svg", "track", { "aria-hidden": "true", height: 22 });
  const upright = (className, at, y1, y2) => draw("line", className, { x1: place(at), x2: place(at), y1, y2 });
  for (const at of marksOf(from)) svg.append(upright("grid", at, 0, 22));
  svg.append(draw("line", "grid", { x1: "0%", x2: "100%", y1: 11, y2: 11 }));
  for (const at of ticks) svg.append(upright("floor", at, 2, 20));
  if (low != null && high != null) svg.append(draw("line", "interval", { x1: place(low), x2: place(high), y1: 11, y2: 11 }));
  if (value != null) svg.append(draw("circle", "dot", { cx: place(value), cy: 11, r: 5 }));
  return svg;
}

// One row: its name, notes in words, and a track with its numbers for each measure.
// Of how many it is an estimate: a share of one find says next to nothing, and says so.
const countOf = ({ of, thin }) => (of == null ? [] : [make("small", "", `n ${of}${thin ? ", too thin" : ""}`)]);

function dots({ name, notes = [], measures, faded, more = [] }) {
  const said = make("div", "name", name, ...notes.map((note) => make("small", note.strong ? "strong" : "", note.text)));
  return make("li", faded ? "faded" : "", said, ...measures.map(([what, values, options]) =>
    make("div", "measure", make("span", "what", `${what} `), track(values, options), make("span", "value", estimate(...values), ...countOf(options || {})))), ...more);
}

function dotList(heads, rows, from = 0) {
  const axis = () => make("span", "axis", ...marksOf(from).map((at) => {
    const mark = make("span", "", String(at).replace("-", "−"));
    mark.style.left = placed(at, from);
    return mark;
  }));
  const head = make("li", "heads", make("div", "name", heads[0]), ...heads.slice(1).map((text) => make("div", "measure", make("span", "column", text), axis())));
  head.setAttribute("aria-hidden", "true");
  return make("ul", `dots of-${heads.length - 1}`, head, ...rows.map(dots));
}

const unsure = (row) => (row.precision_high >= row.floor ? ", not surely" : "");
const ticksOf = (row) => (row.floor == null ? [] : [row.floor]);

function notesOf(row, needed) {
  return [
    ...(row.below_floor ? [{ text: `below its floor of ${two(row.floor)}${unsure(row)}`, strong: true }] : []),
    { text: row.thin ? `thin: ${row.n_positive} of ${needed} random finds` : `${row.n_positive} random finds` },
  ];
}

const measuresOf = (row, needed) => [
  ["precision", [row.precision, row.precision_low, row.precision_high], { ticks: ticksOf(row), of: row.n_labelled, thin: row.n_labelled < needed }],
  ["recall", [row.recall, row.recall_low, row.recall_high], { of: row.n_positive, thin: row.n_positive < needed }],
];

function numbers(caption, head, rows, name) {
  const way = view.by === "asset" ? "Tone right" : "Direction right";
  return details("", "The numbers", table(caption, [head, "Read", "Labelled", "Carry it", "Precision", "Floor", "Recall", way],
    rows.map((row) => [name(row), String(row.n), String(row.n_labelled), String(row.n_positive),
      `${estimate(row.precision, row.precision_low, row.precision_high)}, n ${row.n_labelled}`, row.floor == null ? "–" : `${two(row.floor)}${row.below_floor ? ", it is below" : ""}`,
      `${estimate(row.recall, row.recall_low, row.recall_high)}, n ${row.n_positive}${row.thin ? ", thin" : ""}`,
      row.n_right ? `${estimate(row.right_way, row.right_way_low, row.right_way_high)}, n ${row.n_right}` : "not known"])));
}

const nothingRead = () => ["Nothing was read at random yet. ", toReview("Review"), " shows what was drawn."];

// -- precision and recall ----------------------------------------------------------------------------------------------

const COUNTS = { narrative: "", asset: " An asset is labelled where the tagger names it; its floor is not asked.", outlet: " By outlet all narratives are taken together, so a story counts once for each." };

function showFound({ data, meta }) {
  if (!meta.n) return { said: nothingRead() };
  if (!data.length) return { said: [`Nothing of what was read names ${view.by === "asset" ? "an asset" : `an ${view.by}`}.`] };
  const rows = view.by === "outlet" ? [...data].sort((a, b) => b.n - a.n) : data;
  const row = (one) => {
    const name = link(address({ key: one.key }), called(one.key));
    name.addEventListener("click", () => element("time-title").focus());
    return { name, notes: notesOf(one, meta.needed), measures: measuresOf(one, meta.needed), faded: one.thin };
  };
  const heads = [HEADS[view.by], "Precision", "Recall"];
  const first = AT_ONCE[view.by] || rows.length;
  const below = data.filter((one) => one.below_floor);
  const floors = view.by !== "narrative" ? "" : below.length ? ` Below ${below.length === 1 ? "its floor" : "their floors"}: ${listed(below.map((one) => one.key))}.` : " None is below its floor, as far as is known.";
  const csv = link(`/v1/quality?by=${view.by}&format=csv`, "As CSV");
  return {
    said: [`${many(meta.n, "story", "stories")} read at random. Dots are estimates, lines 90 % intervals${view.by === "narrative" ? ", the upright tick is the precision asked of a narrative, its floor" : ""}. A name leads to its quarters.${COUNTS[view.by]}${floors}`],
    below: [
      dotList(heads, rows.slice(0, first).map(row)),
      ...(rows.length > first ? [details("", `${rows.length - first} more with fewer stories`, dotList(heads, rows.slice(first).map(row)))] : []),
      numbers(`Precision and recall by ${view.by}`, HEADS[view.by], rows, (one) => called(one.key)),
      make("p", "caveat", csv, "."),
    ],
  };
}

function showTime({ data, meta }) {
  const keys = [...new Set(data.map((row) => row.key))];
  const total = (key) => data.reduce((sum, row) => sum + (row.key === key ? row.n_positive : 0), 0);
  const key = view.key || keys.reduce((best, one) => (best && total(best) >= total(one) ? best : one), "");
  forms.key.hidden = !keys.length;
  forms.key.key.replaceChildren(...[...new Set([...keys, ...(key ? [key] : [])])].map((one) => new Option(called(one), one)));
  forms.key.key.value = key;
  if (!meta.n) return { said: nothingRead() };
  const rows = data.filter((row) => row.key === key);
  if (!rows.length) return { said: [`Nothing was read at random of “${called(key)}”.`] };
  return {
    said: [`${called(key)}, the oldest quarter first. A quarter holds few stories: where intervals overlap, no change can be told.`],
    below: [
      dotList(["Quarter", "Precision", "Recall"], rows.map((row) => ({
        name: make("b", "", quarter(row.bucket_start)), notes: [{ text: `n ${row.n}, ${row.n_positive} random finds${row.thin ? ", thin" : ""}` }],
        measures: measuresOf(row, meta.needed), faded: row.thin,
      }))),
      numbers(`Precision and recall of ${called(key)} by quarter`, "Quarter", rows, (row) => quarter(row.bucket_start)),
    ],
  };
}

// -- calibration -------------------------------------------------------------------------------------------------------

const SMALL = 0.05;
const bin = (row) => `${two(row.low_score)} to ${two(row.high_score)}`;

function square(rows) {
  const svg = draw("svg", "square", { viewBox: "-4 -4 108 108", "aria-hidden": "true" });
  for (const at of [0, 50, 100]) svg.append(draw("line", "grid", { x1: at, x2: at, y1: 0, y2: 100 }), draw("line", "grid", { x1: 0, x2: 100, y1: at, y2: at }));
  svg.append(draw("line", "diagonal", { x1: 0, y1: 100, x2: 100, y2: 0 }));
  const most = Math.max(...rows.map((row) => row.n));
  for (const row of rows) {
    const x = 100 * row.told;
    const group = draw("g", row.n < AT_ONCE.few ? "faded" : "", {});
    const says = draw("title", "", {});
    says.textContent = `told ${two(row.told)}, so ${estimate(row.holds, row.low, row.high)}, n ${row.n}`;
    group.append(says);
    if (row.low != null && row.high != null) group.append(draw("line", "interval", { x1: x, x2: x, y1: 100 * (1 - row.low), y2: 100 * (1 - row.high) }));
    if (row.holds != null) group.append(draw("circle", "dot", { cx: x, cy: 100 * (1 - row.holds), r: 1.6 + 2.4 * Math.sqrt(row.n / most) }));
    svg.append(group);
  }
  return svg;
}

// What a curve says: the bin that is off by most, for most stories, of those whose interval leaves out what was told.
function sureness(rows) {
  const far = (row) => Math.abs(row.told - row.holds);
  const off = rows.filter((row) => row.low != null && row.high != null && (row.told < row.low || row.told > row.high) && far(row) >= SMALL)
    .sort((a, b) => b.n * far(b) - a.n * far(a))[0];
  if (!off) return `Nowhere surely off by ${SMALL} or more.`;
  return `${off.told > off.high ? "Too sure" : "Not sure enough"} at ${bin(off)}: so are ${estimate(off.holds, off.low, off.high)}, n ${off.n}.`;
}

function showScores({ data }) {
  if (!data.length) return { said: nothingRead() };
  const curves = [...new Set(data.map((row) => row.narrative))].map((key) => [key, data.filter((row) => row.narrative === key)]);
  const told = curves.filter(([, rows]) => rows.some((row) => row.told >= 0.02));
  const silent = curves.filter(([, rows]) => !rows.some((row) => row.told >= 0.02)).map(([key]) => key);
  const figure = ([key, rows]) => make("figure", "", make("h3", "", called(key)), make("p", "told", sureness(rows)),
    make("div", "plane", make("span", "up", "is so"), square(rows), make("span", "along", "score told, 0 to 1")),
    details("", "The numbers", table(`Scores of ${called(key)} against what is so`, ["Score", "n", "Mean told", "Is so, 90 %"],
      rows.map((row) => [bin(row), String(row.n), two(row.told), estimate(row.holds, row.low, row.high)]))));
  return {
    said: [`On the dashed line a score of 0.7 is so 7 times in 10; above it the tagger is not sure enough, below it too sure. Larger dots hold more stories, those with fewer than ${AT_ONCE.few} are faded.${silent.length ? ` Of no score above 0.02 was anything read: ${listed(silent)}.` : ""}`],
    below: [make("div", "multiples", ...told.map(figure))],
  };
}

// -- confusions --------------------------------------------------------------------------------------------------------

// "safe_haven building" -> its name and the way; liquidity's has words of its own.
function parted(text) {
  const place = text.lastIndexOf(" ");
  const [key, way] = [text.slice(0, place), text.slice(place + 1)];
  return [called(key), (key === "liquidity" && { building: "easing", fading: "tightening" }[way]) || way];
}

function confusionWords({ kind, said, truth }) {
  if (kind === "wrong") return `${called(said)} told, but not there`;
  if (kind === "missed") return `${called(truth)} missed`;
  if (kind === "other") return `${called(said)} told for ${within(called(truth))}`;
  const [name, told] = parted(said);
  return `${name}: ${kind === "tone" ? "tone " : ""}told ${told}, is ${parted(truth)[1]}`;
}

function articleLinks(articles, narrative = "*") {
  return make("ul", "stories", ...articles.map((article) => {
    const day = isoDay(article.event_at);
    return make("li", "", toReview(article.title || "Taken down", `#article=${article.id}`), make("span", "", `${article.outlet}, `, link(`${daysAround(day)}&narrative=${encodeURIComponent(narrative)}`, longDay(day))));
  }));
}

function confusion(row) {
  const narrative = narratives.has(row.truth) ? row.truth : "*";
  const drawn = row.n_audited === row.n ? (row.n > 1 ? "all " : "") : `${row.n_audited || "none"} of them `;
  const rest = row.n > row.examples.length ? [make("p", "when", `The newest ${row.examples.length} are shown.`)] : [];
  return make("li", "", make("h3", "", confusionWords(row)),
    details("", `${many(row.n, "text", "texts")}, ${drawn}drawn at random`, articleLinks(row.examples, narrative), ...rest));
}

function showMixed({ data, meta }) {
  if (!meta.n) return { said: ["Nothing was reviewed yet. ", toReview("Review"), " shows what waits."] };
  if (!data.length) return { said: [`Nowhere, in ${many(meta.n, "text", "texts")} that were reviewed.`] };
  const items = data.map(confusion);
  const cards = (some) => make("ol", "cards two", ...some);
  return {
    said: [`In ${many(meta.n, "text", "texts")} that were reviewed, the most frequent first. Doubtful texts are reviewed more often than others: these counts are no rates.`],
    below: [cards(items.slice(0, AT_ONCE.mixed)), ...(items.length > AT_ONCE.mixed ? [details("", `${items.length - AT_ONCE.mixed} less frequent`, cards(items.slice(AT_ONCE.mixed)))] : [])],
  };
}

// -- agreement ---------------------------------------------------------------------------------------------------------

const ABOUT = { narrative: "Whether a narrative holds", direction: "Its direction", asset: "Whether an asset is named", tone: "Its tone" };
const GOOD = 0.8;
const USABLE = 0.667;

// Where they never differed, its interval says nothing.
const alpha = (row) => (row.agreed === 1 ? [row.alpha, null, null] : [row.alpha, row.low, row.high]);

function agreementWords(row) {
  const [value, low, high] = alpha(row);
  if (value == null) return "all said the same of everything: by chance they would as well";
  if (row.agreed === 1) return "they never differed";
  if (value < USABLE && high >= USABLE) return "too few texts to tell whether they agree enough";
  if (value < USABLE) return value > 0 && low > 0 ? "they agree little: the definition may be unclear" : "hardly better than chance: the definition may be unclear";
  return `${value >= GOOD ? "they agree well" : "they agree enough for a first conclusion"}${low < USABLE ? ", but perhaps less" : ""}`;
}

function showAgreed({ data, meta }) {
  if (!data.length) {
    return {
      said: ["Not known: no text was read by two. Somebody else opens ", toReview("Review: second reading", "#slice=second"),
        " and reads what was read before, without seeing what was said. What two then say of one text is compared here."],
    };
  }
  const lowest = Math.min(0, ...data.flatMap((row) => [row.low, row.alpha]).filter((value) => value != null));
  const from = lowest < -0.5 ? -1 : lowest < 0 ? -0.5 : 0;
  const row = (one, _, rows) => ({
    name: make("b", "", one.key === "all" ? "All together" : called(one.key)),
    notes: [{ text: agreementWords(one), strong: one.alpha != null && one.high < USABLE }, { text: `n ${one.n}${one.key === "all" ? " labels" : " texts"}${one.agreed == null ? "" : `, the same of ${Math.round(100 * one.agreed)} %`}` }],
    measures: [["α", alpha(one), { ticks: [USABLE, GOOD], from }]],
    faded: one.n < AT_ONCE.few,
    more: one.disputed.length && (one.key !== "all" || rows.length === 1) ? [details("", many(one.disputed.length, "text they differ on", "texts they differ on"), articleLinks(one.disputed))] : [],
  });
  const parts = Object.entries(ABOUT).map(([of, says]) => [says, data.filter((one) => one.of === of)]).filter(([, rows]) => rows.length);
  return {
    said: [`${many(meta.n, "text was", "texts were")} read by two or more of ${meta.reviewers.join(", ")}, the later ones blind. α (Krippendorff’s) is 1 where they agree, 0 where they agree as chance would. Ticks: 0.67, from which it can be used with doubt, and 0.80, from which it is good. Fewer than ${AT_ONCE.few} texts are faded.`],
    below: [...parts.map(([says, rows]) => make("section", "", make("h3", "", says), dotList(["Of what", "α"], rows.map(row), from))),
      details("", "The numbers", table("Agreement of reviewers", ["What", "Of", "α, 90 %", "n", "Reviewers", "All the same"],
        parts.flatMap(([says, rows]) => rows.map((one) => [says, one.key === "all" ? "all together" : called(one.key), estimate(...alpha(one)), String(one.n), String(one.n_reviewers), one.agreed == null ? "not known" : two(one.agreed)]))))],
  };
}

// -- hearing -----------------------------------------------------------------------------------------------------------

function show() {
  forms.by.by.value = view.by;
  const by = view.by === FIRST.by ? "" : view.by;
  fill("top", "quality", {}, showTop);
  fill("found", "quality", by ? { by } : {}, showFound);
  fill("time", "quality", { by, bucket: "quarter" }, showTime, view.key);
  fill("scores", "quality/calibration", {}, showScores);
  fill("mixed", "quality/confusions", {}, showMixed);
  fill("agreed", "quality/agreement", {}, showAgreed);
}

forms.by.addEventListener("change", () => { location.hash = address({ by: forms.by.by.value, key: "" }); });
forms.key.addEventListener("change", () => { location.hash = address({ key: forms.key.key.value }); });
for (const form of Object.values(forms)) form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", () => {
  readAddress();
  show();
});

// Where names cannot be had, keys stand for them.
async function begin() {
  readAddress();
  const [found, assets] = await Promise.all([ask("narratives"), ask("assets")].map((one) => one.catch(() => ({ data: [] }))));
  narratives = new Set(found.data.map(({ narrative }) => narrative));
  names = new Map([...found.data.map(({ narrative, name }) => [narrative, name]), ...assets.data.map(({ asset, name }) => [asset, name])]);
  show();
}

begin();
