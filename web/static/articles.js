// The page of articles: a search and its filters, all of it in the address, and what it finds, by day, newest first.
// Flow: read the view from the address -> ask the API -> list; a change of the form writes the address and asks anew.

import { addressOf, asOfWords, assetName, copiesFold, directionWord, foreign, knownWords, labelList, learnNames, marked, nameOf, names, shortTitle, times, timeOf } from "./reading.js";
import { DAY, ask, element, isoDay, link, longDay, make, many } from "./shared.js";

const form = element("search");
const fields = form.elements;
const PAGE = 50;
const MOST = 200; // articles that one answer holds, and so one file
const SHOWN_OF_SUMMARY = 420;
const PLAIN = ["q", "direction", "asset", "outlet", "start", "end", "as_of", "tagger", "fold"];
const wide = matchMedia("(min-width: 821px)");
let view = { narrative: [] };
let shown = 0;
let turn = 0;

// -- the view in the address -----------------------------------------------------------------------------------------

function readAddress() {
  const given = new URLSearchParams(location.search);
  view = { narrative: given.getAll("narrative"), ...Object.fromEntries(PLAIN.map((name) => [name, (given.get(name) || "").trim()])) };
  if (view.fold !== "false") view.fold = "";
  if (!view.narrative.length) view.direction = "";
}

const address = (changes) => addressOf("/articles", { ...view, ...changes });
const question = () => ({ ...view, fold: view.fold || "true" });

function go(changes) {
  const before = address({});
  Object.assign(view, changes);
  if (!view.narrative.length) view.direction = "";
  if (address({}) === before) return;
  history.pushState(null, "", address({}));
  show();
}

// -- the form --------------------------------------------------------------------------------------------------------

// "to" is the last day shown; the address holds the end, which is exclusive.
const lastDay = (end) => (Number.isNaN(Date.parse(end)) ? "" : isoDay(Date.parse(end) - 1));
const dayOf = (text) => (/^\d{4}-\d\d-\d\d/.test(text) ? text.slice(0, 10) : "");
const endOf = (day) => (day ? isoDay(Date.parse(day) + DAY) : "");

function fillForm() {
  for (const name of ["q", "asset", "outlet"]) fields[name].value = view[name];
  for (const name of ["start", "as_of"]) fields[name].value = dayOf(view[name]);
  fields.end.value = lastDay(view.end);
  fields.fold.checked = !view.fold;
  for (const chip of element("narratives").querySelectorAll("button")) chip.setAttribute("aria-pressed", String(view.narrative.includes(chip.value)));
  fillDirections();
  const n = filters().filter(({ name }) => name !== "q").length;
  element("filters").querySelector("summary").textContent = n ? `Filters (${n})` : "Filters";
  element("clear").hidden = !filters().length;
}

function fillDirections() {
  const words = (direction) => [...new Set(view.narrative.map((key) => directionWord(key, direction)))].join(" or ");
  element("direction").hidden = !view.narrative.length;
  fields.direction.replaceChildren(...[["", "any direction"], ["building", words(1)], ["fading", words(-1)], ["neither", "neither"]].map(([value, text]) => new Option(text, value)));
  fields.direction.value = view.direction;
}

// What an instant in the address says is kept, unless its day was changed.
const kept = (name) => (dayOf(view[name]) === fields[name].value ? view[name] : fields[name].value);

function hear() {
  if (!form.checkValidity()) return;
  go({
    q: fields.q.value.trim(), direction: fields.direction.value, asset: fields.asset.value, outlet: fields.outlet.value.trim(),
    start: kept("start"), as_of: kept("as_of"),
    end: lastDay(view.end) === fields.end.value ? view.end : endOf(fields.end.value), fold: fields.fold.checked ? "" : "false",
  });
}

function narrativeChip({ narrative, name, definition, pole }) {
  const chip = Object.assign(make("button", `pole ${pole}`, name), { type: "button", value: narrative, title: definition });
  chip.addEventListener("click", () => {
    const chosen = view.narrative.includes(narrative) ? view.narrative.filter((one) => one !== narrative) : [...view.narrative, narrative];
    go({ narrative: chosen });
  });
  return chip;
}

async function fillChoices() {
  element("narratives").prepend(...names.narratives.map(narrativeChip));
  fields.asset.replaceChildren(new Option("any asset", ""), ...names.assets.map(({ asset, name }) => new Option(name, asset)));
  const feeds = await ask("feeds").catch(() => ({ data: [] })); // any outlet can be typed
  offerOutlets(feeds.data.map((feed) => feed.outlet));
}

function offerOutlets(outlets) {
  const offered = [...element("outlets").children].map((option) => option.value);
  const all = [...new Set([...offered, ...outlets])].sort((one, other) => one.localeCompare(other));
  element("outlets").replaceChildren(...all.map((outlet) => new Option("", outlet)));
}

