// The page of the story: one chart over one time axis, and the articles behind the chosen bucket.
// Flow: read the view from the address -> ask the API, as it was known on the day that is replayed -> draw -> a click or
// an arrow key chooses a bucket -> list articles. Below the chart stand the panels of panels.js.

import { STATES, drawChart, relay, showBand } from "./chart.js";
import { list, listStory } from "./chosen.js";
import { drawLegend, linesShown } from "./legend.js";
import { tellMoved, tellShifts, tellTriggers } from "./panels.js";
import { learnNames, nameOf, names } from "./reading.js";
import { replaying, setDays, tellDay } from "./replay.js";
import { ASSETS, DAY, ask, auditWords, details, element, isoDay, link, longDay, make } from "./shared.js";
import { figuresOf, interval, isYoung, latestTold, two, untold, verdictOf } from "./verdict.js";
import { address, around, bucketEnd, bucketStart, changedRange, ranged, readAddress, setRange, spoken, suitedBucket, view, wholeDays, writeAddress } from "./view.js";

const chart = element("chart");
const form = element("controls");
const LOOK_AGAIN = 15000;
const REMEMBERED = 400;
const ways = []; // back from each zoom
const answers = new Map();
let told = null; // what is drawn
let known = {};
let prices = new Map();
let young = false;
let asked = 0;
let detected = [];
let panelsOf = "";

// -- asking ------------------------------------------------------------------------------------------------------------

// Asks once for each question, so that a slider moved to and fro waits once; an error is not kept.
function remember(path, parameters) {
  const question = JSON.stringify([path, parameters]);
  if (answers.size > REMEMBERED) answers.clear();
  if (!answers.has(question)) {
    answers.set(question, ask(path, parameters).catch((error) => {
      answers.delete(question);
      throw error;
    }));
  }
  return answers.get(question);
}

// Shares of narratives: as they are, or by direction in two answers, of which the second is drawn downwards.
function askShares(series) {
  const directions = view.split ? [["building", 1, "building "], ["fading", -1, "fading "]] : [["", 1, ""]];
  return Promise.all(directions.map(async ([direction, sign, word]) => ({ ...await remember("intensity", { ...series, direction }), sign, word })));
}

async function askAll() {
  const series = { ...ranged(), bucket: view.bucket };
  const lines = linesShown(names.narratives);
  const closes = [...prices.keys()].filter((key) => lines.has(key));
  const tones = Object.keys(ASSETS).filter((asset) => lines.has(`tone:${asset}`));
  const [shift, intensities, priced, toned] = await Promise.all([
    remember("shift", { ...series, prior_rates: view.prior && "true" }), askShares(series),
    Promise.all(closes.map((asset) => remember(`prices/${asset}`, ranged()))),
    Promise.all(tones.map(async (asset) => ({ ...await remember("tone", { ...series, asset }), asset }))),
  ]);
  return { shift, points: shift.data, intensities, prices: priced, tones: toned, lines };
}

// The series of closes that there are by their names, the three of every page first.
async function learnPrices() {
  const kept = (await ask("prices")).data.filter((series) => series.kind === "price" && series.interval === "day" && series.n);
  const found = new Map(kept.map(({ key, name }) => [key, name]));
  const own = Object.entries(ASSETS).filter(([key]) => found.has(key));
  prices = new Map([...own, ...[...found].filter(([key]) => !(key in ASSETS))]);
}

// -- showing -----------------------------------------------------------------------------------------------------------

function fill() {
  form.start.value = view.start;
  form.end.value = view.end;
  form.bucket.value = view.bucket;
  element("zoom-back").disabled = !ways.length;
  tellDay(view.as_of);
}

