// The page of this morning: the state in one sentence, θ with its interval, what moved it, triggers, prices, new articles.
// Flow: ask the API, each block for itself -> words and two small drawings; again when the server tells of news, or each
// minute. Of a replay everything is asked as of its end.

import { tellFreshness } from "./freshness.js";
import { courseWords, gauge, sparkline } from "./gauge.js";
import { articleItem } from "./listing.js";
import { newest, tellTriggers } from "./panels.js";
import { addressOf, learnNames, names } from "./reading.js";
import { ASSETS, DAY, ask, element, gain, isoDay, link, longDay, make, named, put, show } from "./shared.js";
import { figuresOf, interval, isYoung, two, untold, verdictOf } from "./verdict.js";

const MINUTE = 60000;
const COURSE = 90;
const SPAN = 30;
const REACH = 45;
const ARTICLES = 4;
const RETURNS = { BTC: "return_btc", XAU: "return_gold", XAG: "return_silver" };
const replay = "replay" in document.querySelector("main").dataset;
const view = { prior: "" };
let asked = 0;
let young = false;
let timer = 0;

// Where the whole story stood before: true where an address of that time leads on.
function forwarded() {
  const story = location.hash.includes("start=");
  if (story) location.replace(`/story${location.hash}`);
  return story;
}

const story = (changes) => `/story#${new URLSearchParams(Object.entries(changes).filter(([, value]) => value))}`;
const ready = (id) => element(id).closest("[aria-busy]").setAttribute("aria-busy", "false");

// -- words -----------------------------------------------------------------------------------------------------------

// A day as the first words of the sentence, and the tense that goes with it.
function dated(day, today) {
  const days = Math.round((Date.parse(isoDay(Date.parse(today))) - Date.parse(day)) / DAY);
  if (replay) return [`On ${longDay(day)}, where the replay ends,`, "was"];
  if (days === 0) return ["Today", "is"];
  return [days === 1 ? "Yesterday" : `On ${longDay(day)}, the last day with θ,`, "was"];
}

function fromTo(from, to) {
  const short = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "long" });
  return `from ${from.slice(0, 4) === to.slice(0, 4) ? short.format(new Date(from)) : longDay(from)} to ${longDay(to)}`;
}

// -- the state ---------------------------------------------------------------------------------------------------------

// The verdict is read out when it changes, and only then.
function tellVerdict(...content) {
  const told = make("span", "", ...content);
  if (element("verdict").textContent !== told.textContent) put("verdict", ...told.childNodes);
}

// Of a day that has hardly begun the day before is told.
function pointOf(points) {
  const told = points.filter((point) => point.index != null);
  const last = told.at(-1);
  const before = told.at(-2);
  return last?.open && last.thin && before && Date.parse(last.bucket_start) - Date.parse(before.bucket_start) <= DAY ? before : last;
}

function tellState(shift, articles) {
  const point = pointOf(shift.data);
  for (const id of ["theta-part", "course"]) show(id, point);
  show("prior", shift.meta.prior_rates || (!point && shift.data.some((one) => one.n_stories)));
  element("prior").setAttribute("aria-pressed", String(Boolean(view.prior)));
  if (point) {
    tellVerdict(...verdictOf(point, ...dated(point.bucket_start.slice(0, 10), shift.meta.as_of)));
    put("caveat");
    put("figures", figuresOf(point, shift.meta).replace(/^\w/, (letter) => letter.toUpperCase()));
    put("numbers", make("b", "", `θ ${two(point.index)}`), ` 90 % interval ${interval(point)}`);
    put("gauge", gauge(point));
    tellCourse(shift.data, point);
  }
  const told = point ? {} : untold(shift, articles);
  if (!point) {
    tellVerdict(told.verdict);
    put("caveat", told.caveat);
  }
  tellProgress(told.progress, shift.meta.baseline_needs_days);
  ready("verdict");
  return point;
}

function tellProgress(progress, needed) {
  show("warming", progress != null);
  if (progress == null) return;
  const days = Math.floor(progress * needed);
  put("progress-said", `${days} of ${needed} days of news`);
  Object.assign(element("progress"), { max: needed, value: days });
}

function tellCourse(points, point) {
  const end = points.indexOf(point) + 1;
  const days = points.slice(Math.max(0, end - COURSE), end);
  const [from, to] = [days[0].bucket_start, days.at(-1).bucket_start].map((day) => day.slice(0, 10));
  const words = courseWords(days);
  const open = link(story({ start: from, end: isoDay(Date.parse(to) + DAY), bucket: "day", at: days.at(-1).bucket_start, prior: view.prior }), sparkline(days));
  open.ariaLabel = `θ over ${days.length} days, ${words}. Open the story.`;
  put("spark", open);
  put("course-said", `${fromTo(from, to)}: ${words}.`.replace(/^f/, "F"));
}

// -- what moved it -------------------------------------------------------------------------------------------------------

async function tellMoved(points, page) {
  const days = points.filter((point) => point.index != null && !point.open);
  if (days.length < 2) {
    show("moved-part", false);
    return;
  }
  const day = days.at(-1).bucket_start.slice(0, 10);
  const answer = await newest("moved", ask("shift/why", { start: day, end: isoDay(Date.parse(day) + DAY), as_of: page.asked, prior_rates: view.prior && "true" }));
  if (!answer) return;
  show("moved-part", true);
  ready("moved");
  if (answer instanceof Error) {
    put("moved", answer.message);
    return;
  }
  put("moved-title", `What moved it ${fromTo(answer.meta.from, answer.meta.to)}`);
  put("moved", named(answer.meta.sentence, names.narratives));
}

