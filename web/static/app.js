// The page: one chart over one time axis (prices, θ, narratives), and the articles behind the chosen bucket.
// Flow: read the view from the address -> ask the API -> draw -> a click or an arrow key chooses a bucket -> list articles.
// Below the chart stand the panels of panels.js. All text from feeds is set as text, never as markup.

import { tellMoved, tellShifts, tellTriggers } from "./panels.js";
import { ASSETS, DAY, ask, auditWords, colour, cut, details, element, faded, isoDay, link, longDay, make, many, percent } from "./shared.js";

const chart = element("chart");
const form = element("controls");
const view = { start: "", end: "", bucket: "", at: "", narrative: "", asset: "", story: "", prior: "" };
const LOOK_AGAIN = 15000;
const NAMED_SOURCES = 8;
let narratives = [];
const shown = {};
let shifts = [];
let known = {};
let young = false;
let asked = 0;
let listed = 0;
let detected = [];
let panelsOf = "";
let below = new Set();

// -- words -----------------------------------------------------------------------------------------------------------

function bucketEnd(start) {
  const end = new Date(start);
  if (view.bucket === "month") end.setUTCMonth(end.getUTCMonth() + 1);
  else end.setUTCDate(end.getUTCDate() + (view.bucket === "week" ? 7 : 1));
  return end.toISOString();
}

function spoken(start) {
  const day = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "long", year: "numeric" });
  if (view.bucket === "month") {
    return new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", month: "long", year: "numeric" }).format(new Date(start));
  }
  return (view.bucket === "week" ? "the week of " : "") + day.format(new Date(start));
}

// -- the view in the address -----------------------------------------------------------------------------------------

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(view)) view[name] = given.get(name) || "";
}

function writeAddress() {
  history.replaceState(null, "", address({}));
}

// The address of this view with something else in it.
function address(changes) {
  return `#${new URLSearchParams(Object.entries({ ...view, ...changes }).filter(([, value]) => value))}`;
}

// The day of an instant, in the range shown or else in one around it.
function around(instant) {
  const time = Date.parse(instant);
  const inside = Date.parse(view.start) <= time && time < Date.parse(view.end);
  const range = inside ? { at: bucketOf(instant) } : { start: isoDay(time - 92 * DAY), end: isoDay(time + 92 * DAY), bucket: "day", at: `${isoDay(time)}T00:00:00Z` };
  return address({ ...range, story: "" });
}

function suitedBucket(days) {
  return days <= 130 ? "day" : days <= 1200 ? "week" : "month";
}

// -- drawing ---------------------------------------------------------------------------------------------------------

async function show() {
  const turn = ++asked;
  writeAddress();
  form.start.value = view.start;
  form.end.value = view.end;
  form.bucket.value = view.bucket;
  chart.classList.add("loading");
  const range = { start: view.start, end: view.end };
  const series = { ...range, bucket: view.bucket };
  try {
    const [shift, intensity, ...prices] = await Promise.all([
      ask("shift", { ...series, prior_rates: view.prior && "true" }), ask("intensity", series), ...Object.keys(ASSETS).map((asset) => ask(`prices/${asset}`, range)),
    ]);
    if (turn !== asked) return;
    shifts = shift.data;
    young = isYoung(shift.meta);
    tellMessage("");
    tellVerdict(shift);
    tellPanels(shift);
    tellAudit(shift.meta.audit || [], intensity.meta.audit || []);
    draw(shifts, intensity.data, prices);
    choose(view.at || shifts.findLast((point) => point.n_stories)?.bucket_start, false, view.story);
    if (view.story) listStory();
  } catch (error) {
    if (turn === asked) tellMessage(error.message);
  } finally {
    if (turn === asked) chart.classList.remove("loading");
  }
}