// settled: the slider stands still; else only the verdict and the chart are told.
async function show({ settled = true } = {}) {
  const turn = ++asked;
  writeAddress();
  fill();
  if (settled) chart.classList.add("loading");
  try {
    const found = await askAll();
    if (turn !== asked) return;
    young = isYoung(found.shift.meta);
    tellMessage("");
    tellVerdict(found.shift);
    const below = tellAudit(found.shift.meta.audit || [], found.intensities[0].meta.audit || []);
    told = { ...found, below, narratives: names.narratives, others: [...prices.keys()].filter((key) => !(key in ASSETS)) };
    if (view.at && !told.points.some((point) => point.bucket_start === view.at)) view.at = "";
    view.at ||= told.points.findLast((point) => point.n_stories)?.bucket_start || "";
    draw();
    if (settled) settle();
  } catch (error) {
    if (turn === asked) tellMessage(error.message);
  } finally {
    if (turn === asked) chart.classList.remove("loading");
  }
}

const until = () => (view.as_of ? new Date(Date.parse(view.as_of) + DAY).toISOString() : "");
const named = (key) => prices.get(key) || ASSETS[key] || key;

function draw() {
  const legend = { narratives: names.narratives, prices, others: told.others, below: told.below };
  drawChart(chart, {
    ...told, ...ranged(), bucket: view.bucket, split: view.split, at: view.at, until: until(), named, endOf: bucketEnd,
    detected: view.as_of ? detected.filter((event) => event.detected_at < until()) : detected,
  });
  drawLegend(legend, () => show(), (key) => showBand(chart, key));
  if (chart.dataset.heard) return;
  chart.dataset.heard = "yes";
  chart.on("plotly_click", (event) => choose(bucketStart(utc(event.points[0].x))));
  chart.on("plotly_hover", (event) => showBand(chart, event));
  chart.on("plotly_relayout", zoomed);
  chart.on("plotly_doubleclick", zoomBack);
}

// What follows once the slider stands still: the articles and the panels.
function settle() {
  writeAddress();
  tellPanels(told.shift);
  if (view.story) listStory(leaveStory);
  else if (view.at) list({ points: told.points, narratives: names.narratives });
}

// The panels tell what was known where the range ends, or on the day that is replayed if that is earlier.
async function tellPanels(shift) {
  const [end, now] = [Date.parse(view.end), Date.parse(shift.meta.as_of)];
  const past = end < now;
  const page = {
    narratives: names.narratives, address, around, prior: view.prior, young, asked: past ? new Date(end).toISOString() : view.as_of,
    said: past ? `As of ${longDay(end)}, where the range shown ends. ` : view.as_of ? `As of the end of ${longDay(view.as_of)}. ` : "",
  };
  const moved = movedRange(shift.data, Math.min(end, now));
  const question = [page.asked, view.prior, view.start, moved?.end, view.bucket, known.articles, known.untagged].join();
  if (question === panelsOf) return;
  panelsOf = question;
  tellMoved({ ...page, ...moved });
  tellTriggers(page);
  const found = await tellShifts({ ...page, coloured: coloured(shift.data) });
  if (!found) return;
  detected = found;
  if (chart.layout) relay(chart, view.at, detected);
}

// The last week or month of whole days by `until` at whose end θ can be told, and before which it could.
function movedRange(points, until) {
  const told = points.filter((point) => point.index != null && !(view.bucket === "day" && point.open));
  if (told.length < 2) return null;
  const [first, last] = [told[0], told.at(-1)].map((point) => Date.parse(point.bucket_start));
  const end = Math.min(Date.parse(bucketEnd(told.at(-1).bucket_start)), Math.floor(until / DAY) * DAY);
  return { start: view.bucket === "month" ? last : Math.max(end - 7 * DAY, first + DAY), end };
}

// How much of the range bears the colour of a state, and on how few stories.
function coloured(points) {
  const told = points.filter((point) => point.n_stories);
  const days = told.reduce((sum, point) => sum + (Date.parse(bucketEnd(point.bucket_start)) - Date.parse(point.bucket_start)) / DAY, 0);
  return {
    step: view.bucket, n: points.filter((point) => point.state in STATES).length,
    thin: told.filter((point) => point.thin).length, told: told.length,
    a_day: days ? told.reduce((sum, point) => sum + point.n_stories, 0) / days : 0,
  };
}