// What narrows the view, each with what takes it away.
function filters() {
  const called = {
    q: `the words “${view.q}”`, direction: `told as ${fields.direction.selectedOptions[0]?.text}`, asset: `naming ${assetName(view.asset)}`, outlet: `the outlet ${view.outlet}`,
    start: `from ${view.start.slice(0, 10)}`, end: `to ${lastDay(view.end) || view.end}`, as_of: `as known on ${asOfWords(view.as_of) || view.as_of}`, tagger: `the tagger ${view.tagger}`,
  };
  const narrative = view.narrative.length ? [{ name: "narrative", text: view.narrative.map(nameOf).join(" or "), without: { narrative: [], direction: "" } }] : [];
  return [...Object.entries(called).filter(([name]) => view[name]).map(([name, text]) => ({ name, text, without: { [name]: "" } })), ...narrative];
}

// -- what is found ---------------------------------------------------------------------------------------------------

async function show() {
  fillForm();
  document.title = ["Storyshift: articles", view.q].filter(Boolean).join(", ");
  sessionStorage.setItem("articles", address({}));
  for (const format of ["csv", "parquet"]) {
    element(format).href = addressOf("/v1/articles", { ...question(), limit: MOST, format });
    element(format).download = `articles.${format}`;
  }
  element("then").hidden = !asOfWords(view.as_of);
  element("then").replaceChildren(`As it was known on ${asOfWords(view.as_of)}: nothing that came later is shown. `, inside({ as_of: "" }, "Show what is known now"));
  shown = 0;
  element("days").replaceChildren(...skeleton());
  await load("");
}

async function load(cursor) {
  const mine = ++turn;
  element("none").hidden = true;
  busy(true, cursor ? "" : "Looking for articles …");
  try {
    const page = await ask("articles", { ...question(), cursor, limit: PAGE });
    if (mine !== turn) return;
    if (!cursor) element("days").replaceChildren();
    const first = list(page.data);
    shown += page.data.length;
    offerOutlets(page.data.map((article) => article.outlet));
    tellFound(page.next_cursor);
    element("more").onclick = () => load(page.next_cursor);
    if (cursor) first?.focus({ preventScroll: true });
    if (!shown) await tellNone(mine);
  } catch (error) {
    if (mine === turn) tellFailed(error, cursor);
  } finally {
    if (mine === turn) busy(false);
  }
}

function busy(on, said) {
  element("found").setAttribute("aria-busy", String(on));
  element("more").disabled = on;
  if (!on) return;
  if (said) element("found-said").textContent = said;
  element("more").hidden = element("more").hidden || Boolean(said);
}

function tellFound(more) {
  const n = shown ? `${many(shown, "article", "articles")} shown` : "No article found";
  element("found-said").textContent = more ? `${n}, the newest; there are more.` : shown ? `${n}, all there are.` : `${n}.`;
  element("more").hidden = !more;
  element("downloads").hidden = !shown;
  element("downloads").firstElementChild.textContent = more ? `Download up to ${MOST}:` : "Download:";
}

function tellFailed(error, cursor) {
  const again = Object.assign(make("button", "main", "Try again"), { type: "button" });
  again.addEventListener("click", () => (cursor ? load(cursor) : show()));
  if (!cursor) {
    element("days").replaceChildren();
    element("downloads").hidden = true;
    element("more").hidden = true;
  }
  element("found-said").textContent = cursor ? "The next articles could not be read." : "Nothing can be shown.";
  tell(make("p", "", error.message), make("p", "ends-left", ...(error.status === 422 ? [] : [again]), ...(filters().length ? [inside(Object.assign({}, ...filters().map(({ without }) => without)), "Clear all filters")] : [])));
}

function tell(...nodes) {
  element("none").className = "message";
  element("none").replaceChildren(...nodes);
  element("none").hidden = false;
}

// Nothing is found: with filters which of them to loosen, each tried; without any what to do.
async function tellNone(mine) {
  const given = filters();
  if (!given.length) {
    tell(make("p", "", "No article is known yet. While ", make("code", "", "storyshift run"), " goes on, feeds are collected and show here."),
      make("p", "", "An archive starts at once: ", make("code", "", "storyshift import news FILE"), ", then ", make("code", "", "storyshift tag"), "."));
    return;
  }
  const tried = await Promise.all(given.map(({ without }) => ask("articles", { ...question(), ...without, limit: 1 }).then(({ data }) => data.length, () => 0)));
  if (mine !== turn) return;
  const helps = given.filter((one, place) => tried[place]);
  const all = inside(Object.assign({}, ...given.map(({ without }) => without)), "Clear all filters");
  if (given.length === 1 && !helps.length) tell(make("p", "", `No article is known by ${given[0].text}.`), make("p", "", all));
  else if (helps.length) tell(make("p", "", "Nothing matches all of it. Something is found without"), make("ul", "loosen", ...helps.map(({ text, without }) => make("li", "", inside(without, text)))), make("p", "", all));
  else tell(make("p", "", "Nothing matches all of it, nor without any one of the filters."), make("p", "", all));
}

