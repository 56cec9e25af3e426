// The page of lead and lag: does a driver lead a price, or follow it; all of them beside each other; what happens after
// events; and the tone. Flow: read the question from the address -> ask the API, each part for itself -> words, numbers,
// chart and table.

import { showStudy } from "./after-events.js";
import { askedTogether, ownPair, showPairs, verdictWords } from "./pairs.js";
import { DAY, ask, axis, band, between, chance, colour, details, element, faded, figures, gain, link, longDay, make, many, named, plot, signed, table, title } from "./shared.js";
import { drawTones, lookAtTone } from "./tone.js";

const FIRST = { driver: "theta", asset: "BTC", bucket: "week", target: "return", max_lag: "12", start: "", end: "", event: "high:XAU" };
const EVENTS = { shift: "The story", trigger: "Trigger turns on", high: "Record close" };
const view = { ...FIRST };
const forms = [element("question"), element("event-form")];
const asked = {};
const told = {};
let turn = 0;
let narratives = [];
let pairs = null;
let among = null;
let shown = null;
let names = new Map();

// -- the question in the address ---------------------------------------------------------------------------------------

function readAddress() {
  const given = new URLSearchParams(location.search);
  for (const name of Object.keys(view)) view[name] = given.get(name) || FIRST[name];
  if (!given.get("event")) view.event = eventBeside(view.asset);
}

// What an asset does after its own records cannot be told apart from what made them.
const eventBeside = (asset) => (FIRST.event === `high:${asset}` ? "high:XAG" : FIRST.event);

const finer = () => JSON.stringify(["bucket", "target", "max_lag", "start", "end"].map((name) => view[name]));

const address = (changes = {}) => `${location.pathname}?${new URLSearchParams(Object.entries({ ...view, ...changes }).filter(([, value]) => value))}`;

// The controls as the address says; a choice that is not offered is added, so that the API can say what is wrong with it.
function fillForms() {
  for (const form of forms) for (const control of form.elements) {
    const value = view[control.name];
    if (value === undefined) continue;
    if (control.options && ![...control.options].some((option) => option.value === value)) control.append(new Option(value, value));
    control.value = value;
  }
  const range = view.start || view.end ? `${view.start ? `from ${longDay(view.start)}` : "up"} ${view.end ? `to ${longDay(view.end)}` : "on"}` : "the last year of news";
  element("finer").querySelector("summary").textContent = `Its ${view.target === "return" ? "returns" : "volatility"}, by ${view.bucket}, lags up to ${view.max_lag}, ${range}`;
}

function offer(select, groups) {
  select.replaceChildren(...groups.filter(([, options]) => options.length).map(([label, options]) => {
    const group = make("optgroup", "", ...options.map(([value, text]) => new Option(text, value)));
    group.label = label;
    return group;
  }));
}

async function fillChoices() {
  const [found, assets, series, events] = await Promise.all([ask("narratives"), ask("assets"), ask("prices"), ask("event-study/events")]);
  narratives = found.data;
  const priced = assets.data.filter((asset) => asset.n_bars);
  const drivers = [
    ["The story", [["theta", "θ"], ...narratives.map(({ narrative, name }) => [`narrative:${narrative}`, name])]],
    ["Tone of", assets.data.filter((asset) => asset.mentioned).map(({ asset, name }) => [`tone:${asset}`, `tone of ${name}`])],
    ["Return of", priced.map(({ asset, name }) => [`asset:${asset}`, `return of ${name}`])],
    ["Change of", series.data.filter((one) => one.kind === "macro" && one.n).map(({ key, name }) => [`macro:${key}`, `${key}: ${name}`])],
  ];
  names = new Map([...drivers.flatMap(([, options]) => options), ...assets.data.map(({ asset, name }) => [asset, name])]);
  pairs = askedTogether(narratives, assets.data);
  if (priced.length && !priced.some(({ asset }) => asset === FIRST.asset)) FIRST.asset = priced[0].asset;
  if (!events.data.some(({ event }) => event === FIRST.event)) FIRST.event = events.data[0].event;
  offer(forms[0].elements.driver, drivers);
  offer(forms[0].elements.asset, [["With closes", (priced.length ? priced : assets.data).map(({ asset, name }) => [asset, name])]]);
  const eventName = ({ event, name }) => (event.startsWith("high:") ? `a ${name}` : name.charAt(0).toLowerCase() + name.slice(1));
  offer(forms[1].elements.event, Object.entries(EVENTS).map(([kind, label]) => [label,
    events.data.filter(({ event }) => event.startsWith(`${kind}:`)).map((one) => [one.event, eventName(one)])]));
  return priced.length;
}

const called = (key) => names.get(key) || key;

// -- asking and telling ------------------------------------------------------------------------------------------------