// The panels tell what was known where the range ends, or now if that is later; asked again only when that changes.
async function tellPanels(shift) {
  const [end, now] = [Date.parse(view.end), Date.parse(shift.meta.as_of)];
  const page = { narratives, address, around, prior: view.prior, young, asked: end < now ? new Date(end).toISOString() : "" };
  const told = shift.data.some((point) => point.index != null);
  const question = [page.asked, view.prior, told && view.end, known.articles, known.untagged].join();
  if (question === panelsOf) return;
  panelsOf = question;
  tellMoved({ ...page, end: told && Math.min(end, Math.ceil(now / DAY) * DAY) });
  tellTriggers(page);
  const found = await tellShifts(page);
  if (!found) return;
  detected = found;
  if (chart.layout) Plotly.relayout(chart, { shapes: [...chart.layout.shapes.filter((shape) => shape.name !== "shift"), ...marks()] });
}

function draw(points, intensities, prices) {
  const narrow = chart.clientWidth < 640;
  const x = points.map((point) => point.bucket_start);
  const traces = [
    ...priceTraces(prices), ...thetaTraces(points, x), ...narrativeTraces(intensities),
  ];
  const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line"), fixedrange: true };
  const title = (text) => ({ text, font: { size: 12, color: colour("soft") }, standoff: 6 });
  const layout = {
    height: narrow ? 560 : 690,
    margin: { l: narrow ? 44 : 58, r: narrow ? 10 : 18, t: 14, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: colour("ink") },
    hovermode: "x", hoverlabel: { namelength: -1 }, dragmode: false, clickmode: "event",
    showlegend: false,
    xaxis: { ...axis, anchor: "y3", range: [view.start, view.end], showspikes: true, spikemode: "across", spikethickness: 1, spikedash: "dot", spikecolor: colour("soft"), hoverformat: "%a %d %b %Y" },
    yaxis: { ...axis, domain: [0.66, 1], type: "log", title: title("price, start = 100"), tickvals: PRICE_TICKS, tickformat: ",d" },
    yaxis2: { ...axis, domain: [0.35, 0.62], range: [0, 1], tickvals: [0, 0.5, 1], title: title("θ") },
    yaxis3: { ...axis, domain: [0, 0.31], tickformat: ".0%", title: title("share of stories"), ...shareRange(points) },
    shapes: [...stateShapes(points), half(), ...marks()],
    annotations: [
      ...(narrow ? [] : [note("devaluation ↑", 0.97), note("panic ↓", 0.03)]),
      ...(prices.some((answer) => answer.data.length) ? [] : [absent("no prices in this range yet", 0.83)]),
      ...(points.some((point) => point.index != null) ? [] : [absent("no θ in this range", 0.55)]),
      ...(points.some((point) => point.n_stories) ? [] : [absent("no stories in this range yet", 0.15)]),
    ],
  };
  for (const trace of traces) if (trace.name in shown) trace.visible = shown[trace.name];
  Plotly.react(chart, traces, layout, { displayModeBar: false, responsive: true });
  drawLegend(traces);
  if (!chart.dataset.heard) {
    chart.dataset.heard = "yes";
    chart.on("plotly_click", (event) => choose(bucketOf(event.points[0].x), true));
  }
}

const BELOW = "below its floor";

// How far shares and θ are corrected by the random audit; whose tags are right too rarely is marked in the legend.
function tellAudit(ofTheta, ofShares) {
  const parts = [["Shares", ofShares], ["θ", ofTheta]].filter(([, audit]) => audit.length);
  below = new Set(ofShares.filter((one) => one.below_floor).map((one) => nameOf(one.key)));
  element("audit").hidden = !parts.length;
  element("audit").replaceChildren(
    ...parts.map(([what, audit]) => make("p", "", make("b", "", what), ` ${auditWords(audit, (key) => nameOf(key).replace(/^[A-Z](?=[a-z])/, (first) => first.toLowerCase()))}`)),
    details("", "What the audit says of each",
      ...parts.map(([what, audit]) => make("div", "", make("h3", "", what === "θ" ? "θ, by the labels that it counts" : what), make("ul", "", ...audit.map((one) => make("li", "", one.sentence))))),
      make("p", "", link("/quality", "How good the tags are"), ".")));
}