function tellVerdict(shift) {
  const point = latestTold(shift.data);
  element("prior").hidden = Boolean(point ? !shift.meta.prior_rates : !shift.data.some((one) => one.n_stories));
  element("prior").setAttribute("aria-pressed", String(Boolean(view.prior)));
  const { verdict, caveat } = point ? {
    verdict: verdictOf(point, `${view.bucket === "day" ? "On" : "In"} ${spoken(point.bucket_start)}`),
    caveat: `θ ${two(point.index)} (90 % interval ${interval(point)}), ${figuresOf(point, shift.meta)}`,
  } : untold(shift, known.articles);
  element("verdict").replaceChildren(...[verdict].flat());
  element("caveat").textContent = caveat;
}

// How far shares and θ are corrected by the random audit. Returns the narratives whose tags are right too rarely.
function tellAudit(ofTheta, ofShares) {
  const parts = [["Shares", ofShares], ["θ", ofTheta]].filter(([, audit]) => audit.length);
  const within = (key) => nameOf(key).replace(/^[A-Z](?=[a-z])/, (first) => first.toLowerCase());
  element("audit").hidden = !parts.length;
  element("audit").replaceChildren(
    ...parts.map(([what, audit]) => make("p", "", make("b", "", what), ` ${auditWords(audit, within)}`)),
    details("", "What the audit says of each",
      ...parts.map(([what, audit]) => make("div", "", make("h3", "", what === "θ" ? "θ, by the labels that it counts" : what), make("ul", "", ...audit.map((one) => make("li", "", one.sentence))))),
      make("p", "", link("/quality", "How good the tags are"), ".")));
  return new Set(ofShares.filter((one) => one.below_floor).map((one) => one.key));
}

function tellMessage(text) {
  element("message").hidden = !text;
  element("message-said").textContent = text;
}

// -- choosing a bucket -------------------------------------------------------------------------------------------------

// An instant of the chart, which writes them without their zone.
const utc = (x) => (/[zZ]|[+-]\d\d:\d\d$/.test(x) ? x : `${x.replace(" ", "T")}${x.length > 10 ? "Z" : ""}`);

function choose(start) {
  if (!told?.points.some((point) => point.bucket_start === start)) return;
  Object.assign(view, { at: start, story: "" });
  writeAddress();
  relay(chart, start, detected);
  list({ points: told.points, narratives: names.narratives });
}

// To the articles of the date, and back: by a press alone, so that nothing jumps under a hand.
function goTo(id, top = id) {
  element(top).scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  element(id).focus({ preventScroll: true });
}

function leaveStory() {
  view.story = "";
  writeAddress();
  if (view.at) choose(view.at);
  element("articles").focus();
}

// -- zooming -----------------------------------------------------------------------------------------------------------

function zoomTo(range) {
  ways.push({ start: view.start, end: view.end, bucket: view.bucket });
  setRange(range);
  show();
}

// A range that was dragged on the chart.
function zoomed(event) {
  const [from, to] = [event["xaxis.range[0]"], event["xaxis.range[1]"]];
  if (from && to) zoomTo(wholeDays(Date.parse(utc(from)), Date.parse(utc(to))));
}

function zoomBack() {
  if (!ways.length) return;
  setRange(ways.pop());
  show();
}

// -- replaying ---------------------------------------------------------------------------------------------------------

// A day outside the range takes the range along.
async function turnTo(day, { settled }) {
  if (day !== view.as_of) Object.assign(view, { as_of: day, at: "", story: "" });
  if (day && (day < view.start || day >= view.end)) {
    const length = Date.parse(view.end) - Date.parse(view.start);
    const end = Date.parse(day) + 0.25 * length;
    Object.assign(view, { start: isoDay(end - length), end: isoDay(end) });
  }
  await show({ settled });
}

const lastOf = (bucket) => isoDay(Date.parse(bucketEnd(bucket)) - DAY);

replaying({
  turn: turnTo,
  begin: () => lastOf(bucketStart(view.start)),
  next: (day) => {
    const next = lastOf(bucketStart(isoDay(Date.parse(day) + DAY)));
    return next < view.end && next <= element("as-of-day").max ? next : null;
  },
});