function say(part, verdict, sentence = "") {
  element(`${part}-verdict`).textContent = verdict;
  element(`${part}-sentence`).textContent = sentence;
  element(`${part}-sentence`).hidden = !sentence;
}

// Asks for one part anew if its question has changed; shows what comes, or the sentence of the error.
async function look(part, path, parameters, show) {
  const question = JSON.stringify([path, parameters]);
  if (asked[part] === question) return;
  asked[part] = question;
  const section = element(part);
  section.setAttribute("aria-busy", "true");
  element(`${part}-told`).hidden = true;
  say(part, "Counting …");
  delete told[part];
  if (part === "lead") shown = null;
  try {
    const answer = await ask(path, parameters);
    if (asked[part] !== question) return;
    element(`${part}-told`).hidden = false;
    told[part] = () => show(answer);
    told[part]();
  } catch (error) {
    if (asked[part] !== question) return;
    delete told[part];
    delete asked[part];
    element(`${part}-told`).hidden = true;
    if (part === "lead") element("beside").hidden = true;
    say(part, "Nothing can be told.", named(error.message, narratives));
  }
  section.setAttribute("aria-busy", "false");
}

// -- one pair ----------------------------------------------------------------------------------------------------------

const isNews = (driver) => !/^(asset|macro):/.test(driver);
const capital = (text) => (text.startsWith("θ") ? text : text.charAt(0).toUpperCase() + text.slice(1));
const steps = (n, step) => many(Math.abs(n), step, `${step}s`);
const driverFirst = ({ driver }) => (isNews(driver) ? "News first" : `${called(driver).replace("return of ", "").replace(/^\w+: /, "")} first`);
const priceFirst = ({ asset }) => `${called(asset)} first`;
const lagWords = (row, lag) => (!lag ? "same time" : `${steps(lag, row.lead_lag.step)}, ${lag > 0 ? driverFirst(row) : priceFirst(row)}`);

function showLead({ data: [row], meta }) {
  const lead = row.lead_lag;
  shown = row;
  const peak = lead.lags.find((one) => one.lag === lead.peak_lag);
  const days = `${longDay(meta.start)} to ${longDay(Date.parse(meta.end) - DAY)}`;
  element("lead-title").textContent = `Does ${called(row.driver).replace(/^(tone|return) of/, "the $&")} lead ${meta.target === "return" ? called(row.asset) : `the volatility of ${called(row.asset)}`}?`;
  const words = verdictWords(lead.verdict, lead, driverFirst(row), priceFirst(row));
  say("lead", words ? `${words}.` : "No lead or lag can be told.", capital(named(lead.sentence.replace("No lead or lag can be told: ", ""), narratives)));
  element("lead-caption").textContent = `Correlation r at each lag, with its 90 % interval by itself. Dashed: what the strongest would have needed to stand out from chance, over all ${lead.lags.length} lags.`;
  figures("lead-numbers", [
    ["n", lead.n.toLocaleString("en"), `${lead.step}s, ${days}${lead.dropped ? `; ${lead.dropped} between them left out` : ""}`],
    ["p over all lags", chance(lead.p_family), `how often chance alone is as strong in ${lead.lags.length} lags`],
    ["strongest r", signed(peak.estimate), `${between(peak.low, peak.high)}; ${lagWords(row, peak.lag)}`],
    ["would stand out", `± ${lead.visible_from.toFixed(2)}`, "r beyond this"],
  ]);
  element("lead-reach").textContent = reachWords(row, meta);
  drawLead(row);
  element("lead-table").replaceChildren(details("", "The numbers", table("Correlation by lag", ["Lag", "r", "90 %", "p of it alone"],
    lead.lags.map((one) => [lagWords(row, one.lag), signed(one.estimate), between(one.low, one.high), chance(one.p)]))));
  showBeside(row);
  const news = /^(theta|narrative)/.test(row.driver) ? storyAddress(meta) : row.driver.startsWith("tone:") ? storyAddress(meta, row.driver.slice(5)) : "";
  element("lead-behind").replaceChildren(...(news ? [link(news, "The articles behind it")] : []));
  element("lead-method").textContent = `Method: ${lead.method}. Tags by ${meta.tagger}, seed ${lead.seed}.`;
  tellAmong();
}

// Why n is less than the range is long, and why fewer lags are told than were asked for.
function reachWords(row, meta) {
  const { n, step, max_lag: longest } = row.lead_lag;
  const all = Math.round((Date.parse(meta.end) - Date.parse(meta.start)) / (step === "week" ? 7 * DAY : DAY));
  const wanted = Number(view.max_lag);
  return [
    n < all ? `Of ${steps(all, step)} in the range ${n} have both a value of ${called(row.driver)} and a ${meta.target} of ${called(row.asset)}; of the others one of the two is not known.` : "",
    longest < wanted ? `Lags reach ${steps(longest, step)} and not ${wanted}, because at most a quarter of n may be lost to a lag.` : "",
  ].filter(Boolean).join(" ");
}