const PRICE_TICKS = [1, 2, 5, 10, 20, 30, 50, 70, 100, 140, 200, 300, 500, 700, 1000, 2000, 5000, 10000, 30000, 100000];

// Buttons, so that the keyboard and a thumb can show and hide each line.
function drawLegend(traces) {
  const buttons = traces.map((trace, place) => {
    if (!trace.name) return null;
    const button = document.createElement("button");
    button.type = "button";
    const swatch = document.createElement("i");
    swatch.style.background = trace.line.color;
    button.append(swatch, trace.name, ...(below.has(trace.name) ? [make("small", "", BELOW)] : []));
    button.setAttribute("aria-pressed", String(trace.visible !== false));
    button.addEventListener("click", () => {
      shown[trace.name] = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown[trace.name]));
      Plotly.restyle(chart, { visible: shown[trace.name] }, [place]);
    });
    return button;
  });
  element("legend").replaceChildren(...buttons.filter(Boolean));
}

// A line where each shift was detected, in the colour of the state it turned to.
function marks() {
  return detected.map((event) => ({
    name: "shift", type: "line", xref: "x", yref: "y2 domain", x0: event.detected_at, x1: event.detected_at, y0: 0, y1: 1,
    line: { color: colour(event.state in STATES ? event.state : "calm"), width: 2, dash: "dash" },
  }));
}

function note(text, y) {
  return { text, xref: "paper", x: 1, xanchor: "right", yref: "y2", y, showarrow: false, font: { size: 11, color: colour("soft") } };
}

function absent(text, y) {
  return { text, xref: "paper", x: 0.5, yref: "paper", y, showarrow: false, font: { size: 13, color: colour("soft") } };
}

const shareRange = (points) => (points.some((point) => point.n_stories) ? { rangemode: "tozero" } : { range: [0, 0.1] });

function half() {
  return { type: "line", xref: "paper", x0: 0, x1: 1, yref: "y2", y0: 0.5, y1: 0.5, line: { color: colour("soft"), width: 1, dash: "dot" } };
}

function priceTraces(prices) {
  const hues = { BTC: "#e8871e", XAU: "#b8961f", XAG: "#7d8fa3" };
  return prices.filter((answer) => answer.data.length).map((answer) => {
    const asset = answer.meta.asset;
    const base = answer.data.find((bar) => bar.close > 0)?.close;
    const bars = withHoles(answer.data);
    return {
      name: ASSETS[asset], type: "scatter", mode: "lines", yaxis: "y", connectgaps: false,
      x: bars.map((bar) => bar.closed_at), y: bars.map((bar) => (bar.close > 0 ? (100 * bar.close) / base : null)),
      customdata: bars.map((bar) => bar.close),
      line: { color: hues[asset], width: asset === "BTC" ? 2.2 : 1.6 },
      hovertemplate: `%{customdata:,.2f} ${answer.meta.unit}`,
    };
  });
}

// A bar without a close wherever two lie more than a week apart, so that no line is drawn over what is missing.
function withHoles(bars) {
  return bars.flatMap((bar, place) => {
    const before = bars[place - 1];
    return before && Date.parse(bar.closed_at) - Date.parse(before.closed_at) > 7 * DAY
      ? [{ closed_at: before.closed_at, close: null }, bar] : [bar];
  });
}

function thetaTraces(points, x) {
  const ink = colour("ink");
  const band = { type: "scatter", mode: "lines", yaxis: "y2", line: { width: 0 }, hoverinfo: "skip", showlegend: false, x };
  return [
    { ...band, y: points.map((point) => point.low) },
    { ...band, y: points.map((point) => point.high), fill: "tonexty", fillcolor: faded(colour("calm"), 0.25) },
    {
      name: "θ", type: "scatter", mode: "lines+markers", yaxis: "y2", x, y: points.map((point) => point.index),
      line: { color: ink, width: 1.8 },
      marker: { size: points.length > 250 ? 3 : 5, color: points.map((point) => colour(point.state in STATES ? point.state : "calm")) },
      customdata: points.map(thetaText), hovertemplate: "%{customdata}",
    },
    {
      name: "θ without liquidity", type: "scatter", mode: "lines", yaxis: "y2", x,
      y: points.map((point) => point.index_without_liquidity),
      line: { color: colour("soft"), width: 1.2, dash: "dot" }, hovertemplate: "%{y:.2f}", visible: false,
    },
  ];
}