// -- prices ------------------------------------------------------------------------------------------------------------

// The logarithm of the last close over that of 30 days before it; null where there is none.
function overSpan(closes) {
  const last = closes.at(-1);
  const before = last && closes.findLast((bar) => Date.parse(bar.closed_at) <= Date.parse(last.closed_at) - SPAN * DAY);
  return before ? Math.log(last.close / before.close) : null;
}

function assetItem(asset, { data, meta }, value) {
  const last = data.at(-1);
  const close = last ? `${last.close.toLocaleString("en", { maximumFractionDigits: last.close < 1000 ? 2 : 0 })} ${meta.unit}, close of ${longDay(last.closed_at)}` : `no close in the last ${REACH} days`;
  return make("div", "", make("dt", "", ASSETS[asset]), make("dd", value == null ? "unsaid" : "", last || value != null ? gain(value) : "n/a"), make("dd", "close", close));
}

// Since the last shift; where there was none, over 30 days.
async function tellAssets(page, end) {
  const range = { start: isoDay(end - REACH * DAY), end: isoDay(end + DAY), as_of: page.asked };
  const answer = await newest("assets", Promise.all([
    ask("shift/events", { as_of: page.asked, prior_rates: view.prior && "true" }), ...Object.keys(ASSETS).map((asset) => ask(`prices/${asset}`, range)),
  ]));
  if (!answer) return;
  ready("assets");
  if (answer instanceof Error) {
    put("assets-said", answer.message);
    put("assets");
    return;
  }
  const [{ data: events }, ...prices] = answer;
  const last = events.at(-1);
  if (last) put("assets-said", "Since the story turned from ", make("b", last.before, last.before), " to ", make("b", last.state, last.state), ", detected ", link(around(last.detected_at), longDay(last.detected_at)), ".");
  else put("assets-said", `Over ${SPAN} days: ${young ? "no shift can be told yet" : "no shift has been detected"}.`);
  put("assets", ...Object.keys(ASSETS).map((asset, place) => assetItem(asset, prices[place], last ? last[RETURNS[asset]] : overSpan(prices[place].data))));
}

const around = (instant) => story({ start: isoDay(Date.parse(instant) - REACH * DAY), end: isoDay(Date.parse(instant) + REACH * DAY), bucket: "day", at: `${instant.slice(0, 10)}T00:00:00Z` });

// -- articles -----------------------------------------------------------------------------------------------------------------------

async function tellArticles(page) {
  const core = names.narratives.filter((narrative) => narrative.core).map(({ narrative }) => narrative);
  const answer = await newest("articles", ask("articles", { narrative: core, limit: ARTICLES, as_of: page.asked }));
  if (!answer) return;
  ready("list");
  element("all-articles").href = addressOf("/articles", { narrative: core });
  if (answer instanceof Error) put("list", make("li", "", answer.message));
  else put("list", ...(answer.data.length ? answer.data.map((article) => articleItem(article)) : [make("li", "", "No article carries a core narrative yet.")]));
}

// -- all of it ---------------------------------------------------------------------------------------------------------

function tellError(error) {
  const nothing = element("state").ariaBusy === "true";
  show("trouble", true);
  put("trouble-said", error.message, nothing ? "" : " What stands here was read before.");
  if (!nothing) return;
  tellVerdict("Nothing can be shown.");
  document.querySelector("main").classList.add("failed");
}

async function tell() {
  const turn = ++asked;
  clearTimeout(timer);
  try {
    if (!names.narratives.length) await learnNames();
    const [record, shift] = await Promise.all([ask("health/ready"), ask("shift", { bucket: "day", prior_rates: view.prior && "true" })]);
    if (turn !== asked) return;
    show("trouble", false);
    document.querySelector("main").classList.remove("failed");
    young = isYoung(shift.meta);
    const end = Date.parse(replay ? shift.meta.end : shift.meta.as_of);
    const page = { asked: replay ? isoDay(end) : "", narratives: names.narratives, address: story, said: "", replay };
    tellState(shift, record.articles);
    await Promise.all([tellMoved(shift.data, page), tellTriggers(page), tellAssets(page, end), tellArticles(page), tellFreshness(page, shift.meta, record)]);
  } catch (error) {
    if (turn === asked) tellError(error);
  } finally {
    if (turn === asked) timer = setTimeout(again, young ? MINUTE / 4 : MINUTE);
  }
}

// -- hearing ---------------------------------------------------------------------------------------------------------

// A page that nobody looks at asks nothing; it does when it is looked at again.
function again() {
  if (document.hidden) timer = setTimeout(again, MINUTE);
  else tell();
}

// The server tells of news; while it cannot, the minute does.
function listen() {
  const source = new EventSource("/v1/events");
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(again, 1000);
  };
  for (const name of ["record", "shift", "trigger"]) source.addEventListener(name, soon);
  return source;
}

function readAddress() {
  view.prior = new URLSearchParams(location.hash.slice(1)).get("prior") || "";
}

element("prior").addEventListener("click", () => {
  view.prior = view.prior ? "" : "on";
  history.replaceState(null, "", view.prior ? "#prior=on" : location.pathname);
  tell();
});
element("retry").addEventListener("click", tell);
addEventListener("hashchange", () => {
  if (forwarded()) return;
  readAddress();
  tell();
});

let source = null;
function hear() {
  source?.close();
  source = document.hidden ? null : listen();
}

document.addEventListener("visibilitychange", hear);
addEventListener("pagehide", () => source?.close());
if (!forwarded()) {
  readAddress();
  tell();
  hear();
}