// Beside the pair's own numbers: what is left of it among all that were asked about together.
function tellAmong() {
  const found = among?.question === finer() && among.data.find((row) => row.driver === view.driver && row.asset === view.asset);
  if (!found || !shown || ownPair(found)) return;
  const list = element("lead-numbers");
  list.querySelector(".among")?.remove();
  const small = shown.lead_lag.verdict !== "none" && found.verdict === "none" ? "beside the others no more than chance" : "adjusted for the pairs below";
  list.children[1].after(make("div", "among", make("dt", "", "p among all pairs"), make("dd", "", chance(found.p_adjusted), make("small", "", small))));
}

// The story's page over the same days, with the narrative or the asset that was asked about.
function storyAddress(meta, asset = "") {
  const narrative = view.driver.startsWith("narrative:") ? view.driver.slice(10) : asset ? "*" : "";
  const kept = { start: meta.start.slice(0, 10), end: meta.end.slice(0, 10), bucket: meta.bucket, narrative, asset };
  return `/story#${new URLSearchParams(Object.entries(kept).filter(([, value]) => value))}`;
}

function drawLead(row) {
  const { lags, step, visible_from: visible, peak_lag: peak, max_lag: longest } = row.lead_lag;
  const node = element("lead-chart");
  const narrow = node.clientWidth < 520;
  const x = lags.map((one) => one.lag);
  const high = Math.min(1, 1.12 * Math.max(visible, ...lags.flatMap((one) => [Math.abs(one.low), Math.abs(one.high)])));
  const edge = (y) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: colour("accent"), width: 1.4, dash: "dash" } });
  const half = (x0, x1, hue) => ({ type: "rect", layer: "below", yref: "paper", y0: 0, y1: 1, x0, x1, line: { width: 0 }, fillcolor: faded(colour(hue), 0.1) });
  const side = (text, place) => ({ text: `<b>${plain(text)}</b>`, xref: "paper", x: place, xanchor: place ? "right" : "left", yref: "paper", y: 1, yanchor: "bottom", showarrow: false, font: { size: narrow ? 13 : 15, color: colour("ink") } });
  const text = lags.map((one) => `r ${signed(one.estimate)} (${between(one.low, one.high)}), ${lagWords(row, one.lag)}`);
  const every = Math.max(1, Math.ceil(longest / (narrow ? 3 : 6)));
  const ticks = x.filter((lag) => lag % every === 0);
  plot(node, `Chart of r by lag, ${priceFirst(row)} on the left and ${driverFirst(row)} on the right: strongest ${text[x.indexOf(peak)]}; beyond ${visible.toFixed(2)} would have stood out. The numbers are in the table below.`, [
    ...band(x, lags.map((one) => one.low), lags.map((one) => one.high), colour("calm"), 0.3),
    {
      x, y: lags.map((one) => one.estimate), type: "scatter", mode: "lines+markers", line: { color: colour("ink"), width: 1.8 },
      marker: { size: x.map((lag) => (lag === peak ? 11 : 5)), color: x.map((lag) => colour(lag === peak ? "accent" : "ink")) },
      customdata: text.map(plain), hovertemplate: "%{customdata}<extra></extra>",
    },
  ], {
    height: 400, margin: { l: 50, r: 14, t: 34, b: 46 },
    xaxis: { ...axis(), title: title(narrow ? `${step}s ahead` : `← ${step}s by which ${plain(called(row.asset))} is ahead · ${step}s by which ${isNews(row.driver) ? "the news" : plain(called(row.driver)).replace(/^return of /, "")} is ahead →`), zeroline: true, range: [-longest - 0.5, longest + 0.5], tickvals: ticks, ticktext: ticks.map((lag) => String(Math.abs(lag))) },
    yaxis: { ...axis(), title: title("r"), zeroline: true, range: [-high, high] },
    shapes: [half(-longest - 0.5, 0, "calm"), half(0, longest + 0.5, "accent"), edge(visible), edge(-visible)],
    annotations: [side(`← ${priceFirst(row)}`, 0), side(`${driverFirst(row)} →`, 1)],
  });
}

// The chart library reads a few tags in its texts; names are shown as they are written.
const plain = (text) => text.replaceAll("<", "‹").replaceAll(">", "›");

// -- asked in other ways -----------------------------------------------------------------------------------------------