const STATES = { calm: 0, panic: 1, transition: 1, devaluation: 1 };

function thetaText(point) {
  if (point.index == null) return point.state.replace("_", " ");
  return `${point.index.toFixed(2)} (${point.low.toFixed(2)} to ${point.high.toFixed(2)}) ${point.state}, ${asTagged(point.index_as_tagged, (index) => index.toFixed(2))}` +
    `${point.n_stories} stories${point.thin ? ", thin" : ""}${point.open ? ", open" : ""}`;
}

// Before the audit's correction; nothing where there is none.
const asTagged = (value, word) => (value == null ? "" : `as tagged ${word(value)}, `);

const HUES = ["#c0392f", "#6b4fc4", "#2a8a7f", "#b3671b", "#5b7db1", "#a8577e", "#84783c", "#d08a1e", "#3f8fc0"];

function narrativeTraces(intensities) {
  return narratives.map((narrative, place) => {
    const own = telling(intensities.filter((point) => point.narrative === narrative.narrative));
    return {
      name: narrative.name, type: "scatter", mode: "lines", yaxis: "y3", line: { color: HUES[place % HUES.length], width: 1.6 },
      visible: narrative.core,
      x: own.map((point) => point.bucket_start), y: own.map((point) => point.intensity),
      customdata: own.map((point) => point.intensity == null ? "" :
        `${percent(point.intensity)} (${percent(point.low)} to ${percent(point.high)}), ${asTagged(point.as_tagged, percent)}${point.n_carrying} of ${point.n_stories}${below.has(narrative.name) ? `, ${BELOW}` : ""}`),
      hovertemplate: "%{customdata}",
    };
  });
}

// Without the few thin buckets (a Sunday's two stories), whose shares would be spikes; all, where most are thin.
function telling(points) {
  const kept = points.filter((point) => !point.thin || !point.n_stories);
  const thin = points.length - kept.length;
  return thin && thin < points.length / 2 ? kept : points;
}

// Bands of colour behind prices and θ, one for each run of days in the same state.
function stateShapes(points) {
  const runs = [];
  for (const point of points) {
    const last = runs.at(-1);
    if (last && last.state === point.state) last.end = bucketEnd(point.bucket_start);
    else runs.push({ state: point.state, start: point.bucket_start, end: bucketEnd(point.bucket_start) });
  }
  return runs.filter((run) => STATES[run.state]).map((run) => ({
    type: "rect", layer: "below", xref: "x", yref: "paper", x0: run.start, x1: run.end, y0: 0.35, y1: 1,
    fillcolor: faded(colour(run.state), 0.16), line: { width: 0 },
  }));
}

function tellVerdict(shift) {
  const told = shift.data.filter((point) => point.index != null).at(-1);
  const verdict = element("verdict");
  element("prior").hidden = Boolean(told) && !shift.meta.prior_rates;
  element("prior").setAttribute("aria-pressed", String(Boolean(view.prior)));
  if (!told) {
    tellWarmingUp(shift);
    return;
  }
  const when = view.bucket === "day" ? `On ${spoken(told.bucket_start)}` : `In ${spoken(told.bucket_start)}`;
  if (told.thin && told.state === "calm") verdict.textContent = `${when} there were too few stories (${told.n_stories}) to tell calm from panic.`;
  else {
    const state = document.createElement("b");
    state.className = told.state;
    state.textContent = told.state;
    verdict.replaceChildren(`${when} the story was `, state, leaning(told));
  }
  element("caveat").textContent =
    `θ ${told.index.toFixed(2)} (90 % interval ${told.low.toFixed(2)} to ${told.high.toFixed(2)}), ${asTagged(told.index_as_tagged, (index) => index.toFixed(2))}` +
    `without liquidity ${told.index_without_liquidity.toFixed(2)}. Haven stories at ${told.panic.toFixed(1)} × their usual rate, ` +
    `devaluation stories at ${told.devaluation.toFixed(1)} ×. ${told.n_stories} stories${told.thin ? ", which is thin" : ""}; ` +
    `tags by ${shift.meta.tagger}.` + (told.baseline === "prior" ? ` Usual rates: ${shift.meta.prior_rates}, until the record has its own${readyWhen(shift)}.` : "");
}

