// The articles of the bucket that is chosen on the chart, or the copies of one story in their place.

import { thetaText } from "./chart.js";
import { articleItem } from "./listing.js";
import { addressOf, foreign, shortTitle } from "./reading.js";
import { ASSETS, ask, element, link, longDay, make, many } from "./shared.js";
import { bucketEnd, spoken, view, writeAddress } from "./view.js";

const PAGE = matchMedia("(max-width: 820px)").matches ? 6 : 25; // what lies below them is to be reached on a phone
const NEAR = 3;
let turns = 0;

function wanted(narratives) {
  if (view.narrative === "*") return [];
  return view.narrative ? [view.narrative] : narratives.filter((one) => one.core).map(({ narrative }) => narrative);
}

const known = () => (view.as_of ? { as_of: view.as_of } : {});

function chip(text, pressed, press) {
  const button = make("button", "", text);
  button.type = "button";
  if (pressed != null) button.setAttribute("aria-pressed", String(pressed));
  button.addEventListener("click", press);
  return button;
}

// -- one bucket --------------------------------------------------------------------------------------------------------

function drawChips(told) {
  const { narratives } = told;
  const again = (name) => {
    writeAddress();
    list(told);
    [...element("chips").children].find((other) => other.textContent === name)?.focus();
  };
  const chips = [{ narrative: "", name: "Core narratives" }, ...narratives, { narrative: "*", name: "All articles" }].map(({ narrative, name, definition }) =>
    Object.assign(chip(name, view.narrative === narrative, () => {
      view.narrative = narrative;
      again(name);
    }), { title: definition || "" }));
  // Only what names an asset: so says an address from the page of lead and lag. Pressed again, it goes.
  const asset = chip(`naming ${ASSETS[view.asset] || view.asset} ✕`, true, () => {
    view.asset = "";
    again("Core narratives");
  });
  element("chips").replaceChildren(...chips, ...(view.asset ? [asset] : []));
}

function emptyItem() {
  return make("li", "", view.narrative === "*" ? `No article is known of this date${view.as_of ? " yet" : ""}.` :
    `No article of this date carries ${view.narrative ? "this narrative" : "a core narrative"}; “All articles” shows the others.`);
}

// told: { narratives, points }.
export function list(told) {
  const point = told.points.find((shift) => shift.bucket_start === view.at);
  drawChips(told);
  element("articles-title").textContent = `Articles of ${spoken(view.at)}`;
  element("summary").textContent = point ? `θ ${thetaText(point)}` : "";
  element("near").hidden = false;
  element("near-said").replaceChildren(make("b", "", spoken(view.at).replace(/^t/, "T")), point ? ` θ ${thetaText(point)}` : "");
  const asked = { start: view.at, end: bucketEnd(view.at), narrative: wanted(told.narratives), asset: view.asset, ...known() };
  element("search").hidden = false;
  element("search").href = addressOf("/articles", { ...asked, start: view.at.slice(0, 10), end: bucketEnd(view.at).slice(0, 10) });
  return listPage(asked, "");
}

async function listPage(asked, cursor) {
  const turn = ++turns;
  try {
    const page = await ask("articles", { ...asked, cursor, limit: PAGE });
    if (turn !== turns) return;
    const items = page.data.map((article) => articleItem(article, known()));
    if (cursor) element("list").append(...items);
    else element("list").replaceChildren(...(items.length ? items : [emptyItem()]));
    if (!cursor) tellNear(page);
    element("more").hidden = !page.next_cursor;
    element("more").onclick = () => listPage(asked, page.next_cursor);
  } catch (error) {
    if (turn === turns) element("summary").textContent = error.message;
  }
}

// The first of them beside the chart, where they were asked for.
function tellNear({ data, next_cursor: more }) {
  element("near-list").replaceChildren(...data.slice(0, NEAR).map((article) => {
    const title = foreign("span", "", ...shortTitle(article));
    return make("li", "", link(addressOf(`/articles/${article.id}`, known()), title), make("small", "", article.outlet));
  }));
  if (!data.length) element("near-list").replaceChildren(emptyItem());
  element("near-more").textContent = data.length ? `${many(data.length, "article", "articles")}${more ? " and more" : ""} ↓` : "Articles ↓";
}

// -- one story -----------------------------------------------------------------------------------------------------------

// The copies of one story; back() leads to the articles of the bucket again.
export async function listStory(back) {
  const turn = ++turns;
  element("chips").replaceChildren(chip(view.at ? `← Articles of ${spoken(view.at)}` : "← Back", null, back));
  element("more").hidden = true;
  element("near").hidden = true;
  element("search").hidden = true;
  element("articles-title").textContent = "One story";
  element("summary").textContent = "Looking for its articles …";
  element("list").replaceChildren();
  try {
    const story = await ask(`stories/${encodeURIComponent(view.story)}`, known());
    if (turn !== turns) return;
    element("summary").textContent = `${many(story.articles.length, "article", "articles")} of ${many(story.outlets, "outlet", "outlets")}; the first is of ${longDay(story.event_at)}.`;
    element("list").replaceChildren(...story.articles.map((article) => articleItem(article, known())));
  } catch (error) {
    if (turn === turns) element("summary").textContent = error.message;
  }
}
