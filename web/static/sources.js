// The page of sources: how each feed does, day by day for two weeks, then prices and macro series.
// Flow: ask the API -> rows from the answer and the view (filter, chosen day) -> the page is brought into line with them,
// node by node, so that focus and scroll stay where they are; again every half minute.
// All text from feeds is set as text, never as markup.

import { DAY, ask, element, make, many } from "./shared.js";

const LOOK_AGAIN = 30000;
const DAYS_SHOWN = 14;
const HEALTHS = ["failing", "silent", "retired", "new", "fine"]; // troubles first
const inReplay = "replay" in document.querySelector("main").dataset;
const NAMES = { failing: "failing", silent: "silent", retired: "gone for good", new: "not visited yet", fine: "fine", gaps: "has gaps", empty: "no values yet", imported: "imported", replayed: "of the replay" };
const view = { filter: "", url: "", day: 0 };
let feeds = [];
let series = [];
let days = new Map();
let looked = 0;

// -- asking ----------------------------------------------------------------------------------------------------------

async function look() {
  const began = Date.now();
  try {
    const [found, record, prices] = await Promise.all([ask("feeds"), ask("coverage", { bucket: "day" }), ask("prices")]);
    [feeds, series, looked] = [found.data, prices.data, Date.now()];
    days = new Map(record.data.map((row) => [`${row.bucket_start.slice(0, 10)} ${row.url}`, row]));
    tell("message", "");
    show();
  } catch (error) {
    tell("message", looked ? `${error.message} What is shown is from ${clock(looked)}.` : error.message);
    if (!looked) tell("verdict", "Nothing can be shown.");
  }
  setTimeout(look, Math.max(LOOK_AGAIN, 10 * (Date.now() - began)));
}

// -- words -----------------------------------------------------------------------------------------------------------