const isYoung = (meta) => !meta.ready_on || Date.parse(meta.ready_on) > Date.parse(meta.as_of);
const readyWhen = (shift) => (shift.meta.ready_on ? ` (about ${longDay(shift.meta.ready_on)})` : "");

// The first days: what is being collected, how far the baseline is, and when θ will have something to say.
function tellWarmingUp(shift) {
  const stories = shift.data.reduce((sum, point) => sum + point.n_stories, 0);
  const progress = Math.max(0, ...shift.data.map((point) => point.progress));
  const ready = shift.meta.ready_on;
  element("prior").hidden = !stories;
  if (!ready) {
    element("verdict").textContent = known.articles ? "Reading the first articles …" : "No article is known yet.";
    element("caveat").textContent = "While “storyshift run” goes on, feeds are collected and tagged, and this page fills by itself. " +
      "An archive starts at once: “storyshift import news FILE”, then “storyshift tag”.";
  } else if (!stories) {
    element("verdict").textContent = "There are no tagged articles in this range.";
    element("caveat").textContent = "";
  } else if (isYoung(shift.meta)) {
    element("verdict").textContent = `Warming up: θ will speak from about ${longDay(ready)}.`;
    element("caveat").textContent =
      `It compares each narrative with its usual rate, which takes ${shift.meta.baseline_needs_days} days of news; ` +
      `${Math.round(progress * 100)} % are there. Shares of stories and the articles behind them are shown already.`;
  } else {
    element("verdict").textContent = "Warming up: in this range the record was too young for θ.";
    element("caveat").textContent = `It speaks from ${longDay(ready)} on.`;
  }
}

function leaning(point) {
  if (point.thin) return `; but ${point.n_stories} stories are too few to tell much.`;
  if (point.p_devaluation >= 0.9) return ", leaning clearly to devaluation.";
  if (point.p_devaluation <= 0.1) return ", leaning clearly to panic.";
  return "; between panic and devaluation it does not lean clearly.";
}

function tellMessage(text) {
  element("message").textContent = text;
  element("message").hidden = !text;
}

// -- choosing a bucket, and its articles -----------------------------------------------------------------------------

function bucketOf(x) {
  const time = Date.parse(/[zZ]|[+-]\d\d:\d\d$/.test(x) ? x : `${x.replace(" ", "T")}${x.length > 10 ? "Z" : ""}`);
  const before = shifts.filter((point) => Date.parse(point.bucket_start) <= time);
  return (before.at(-1) || shifts[0])?.bucket_start || "";
}

function choose(start, jump, story = "") {
  if (!start || !shifts.some((point) => point.bucket_start === start)) return;
  Object.assign(view, { at: start, story });
  writeAddress();
  const shapes = chart.layout.shapes.filter((shape) => shape.name !== "chosen");
  shapes.push({ name: "chosen", type: "line", xref: "x", yref: "paper", x0: start, x1: start, y0: 0, y1: 1, line: { color: colour("accent"), width: 2 } });
  Plotly.relayout(chart, { shapes });
  if (!story) {
    drawChips();
    list("");
  }
  if (jump && element("articles").getBoundingClientRect().top > innerHeight * 0.85) {
    element("articles").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }
}