function showBeside(row) {
  element("beside").hidden = !row.beside;
  if (!row.beside) return;
  const { granger_driver_to_price: there, granger_price_to_driver: back, out_of_sample: forecast, projections } = row.beside;
  const step = row.lead_lag.step;
  const source = isNews(row.driver) ? "news" : "driver";
  const granger = ({ p, lags, n }) => [p == null ? "not known" : `p ${chance(p)}`, p == null ? `n ${n}, too few` : `n ${n}, ${steps(lags, step)}`];
  figures("beside-numbers", [
    [`Granger: ${source} tells price`, ...granger(there)],
    [`Granger: price tells ${source}`, ...granger(back)],
    ["Out of sample R²", forecast.r2 == null ? "not known" : signed(forecast.r2, 3), forecast.r2 == null ? `n ${forecast.n}, too few` : `p ${chance(forecast.p)}, n ${forecast.n}; below 0 the mean is better`],
  ]);
  element("projections").hidden = !projections.length;
  if (!projections.length) return;
  const x = projections.map((one) => one.horizon);
  const share = (field) => projections.map((one) => Math.exp(one[field]) - 1);
  const text = projections.map((one) => `${gain(one.estimate)} (${gain(one.low)} to ${gain(one.high)}), n ${one.n}`);
  plot(element("projection-chart"), `Chart of local projections: ${text.at(-1)} after ${steps(x.at(-1), step)}. The numbers are in the table below.`, [
    ...band(x, share("low"), share("high"), colour("calm"), 0.28),
    { x, y: share("estimate"), type: "scatter", mode: "lines+markers", line: { color: colour("ink"), width: 1.6 }, marker: { size: 4 }, customdata: text, hovertemplate: "%{customdata}<extra></extra>" },
  ], { height: 210, margin: { l: 50, r: 10, t: 8, b: 40 }, xaxis: { ...axis(), title: title(`${step}s later`), rangemode: "tozero" }, yaxis: { ...axis(), tickformat: "+.0%", nticks: 5 } });
  element("projection-table").replaceChildren(details("", "The numbers", table("Local projections", ["After", "Return", "90 %", "n"],
    projections.map((one) => [steps(one.horizon, step), gain(one.estimate), `${gain(one.low)} to ${gain(one.high)}`, String(one.n)]))));
}

// -- hearing -----------------------------------------------------------------------------------------------------------

async function show() {
  fillForms();
  const { driver, asset, bucket, target, max_lag, start, end, event } = view;
  const mine = ++turn;
  const range = { bucket, target, max_lag, start, end };
  const lead = look("lead", "lead-lag", { driver, asset, ...range }, showLead);
  look("study", "event-study", { event, asset }, ({ data: [row], meta }) => showStudy(row, meta, called));
  lookAtTone({ start, end }, called);
  markPair();
  await lead; // what was asked for comes before what lies beside it
  if (mine !== turn) return;
  element("pairs").hidden = !pairs.asset.length;
  if (pairs.asset.length) look("pairs", "lead-lag", { ...pairs, ...range }, (answer) => {
    among = { question: finer(), data: answer.data };
    showPairs(answer, { ...pairs, called, driverFirst, priceFirst, address, say: (words) => say("pairs", words), narratives });
    markPair();
    tellAmong();
  });
}

function markPair() {
  for (const cell of document.querySelectorAll("#pairs-table a")) {
    if (cell.dataset.driver === view.driver && cell.dataset.asset === view.asset) cell.setAttribute("aria-current", "true");
    else cell.removeAttribute("aria-current");
  }
}

for (const form of forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const each of forms) for (const control of each.elements) if (control.name in view) view[control.name] = control.value;
    history.pushState(null, "", address());
    show();
  });
}
element("pairs-table").addEventListener("click", (event) => {
  const cell = event.target.closest("a");
  if (!cell || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  Object.assign(view, { driver: cell.dataset.driver, asset: cell.dataset.asset });
  if (view.event === `high:${view.asset}`) view.event = eventBeside(view.asset);
  history.pushState(null, "", address());
  show();
  element("lead-title").focus();
});
addEventListener("popstate", () => {
  readAddress();
  show();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const part of ["lead", "study"]) told[part]?.();
  drawTones();
});

async function begin() {
  let trouble = "No close is known yet. “storyshift run” loads them, “storyshift import prices FILE” brings your own.";
  try {
    if (await fillChoices()) {
      readAddress();
      show();
      return;
    }
    readAddress();
    lookAtTone({ start: view.start, end: view.end }, called);
  } catch (error) {
    trouble = error.message;
    element("tone").hidden = true;
  }
  for (const part of ["lead", "study"]) say(part, "Nothing can be told yet.", trouble);
  element("pairs").hidden = true;
  for (const section of document.querySelectorAll("[aria-busy]")) section.setAttribute("aria-busy", "false");
}

begin();