// -- hearing ---------------------------------------------------------------------------------------------------------

// The chart hears the arrow keys once it was pressed, and while the pointer lies on it and nothing else is meant.
chart.addEventListener("pointerdown", () => chart.focus({ preventScroll: true }));
addEventListener("keydown", (event) => {
  if (!chart.contains(event.target) && !(event.target === document.body && chart.matches(":hover"))) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.key === "Enter" && view.at) goTo("articles");
  if (!step || !told?.points.length) return;
  event.preventDefault();
  const place = told.points.findIndex((point) => point.bucket_start === view.at);
  const next = place < 0 ? told.points.length - 1 : Math.min(told.points.length - 1, Math.max(0, place + step));
  choose(told.points[next].bucket_start);
});
element("near-more").addEventListener("click", () => goTo("articles"));
element("to-chart").addEventListener("click", () => goTo("chart", "key"));

form.addEventListener("change", (event) => {
  const range = { start: form.start.value, end: form.end.value };
  setRange(event.target.name === "bucket" ? { ...range, bucket: form.bucket.value } : range);
  show();
});
form.addEventListener("submit", (event) => event.preventDefault());

const press = (selector, act) => {
  for (const button of document.querySelectorAll(selector)) button.addEventListener("click", () => act(button.dataset));
};
press("[data-days]", ({ days }) => zoomTo({ start: isoDay(Date.parse(view.end) - Number(days) * DAY), end: view.end }));
press("[data-start]", ({ start, end }) => zoomTo({ start, end, bucket: "week" }));
press("[data-factor]", ({ factor, moved }) => zoomTo(changedRange(Number(factor), Number(moved || 0))));
element("zoom-back").addEventListener("click", zoomBack);
element("retry").addEventListener("click", () => (told ? show() : begin()));

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => told && draw());
// Another story alone needs no new drawing; all else does.
addEventListener("hashchange", () => {
  const before = address({ story: "" });
  readAddress();
  if (!view.start || !view.end) begin();
  else if (!view.story || address({ story: "" }) !== before) show();
  else listStory(leaveStory);
  if (view.story) element("articles").focus();
});

element("prior").addEventListener("click", () => {
  view.prior = view.prior ? "" : "on";
  show();
});

// -- beginning ---------------------------------------------------------------------------------------------------------

// The days of the record for the slider; and without a range in the address the last year by week, of a young record
// the last month by day.
async function chooseRange() {
  const { meta } = await ask("shift", { bucket: "week" });
  young = isYoung(meta);
  const now = isoDay(Date.parse(meta.as_of));
  setDays(meta.first_story_at ? meta.first_story_at.slice(0, 10) : isoDay(Date.parse(meta.as_of) - DAY), meta.first_story_at && meta.end.slice(0, 10) < now ? meta.end.slice(0, 10) : now);
  if (view.start && view.end) return;
  const end = view.end || (young ? isoDay(Date.parse(meta.as_of) + DAY) : meta.end.slice(0, 10));
  const start = view.start || (young ? isoDay(Date.parse(end) - 31 * DAY) : meta.start.slice(0, 10));
  Object.assign(view, { start, end, bucket: view.bucket || (young ? "day" : "week") });
}

// While the record is young the page fills by itself.
async function lookAgain() {
  if (!young || view.as_of || document.hidden) return;
  try {
    const record = await ask("health/ready");
    if (record.articles !== known.articles || record.untagged !== known.untagged) {
      known = record;
      answers.clear();
      await show();
    }
  } catch {
    // the next look tells
  }
}

async function begin() {
  readAddress();
  try {
    await Promise.all([names.narratives.length || learnNames(), learnPrices()]);
    known = await ask("health/ready");
    await chooseRange();
    view.bucket ||= suitedBucket((Date.parse(view.end) - Date.parse(view.start)) / DAY);
    await show();
  } catch (error) {
    element("verdict").textContent = "Nothing can be shown.";
    tellMessage(error.message);
  }
}

element("lines").open = !matchMedia("(max-width: 820px)").matches;
begin();
setInterval(lookAgain, LOOK_AGAIN);