function drawChips() {
  const chips = [{ narrative: "", name: "Core narratives" }, ...narratives, { narrative: "*", name: "All articles" }].map((narrative) => {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.textContent = narrative.name;
    chip.title = narrative.definition || "";
    chip.setAttribute("aria-pressed", String(view.narrative === narrative.narrative));
    chip.addEventListener("click", () => {
      view.narrative = narrative.narrative;
      writeAddress();
      drawChips();
      [...element("chips").children].find((other) => other.textContent === narrative.name)?.focus();
      list("");
    });
    return chip;
  });
  element("chips").replaceChildren(...chips, ...(view.asset ? [assetChip()] : []));
}

// Only what names an asset: so says an address from the page of evidence. Pressed again, it goes.
function assetChip() {
  const chip = document.createElement("button");
  chip.type = "button";
  chip.textContent = `naming ${ASSETS[view.asset] || view.asset} ✕`;
  chip.setAttribute("aria-pressed", "true");
  chip.addEventListener("click", () => {
    view.asset = "";
    writeAddress();
    drawChips();
    list("");
  });
  return chip;
}

function wanted() {
  if (view.narrative === "*") return [];
  return view.narrative ? [view.narrative] : narratives.filter((narrative) => narrative.core).map((narrative) => narrative.narrative);
}

async function list(cursor) {
  const turn = ++listed;
  const point = shifts.find((shift) => shift.bucket_start === view.at);
  element("articles-title").textContent = `Articles of ${spoken(view.at)}`;
  element("summary").textContent = point ? `θ ${thetaText(point)}` : "";
  try {
    const page = await ask("articles", { start: view.at, end: bucketEnd(view.at), narrative: wanted(), asset: view.asset, cursor, limit: 25 });
    if (turn !== listed) return;
    const items = page.data.map(articleItem);
    if (cursor) element("list").append(...items);
    else element("list").replaceChildren(...(items.length ? items : [emptyItem()]));
    element("more").hidden = !page.next_cursor;
    element("more").onclick = () => list(page.next_cursor);
  } catch (error) {
    if (turn === listed) element("summary").textContent = error.message;
  }
}

// The copies of one story, in place of the articles of a date.
async function listStory() {
  const turn = ++listed;
  const back = document.createElement("button");
  back.type = "button";
  back.textContent = view.at ? `← Articles of ${spoken(view.at)}` : "← Back";
  back.addEventListener("click", () => {
    view.story = "";
    writeAddress();
    if (view.at) choose(view.at, false);
    element("articles").focus();
  });
  element("chips").replaceChildren(back);
  element("more").hidden = true;
  element("articles-title").textContent = "One story";
  element("summary").textContent = "Looking for its articles …";
  element("list").replaceChildren();
  try {
    const story = await ask(`stories/${encodeURIComponent(view.story)}`);
    if (turn !== listed) return;
    element("summary").textContent = `${many(story.articles.length, "article", "articles")} of ${many(story.outlets, "outlet", "outlets")}; the first is of ${longDay(story.event_at)}.`;
    element("list").replaceChildren(...story.articles.map(articleItem));
  } catch (error) {
    if (turn === listed) element("summary").textContent = error.message;
  }
}

function emptyItem() {
  const item = document.createElement("li");
  item.textContent = view.narrative === "*" ? "No article is known of this date." :
    `No article of this date carries ${view.narrative ? "this narrative" : "a core narrative"}; “All articles” shows the others.`;
  return item;
}