const utc = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const dayName = utc({ day: "numeric", month: "short" });
const instant = utc({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const clock = (time) => `${utc({ hour: "2-digit", minute: "2-digit" }).format(time)} UTC`;
const number = (n) => n.toLocaleString("en");

function span(milliseconds) {
  const minutes = Math.round(Math.abs(milliseconds) / 60000);
  if (minutes < 60) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`;
}

function when(iso, words, never = "–") {
  if (!iso) return never;
  const time = make("time", "", words(Date.parse(iso) - Date.now()));
  time.dateTime = iso;
  time.title = `${instant.format(new Date(iso))} UTC`;
  return time;
}

const ago = (away) => (away > -60000 ? "just now" : `${span(away)} ago`);
const ahead = (away) => (away >= 60000 ? `in ${span(away)}` : away > -5 * 60000 ? "now" : `due for ${span(away)}`);

// "58 of 60 feeds answer; 2 fail; 1 has gone silent."
function headline() {
  const count = (health) => feeds.filter((feed) => feed.health === health).length;
  const [failing, silent, retired, young] = HEALTHS.map(count);
  const answering = silent + count("fine");
  if (young === feeds.length) return `${many(feeds.length, "feed waits", "feeds wait")} for a first visit.`;
  return `${[
    answering === feeds.length && answering > 1 ? `All ${number(answering)} feeds answer` : `${number(answering)} of ${many(feeds.length, "feed answers", "feeds answer")}`,
    failing ? many(failing, "fails", "fail") : "",
    silent ? many(silent, "has gone silent", "have gone silent") : "",
    young ? many(young, "is not visited yet", "are not visited yet") : "",
    retired ? many(retired, "is gone for good", "are gone for good") : "",
  ].filter(Boolean).join("; ")}.`;
}

// "12 Nov: 96 visits, all answered, 14 new (expected 11-16)"
function daySentence(date, row) {
  const name = dayName.format(new Date(date));
  if (!row) return `${name}: not collected yet`;
  const expected = row.entries_expected === null ? "" :
    ` (expected ${row.expected_low === row.expected_high ? row.expected_low : `${row.expected_low}-${row.expected_high}`})`;
  if (!row.attempts) return `${name}: nobody looked${expected}`;
  const answered = !row.answered ? "none answered" : row.answered === row.attempts ? "all answered" : `${row.answered} answered`;
  const visits = row.attempts > 1 ? `${row.attempts} visits, ${answered}` : `1 visit, ${row.answered ? "answered" : "not answered"}`;
  const so = date === lastDays().at(-1) ? " so far" : "";
  return `${name}: ${visits}, ${row.entries_new} new${so}${expected}${row.status === "silent" ? ", far fewer than usual" : ""}`;
}

function feedSays(feed) {
  if (feed.health === "failing") return `${feed.last_error} (${many(feed.failures, "visit", "visits")} in vain in a row.)`;
  if (feed.health === "silent") return `It answers, but has brought nothing new since ${instant.format(new Date(feed.last_news_at))}.`;
  if (feed.health === "retired") return `Its server says that it is gone for good. “storyshift feeds add” with its address takes it back.`;
  return "";
}

// -- nodes -----------------------------------------------------------------------------------------------------------

function tell(id, text) {
  const node = element(id);
  if (node.textContent !== text) node.textContent = text;
  node.hidden = !text;
}

// The old node becomes equal to the fresh one, changing no more than differs.
function align(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName || old.nodeType !== Node.ELEMENT_NODE) {
    old.replaceWith(fresh);
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const [was, is] = [[...old.childNodes], [...fresh.childNodes]];
  is.forEach((node, place) => (place < was.length ? align(was[place], node) : old.append(node)));
  was.slice(is.length).forEach((node) => node.remove());
}

// The bodies of a table, one a source, brought into line with fresh ones by their key; focus stays.
function fill(table, bodies) {
  const focused = document.activeElement;
  const known = new Map([...table.tBodies].map((body) => [body.dataset.key, body]));
  bodies.forEach((fresh, place) => {
    const old = known.get(fresh.dataset.key);
    known.delete(fresh.dataset.key);
    if (old) align(old, fresh);
    const body = old || fresh;
    if (table.tBodies[place] !== body) table.insertBefore(body, table.tBodies[place] || null);
  });
  for (const gone of known.values()) gone.remove();
  if (table.contains(focused) && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

// One source: a row of cells [class, label, ...content], and below it what there is to say.
function body(key, cells, says) {
  const row = make("tr", "");
  for (const [className, label, ...content] of cells) {
    const cell = make(className === "name" ? "th" : "td", className, ...content);
    if (className === "name") cell.scope = "row";
    if (label) cell.dataset.label = label;
    row.append(cell);
  }
  const whole = make("tbody", "", row);
  whole.dataset.key = key;
  if (says.length) {
    const cell = make("td", "", ...says.map(([className, text]) => make("p", className, text)));
    cell.colSpan = cells.length;
    whole.append(make("tr", "says", cell));
  }
  return whole;
}

const health = (word) => make("span", `health ${word}`, NAMES[word]);

// -- feeds -----------------------------------------------------------------------------------------------------------

function lastDays() {
  const today = Math.floor(Date.now() / DAY);
  return Array.from({ length: DAYS_SHOWN }, (_, place) => new Date((today - DAYS_SHOWN + 1 + place) * DAY).toISOString().slice(0, 10));
}

function strip(feed) {
  const dates = lastDays();
  const chosen = view.url === feed.url ? view.day : DAYS_SHOWN - 1;
  const rows = dates.map((date) => days.get(`${date} ${feed.url}`));
  const cells = rows.map((row, place) => {
    const cell = make("i", row ? row.status : "none");
    cell.title = daySentence(dates[place], row);
    if (view.url === feed.url && place === chosen) cell.classList.add("chosen");
    if (row?.answered && row.answered < row.attempts) {
      cell.classList.add("partly");
      cell.style.setProperty("--failed", `${Math.max(15, Math.round(100 - (100 * row.answered) / row.attempts))}%`);
    }
    return cell;
  });
  const node = make("div", "strip", ...cells);
  const said = { role: "slider", tabindex: 0, "aria-label": `Two weeks of ${feed.outlet}`, "aria-valuemin": 1, "aria-valuemax": DAYS_SHOWN, "aria-valuenow": chosen + 1, "aria-valuetext": daySentence(dates[chosen], rows[chosen]) };
  for (const [name, value] of Object.entries(said)) node.setAttribute(name, value);
  return node;
}

function address(url) {
  if (inReplay) return make("span", "address", "served by the replay itself while it is played");
  if (!/^https?:\/\//i.test(url)) return make("span", "address", url);
  const link = make("a", "address", url);
  Object.assign(link, { href: url, target: "_blank", rel: "noopener noreferrer", title: url });
  return link;
}

function feedBody(feed) {
  const dates = lastDays();
  const says = feedSays(feed);
  const whole = body(feed.url, [
    ["name", "", make("b", "", feed.outlet), address(feed.url)],
    ["kind", "", feed.kind.replace("_", " ")],
    ["condition", "", health(feed.health)],
    ["fortnight", "", strip(feed)],
    ["number", "articles", number(feed.articles)],
    ["time", "last news", when(feed.last_news_at, ago, feed.last_fetched_at ? "not in 14 days" : "–")],
    ["time", "next visit", feed.retired_at ? "–" : when(feed.next_fetch_at, ahead)],
  ], [
    ...(view.url === feed.url ? [["day", daySentence(dates[view.day], days.get(`${dates[view.day]} ${feed.url}`))]] : []),
    ...(says ? [[feed.health, says]] : []),
  ]);
  whole.hidden = Boolean(view.filter) && view.filter !== feed.health;
  return whole;
}

function chips() {
  const chip = (filter, name, count) => {
    const button = make("button", "", filter ? make("span", `health ${filter}`, name) : name, make("small", "", number(count)));
    Object.assign(button, { type: "button" });
    button.dataset.filter = filter;
    button.setAttribute("aria-pressed", String(view.filter === filter));
    return button;
  };
  const counts = HEALTHS.map((word) => [word, feeds.filter((feed) => feed.health === word).length]);
  return [
    chip("", "all", feeds.length),
    ...counts.filter(([word, count]) => count || word === view.filter).map(([word, count]) => chip(word, NAMES[word], count)),
  ];
}

// -- prices and macro series -------------------------------------------------------------------------------------------

function seriesHealth(found) {
  if (found.last_error) return "failing";
  if (found.gaps.length) return inReplay ? "replayed" : "gaps";
  if (!found.source) return "imported";
  return found.n ? "fine" : "empty";
}

const SERIES_HEALTHS = ["failing", "gaps", "replayed", "empty", "imported", "fine"];
const date = (iso) => (iso ? iso.slice(0, 10) : "");

function seriesBody(found) {
  const gaps = found.gaps.slice(-3).map(([from, to]) => `${date(from)} to ${date(to)}`);
  const more = found.gaps.length - gaps.length;
  return body(`${found.kind} ${found.key} ${found.interval}`, [
    ["name", "", make("b", "", found.key), Object.assign(make("span", "address", found.name), { title: found.name })],
    ["kind", "by the", found.interval],
    ["condition", "", health(seriesHealth(found))],
    ["from-to", "", found.n ? `${date(found.first)} to ${date(found.last)}` : "–"],
    ["number", "values", number(found.n)],
    ["source", "from", inReplay ? "the replay" : found.answered_by || found.source || "files"],
    ["time", "loaded", when(found.loaded_at, ago, inReplay ? "–" : "never")],
    ["time", "next", when(found.next_at, ahead)],
  ], [
    ...(found.last_error ? [["failing", `${found.last_error} (${many(found.failures, "try", "tries")} in vain in a row.)`]] : []),
    ...(gaps.length ? [[inReplay ? "" : "gaps", `${inReplay ? "The replay brings nothing" : "Nothing"} from ${gaps.join(", nor from ")}${more ? `, and ${many(more, "earlier gap", "earlier gaps")}` : ""}.`]] : []),
  ]);
}

function seriesHeadline() {
  if (!series.length) return "None yet: “storyshift run” loads them, “storyshift import prices FILE” brings your own.";
  const count = (holds) => series.filter(holds).length;
  const [failing, gaps] = [count((found) => found.last_error), count((found) => found.gaps.length)];
  return `${[
    `${number(count((found) => found.n))} of ${number(series.length)} series have values`,
    failing ? many(failing, "fails", "fail") : "",
    gaps ? (inReplay ? "between the stretches that the replay brings there is nothing" : many(gaps, "has gaps", "have gaps")) : "",
  ].filter(Boolean).join("; ")}.`;
}

// -- showing and hearing -----------------------------------------------------------------------------------------------

const sorted = (items, order, word) => [...items].sort((a, b) => order.indexOf(word(a)) - order.indexOf(word(b)));

function show() {
  tell("verdict", feeds.length ? headline() : "No feed is collected.");
  element("empty").hidden = feeds.length > 0;
  element("feeds-part").hidden = !feeds.length;
  element("series-part").hidden = false;
  const fresh = element("filter").cloneNode();
  fresh.append(...chips());
  align(element("filter"), fresh);
  fill(element("feeds"), sorted(feeds, HEALTHS, (feed) => feed.health).map(feedBody));
  tell("none", view.filter && !feeds.some((feed) => feed.health === view.filter) ? `No feed is ${NAMES[view.filter]} now.` : "");
  tell("series-verdict", seriesHeadline());
  element("series").hidden = !series.length;
  fill(element("series"), sorted(series, SERIES_HEALTHS, seriesHealth).map(seriesBody));
  tell("looked", `As of ${clock(looked)}.`);
}

function readAddress() {
  const given = location.hash.slice(1);
  view.filter = HEALTHS.includes(given) ? given : "";
}

element("filter").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  view.filter = button.dataset.filter;
  history.replaceState(null, "", view.filter ? `#${view.filter}` : location.pathname);
  show();
});

function choose(url, day) {
  Object.assign(view, { url, day });
  show();
}

const urlOf = (node) => node.closest("tbody").dataset.key;

element("feeds").addEventListener("click", (event) => {
  const cell = event.target.closest(".strip i");
  if (cell) choose(urlOf(cell), [...cell.parentNode.children].indexOf(cell));
});

element("feeds").addEventListener("keydown", (event) => {
  const place = event.target.closest(".strip");
  if (!place) return;
  const here = view.url === urlOf(place) ? view.day : DAYS_SHOWN;
  const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: DAYS_SHOWN - 1 }[event.key];
  if (event.key === "Escape") choose("", 0);
  if (to === undefined) return;
  event.preventDefault();
  choose(urlOf(place), Math.min(DAYS_SHOWN - 1, Math.max(0, to)));
});

addEventListener("hashchange", () => {
  readAddress();
  if (looked) show();
});

readAddress();
look();