// A link to this view with something else in it, that needs no new page.
function inside(changes, ...content) {
  const node = link(address(changes), ...content);
  node.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(changes);
    element("found-title").focus();
  });
  return node;
}

function skeleton() {
  return Array.from({ length: 4 }, () => Object.assign(make("div", "skeleton", make("i"), make("i"), make("i")), { ariaHidden: "true" }));
}

// Returns the link of the first one.
function list(articles) {
  const items = articles.map((article) => {
    const day = article.event_at.slice(0, 10);
    let group = element("days").lastElementChild;
    if (group?.dataset.day !== day) {
      const head = Object.assign(make("h3", "", dayWords(day)), { id: `day-${day}` });
      group = make("section", "day", head, make("ol", "articles"));
      group.dataset.day = day;
      group.lastElementChild.setAttribute("aria-labelledby", head.id);
      element("days").append(group);
    }
    const item = articleItem(article);
    group.lastElementChild.append(item);
    return item;
  });
  return items[0]?.querySelector("h4 a");
}

const dayWords = (day) => `${new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", weekday: "long" }).format(new Date(day))}, ${longDay(day)}`;

function articleItem(article) {
  const [time, known] = [timeOf(article.event_at), knownWords(article)];
  const rail = make("p", "rail", make("span", "outlet", inside({ outlet: article.outlet }, foreign("bdi", "", article.outlet))),
    ...(time ? [Object.assign(make("time", "", time), { dateTime: article.event_at })] : []), ...(known ? [make("span", "", `known ${known}`)] : []));
  return make("li", "", make("article", "", rail, make("div", "told-of", ...(article.removed_at ? takenDown(article) : wording(article)))));
}

const asked = () => ({ as_of: view.as_of, tagger: view.tagger });
const pageOf = (article, place = "") => addressOf(`/articles/${article.id}`, { ...asked(), narrative: view.narrative }) + place;

function takenDown(article) {
  return [make("h4", "", link(pageOf(article), "Taken down")), make("p", "lead", `On ${longDay(article.removed_at)} its text, evidence and address were deleted; what was counted stays counted.`)];
}

function wording(article) {
  const options = { q: view.q, only: view.narrative, asset: view.asset };
  const nodes = [foreign("h4", "", link(pageOf(article), ...shortTitle(article, options)))];
  if (article.summary) nodes.push(foreign("p", "lead", ...marked(article, "summary", article.summary, { ...options, limit: SHOWN_OF_SUMMARY })));
  nodes.push(...labelList(article));
  const more = [];
  if (article.revisions > 1) more.push(Object.assign(link(pageOf(article, "#wordings"), `edited ${times(article.revisions - 1)}`), { className: "edited" }));
  if (article.echoes > 0) more.push(copiesFold(article, asked()));
  return more.length ? [...nodes, make("div", "and", ...more)] : nodes;
}

// -- hearing ---------------------------------------------------------------------------------------------------------

form.addEventListener("submit", (event) => {
  event.preventDefault();
  hear();
});
fields.q.addEventListener("search", hear); // also when it is cleared
form.addEventListener("change", (event) => {
  if (event.target !== fields.q) hear();
});
element("clear").addEventListener("click", (event) => {
  event.preventDefault();
  go(Object.assign({}, ...filters().map(({ without }) => without)));
});

// One item on, one back; past the last one stands "Show more".
function move(step) {
  const stops = [...document.querySelectorAll("#days h4 a"), ...(element("more").hidden ? [] : [element("more")])];
  const item = document.activeElement.closest("#days li");
  const here = stops.indexOf(item ? item.querySelector("h4 a") : document.activeElement);
  stops[here < 0 ? 0 : Math.min(stops.length - 1, Math.max(0, here + step))]?.focus();
}

const STEPS = { j: 1, k: -1, ArrowDown: 1, ArrowUp: -1 };

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape" && event.target === fields.q) {
    event.preventDefault();
    fields.q.blur();
  }
  if (event.target.closest("input, textarea, select")) return;
  if (event.key === "/") {
    fields.q.focus();
    fields.q.select();
  } else if (!STEPS[event.key] || (event.key.startsWith("Arrow") && !event.target.closest("#days li, #more"))) return;
  else move(STEPS[event.key]);
  event.preventDefault();
});

addEventListener("popstate", () => {
  readAddress();
  show();
});

// On a wide screen the filters stand open.
function unfold() {
  element("filters").open = wide.matches;
}
wide.addEventListener("change", unfold);

async function begin() {
  unfold();
  readAddress();
  element("days").replaceChildren(...skeleton());
  for (const chip of element("narratives").querySelectorAll("button")) chip.remove();
  try {
    await learnNames();
    await Promise.all([fillChoices(), show()]);
  } catch (error) {
    element("days").replaceChildren();
    element("found-said").textContent = "Nothing can be shown.";
    const again = Object.assign(make("button", "main", "Try again"), { type: "button" });
    again.addEventListener("click", begin);
    tell(make("p", "", error.message), make("p", "", again));
    element("found").setAttribute("aria-busy", "false");
  }
}

begin();