function articleItem(article) {
  const title = make("h3", "", ...(article.removed_at ? [`Taken down on ${article.removed_at.slice(0, 10)}`] : []));
  const words = highlighted(article, "title");
  if (/^https?:\/\//i.test(article.url || "")) title.append(Object.assign(link(article.url, ...words), { target: "_blank", rel: "noopener noreferrer" }));
  else title.append(...words);
  const item = make("li", "", title);
  if (article.summary) item.append(make("p", "lead", ...highlighted(article, "summary", 420)));
  const part = (className, text, reviewed) => make("span", className, text, ...(reviewed ? [make("small", "reviewed", "reviewed")] : []));
  item.append(make("p", "about",
    part("", `${article.outlet}, ${article.event_at.replace("T23:59:59Z", "").slice(0, 16).replace("T", " ")}`),
    ...article.narratives.filter((tag) => tag.label).map((tag) => part("tag", tagText(tag), tag.reviewed)),
    ...article.narratives.filter((tag) => tag.reviewed && !tag.label && tag.score >= TOLD).map((tag) => part("", `not ${nameOf(tag.narrative)}`, true)),
    ...article.assets.map((mention) => part("", mention.asset, mention.reviewed)),
    ...(article.revisions > 1 ? [part("", `${article.revisions} versions`)] : []),
    ...(article.removed_at ? [] : [Object.assign(link(`/review#article=${article.id}`, "review"), { ariaLabel: `review ${article.title}` })])));
  return item;
}

const TOLD = 0.5; // a score above which the tagger told, or nearly told, what a reviewer says is not there
const nameOf = (key) => narratives.find(({ narrative }) => narrative === key)?.name || key;

function tagText(tag) {
  const way = { 1: " ↑", "-1": " ↓", 0: "" }[tag.direction];
  return `${nameOf(tag.narrative)}${way}${tag.modality ? ` (${tag.modality})` : ""}`;
}

// The text of a field as nodes, the evidence of narratives and the names of assets marked. Offsets are code points.
function highlighted(article, field, limit = Infinity) {
  const characters = Array.from(article[field]);
  const spans = [
    ...article.narratives.filter((tag) => tag.label).flatMap((tag) => tag.evidence.map((span) => ({ ...span, why: tagText(tag) }))),
    ...article.assets.flatMap((mention) => mention.spans.map((span) => ({ ...span, why: mention.asset, asset: true }))),
  ].filter((span) => span.field === field);
  const nodes = cut(characters.slice(0, limit).join(""), spans).map(({ text, over }) => {
    if (!over.length) return document.createTextNode(text);
    const mark = make("mark", over.every((span) => span.asset) ? "asset" : "", text);
    mark.title = over.map((span) => span.why).join(", ");
    return mark;
  });
  return characters.length > limit ? [...nodes, " …"] : nodes;
}

// -- sources -----------------------------------------------------------------------------------------------------------

// What is going on in the first minutes, from the feeds and the record.
function tellCollecting(feeds, record) {
  const visited = feeds.filter((feed) => feed.last_fetched_at);
  const next = Math.min(...feeds.map((feed) => Date.parse(feed.next_fetch_at)));
  const minutes = Math.max(0, Math.round((next - Date.now()) / 60000));
  const failing = feeds.filter((feed) => feed.last_error).length;
  element("collecting").hidden = !feeds.length;
  element("collecting").textContent = [
    visited.length < feeds.length ? `Collecting: ${visited.length} of ${feeds.length} feeds visited` : `${feeds.length} feeds collected${failing ? `, ${failing} of them failing (see Sources)` : ""}`,
    `${record.articles.toLocaleString("en")} articles so far${record.untagged ? `, ${record.untagged.toLocaleString("en")} still to be tagged` : ""}`,
    visited.length < feeds.length ? "" : minutes ? `next look in ${minutes} min` : "next look now",
  ].filter(Boolean).join("; ") + ".";
}

async function tellSources() {
  const [{ data: feeds }, { data: prices }] = await Promise.all([ask("feeds"), ask("prices")]);
  tellCollecting(feeds, known);
  const failing = feeds.filter((feed) => feed.last_error && !feed.retired_at);
  const waiting = feeds.filter((feed) => !feed.last_fetched_at).length;
  const silent = feeds.filter((feed) => feed.health === "silent").length;
  const stopped = prices.filter((series) => series.last_error);
  element("sources").hidden = !feeds.length && !prices.length;
  element("sources").querySelector("span").textContent = `Sources: ${[
    feeds.length ? `${feeds.length} feeds, ${failing.length} failing${silent ? `, ${silent} silent` : ""}${waiting ? `, ${waiting} not yet visited` : ""}` : "",
    prices.length ? `${prices.filter((series) => series.n).length} series of prices and macro values, ${stopped.length} failing` : "",
  ].filter(Boolean).join("; ")}.`;
  const said = new Map();
  for (const [who, what] of [...failing.map((feed) => [feed.outlet, feed.last_error]), ...stopped.map((series) => [seriesName(series), series.last_error])]) {
    said.set(what, [...(said.get(what) || []), who]);
  }
  const items = [...said].map(([what, names]) => sourceItem(names.join(", "), what));
  const more = items.length - NAMED_SOURCES;
  element("sources").querySelector("ul").replaceChildren(...items.slice(0, NAMED_SOURCES), ...(more > 0 ? [sourceItem("", `and ${more} more.`)] : []));
}

const seriesName = (series) => (series.interval === "hour" ? `${series.key} by the hour` : series.key);

function sourceItem(who, what) {
  const item = document.createElement("li");
  const name = document.createElement("b");
  name.textContent = who;
  item.append(name, ` ${what}`);
  return item;
}

// -- hearing ---------------------------------------------------------------------------------------------------------

chart.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.key === "Enter" && view.at) element("articles").focus();
  if (!step || !shifts.length) return;
  event.preventDefault();
  const place = shifts.findIndex((point) => point.bucket_start === view.at);
  const next = place < 0 ? shifts.length - 1 : Math.min(shifts.length - 1, Math.max(0, place + step));
  choose(shifts[next].bucket_start, false);
});

form.addEventListener("change", (event) => {
  Object.assign(view, { start: form.start.value, end: form.end.value, bucket: form.bucket.value });
  if (event.target.name !== "bucket") view.bucket = suitedBucket((Date.parse(view.end) - Date.parse(view.start)) / DAY);
  view.at = "";
  show();
});
form.addEventListener("submit", (event) => event.preventDefault());

for (const button of form.querySelectorAll("[data-days]")) {
  button.addEventListener("click", () => {
    const days = Number(button.dataset.days);
    Object.assign(view, { start: isoDay(Date.parse(view.end) - days * DAY), bucket: suitedBucket(days), at: "" });
    show();
  });
}

for (const button of document.querySelectorAll("[data-start]")) {
  button.addEventListener("click", () => {
    Object.assign(view, { start: button.dataset.start, end: button.dataset.end, bucket: "week", at: "" });
    show();
  });
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
// Another story alone needs no new drawing; all else does.
addEventListener("hashchange", () => {
  const before = address({ story: "" });
  readAddress();
  if (!view.story || address({ story: "" }) !== before) show();
  else listStory();
  if (view.story) element("articles").focus();
});

element("prior").addEventListener("click", () => {
  view.prior = view.prior ? "" : "on";
  show();
});

// Without a range in the address: the last year by week; of a young record the last month by day.
async function chooseRange() {
  const { meta } = await ask("shift", { bucket: "week" });
  young = isYoung(meta);
  const end = view.end || (young ? isoDay(Date.parse(meta.as_of) + DAY) : meta.end.slice(0, 10));
  const start = view.start || (young ? isoDay(Date.parse(end) - 31 * DAY) : meta.start.slice(0, 10));
  Object.assign(view, { start, end, bucket: view.bucket || (young ? "day" : "week") });
}

// While the record is young the page fills by itself.
async function lookAgain() {
  if (!young) return;
  try {
    const record = await ask("health/ready");
    if (record.articles !== known.articles || record.untagged !== known.untagged) {
      known = record;
      await Promise.all([show(), tellSources()]);
    }
  } catch {
    // the next look tells
  }
}

async function begin() {
  readAddress();
  try {
    narratives = (await ask("narratives")).data;
    known = await ask("health/ready");
    if (!view.start || !view.end) await chooseRange();
    if (!view.bucket) view.bucket = suitedBucket((Date.parse(view.end) - Date.parse(view.start)) / DAY);
    await Promise.all([show(), tellSources()]);
    setInterval(lookAgain, LOOK_AGAIN);
  } catch (error) {
    element("verdict").textContent = "Nothing can be shown.";
    tellMessage(error.message);
  }
}

begin();
