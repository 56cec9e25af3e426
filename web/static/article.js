// The page of one article: its text with the evidence marked, what it carries and names, its wordings, when and where it was seen.
// All text from feeds is set as text, never as markup.

import { addressOf, asOfWords, assetName, copiesOf, directionWord, foreign, learnNames, marked, nameOf, poleOf, times, toneWords, when } from "./reading.js";
import { ask, daysAround, details, element, link, longDay, make, many, table } from "./shared.js";

const id = location.pathname.split("/")[2];
const given = new URLSearchParams(location.search);
const asked = { as_of: given.get("as_of") || "", tagger: given.get("tagger") || "" };
const KEPT = 60; // characters of an unchanged stretch that stay beside a change
const FIELDS = { title: "Title", summary: "Summary", body: "Text" };
const LONG = 200; // characters of a title that is set smaller
const QUOTED = 80; // characters of a passage in the legend; the text shows all of it
let chosen = "";

// -- the text --------------------------------------------------------------------------------------------------------

function drawText({ article, body }) {
  document.title = `Storyshift: ${Array.from(article.title).slice(0, 100).join("")}`;
  element("title").replaceChildren(...marked(article, "title", article.title));
  element("title").classList.toggle("long", article.title.length > LONG);
  element("standfirst").replaceChildren(...marked(article, "summary", article.summary));
  element("text").replaceChildren(...marked(article, "body", body));
  for (const [name, text] of [["standfirst", article.summary], ["text", body]]) element(name).hidden = !text;
}

function drawImprint(article) {
  const search = link(addressOf("/articles", { outlet: article.outlet, ...asked }), foreign("bdi", "", article.outlet));
  const edited = article.revisions > 1 ? [link("#wordings", `edited ${times(article.revisions - 1)}`)] : [];
  const parts = [make("b", "", search), when(article.event_at), ...(article.language === "en" ? [] : [`language ${article.language}`]), ...edited];
  element("imprint").replaceChildren(...parts.map((part) => make("span", "", part)));
}

function drawLinks(article) {
  const links = [];
  if (/^https?:\/\//i.test(article.url || "")) links.push(Object.assign(link(article.url, "Read it at the publisher"), { rel: "noopener noreferrer" }));
  else if (article.url) links.push(make("span", "", "Its address is none that a browser opens."));
  links.push(link(`/review#article=${article.id}`, "Review its labels"), link(daysAround(article.event_at.slice(0, 10)), "The story around that day"));
  element("links").replaceChildren(...links);
}

// -- what it carries and names ---------------------------------------------------------------------------------------

function row(key, className, name, said, quotes, reviewed) {
  const button = Object.assign(make("button", className, make("b", "", name), ...(reviewed ? [make("small", "reviewed", "reviewed")] : []), make("span", "", said)), { type: "button" });
  button.dataset.row = key;
  button.setAttribute("aria-pressed", "false");
  button.disabled = !quotes.length;
  button.addEventListener("click", () => choose(chosen === key ? "" : key));
  return make("li", "", button, ...(quotes.length ? [make("p", "quotes", ...quotes)] : []));
}

function quotesOf(spans) {
  return [...new Set(spans.map((span) => span.text))].map((text) => {
    const characters = Array.from(text);
    return foreign("q", "", characters.length > QUOTED ? `${characters.slice(0, QUOTED).join("").replace(/\s\S*$/, "")} …` : text);
  });
}

function narrativeRow(tag) {
  const score = tag.score == null ? "told by a reviewer alone" : `score ${tag.score.toFixed(2)}`;
  const said = [directionWord(tag.narrative, tag.direction) || "neither way", tag.modality, score, ...(tag.evidence.length ? [] : ["no passage named"])].filter(Boolean).join(" · ");
  return row(`narrative:${tag.narrative}`, `pole ${poleOf(tag.narrative)}`, nameOf(tag.narrative), said, quotesOf(tag.evidence), tag.reviewed);
}

function assetRow(mention) {
  const said = [`tone ${mention.tone == null ? "not known" : toneWords(mention.tone)}`, `salience ${mention.salience == null ? "not known" : mention.salience.toFixed(1)}`].join(" · ");
  return row(`asset:${mention.asset}`, "", assetName(mention.asset), said, quotesOf(mention.spans), mention.reviewed);
}

function drawLabels(article) {
  const carried = article.narratives.filter((tag) => tag.label);
  const others = article.narratives.filter((tag) => !tag.label && tag.score != null);
  element("carried").replaceChildren(...carried.map(narrativeRow));
  element("carried-said").textContent = carried.length ? `By ${article.tagger}. Press one to see its evidence alone.` :
    article.narratives.length || article.assets.length ? `It carries none, says ${article.tagger}.` : `None is told by ${article.tagger}; it may not have read it yet.`;
  element("named").replaceChildren(...article.assets.map(assetRow));
  element("named-said").textContent = article.assets.length ? "" : "It names none.";
  element("named-said").hidden = Boolean(article.assets.length);
  const rows = others.map((tag) => [nameOf(tag.narrative), tag.score.toFixed(2), tag.reviewed ? "a reviewer says no" : "below what tells it"]);
  element("others").replaceChildren(...(rows.length ? [details("", `${many(rows.length, "score", "scores")} of what it does not carry`, table("Scores of narratives it does not carry", ["Narrative", "Score", "Why not"], rows))] : []));
}

const HUES = { panic: "panic", devaluation: "devaluation", context: "calm" };

// One narrative or asset alone is marked, in its own colour, or all of them again.
function choose(key) {
  chosen = key;
  for (const button of document.querySelectorAll("[data-row]")) button.setAttribute("aria-pressed", String(button.dataset.row === key));
  const [kind, name] = key.split(":");
  const marks = [...document.querySelectorAll("mark[data-over]")];
  for (const mark of marks) {
    const own = mark.dataset.over.split(" ").includes(key);
    mark.classList.toggle("off", Boolean(key) && !own);
    mark.classList.toggle("chosen", own);
    mark.style.setProperty("--hue", own ? `var(--${kind === "asset" ? "accent" : HUES[poleOf(name)]})` : "");
  }
  const first = marks.find((mark) => mark.classList.contains("chosen"));
  if (first) first.scrollIntoView({ block: "nearest" });
}

// -- wordings --------------------------------------------------------------------------------------------------------

// Of a long unchanged stretch only what stands beside a change is kept.
function shortened(text, first, last) {
  const characters = Array.from(text);
  if (characters.length <= 3 * KEPT) return [text];
  const [before, after] = [characters.slice(0, KEPT).join("").replace(/\s\S*$/, ""), characters.slice(-KEPT).join("").replace(/^\S*\s/, "")];
  return [first ? "" : before, Object.assign(make("span", "gap", " … "), { title: "unchanged" }), last ? "" : after];
}

function partNode({ op, text }, place, all) {
  if (op === "same") return make("span", "", ...shortened(text, place === 0, place === all.length - 1));
  return make(op === "removed" ? "del" : "ins", "", make("span", "quiet", `${op}: `), text, make("span", "quiet", " "));
}

function wordingItem(revision, place) {
  const head = make("h3", "", place ? `Edited, seen ${when(revision.seen_at)}` : `First wording, seen ${when(revision.seen_at)}`);
  if (!place) return make("li", "", head, foreign("p", "", Array.from(revision.title).slice(0, 300).join("")));
  const changes = (revision.changes || []).flatMap(({ field, parts }) => [make("dt", "", FIELDS[field] || field), Object.assign(make("dd", "", ...parts.map(partNode)), { dir: "auto" })]);
  return make("li", "", head, changes.length ? make("dl", "changes", ...changes) : make("p", "caveat", "Nothing that a reader sees was changed."));
}

function drawWordings(history) {
  const edits = history.length - 1;
  element("wordings").hidden = edits < 1;
  element("wordings-said").textContent = `Edited ${times(edits)} since it was first seen; the latest first.`;
  element("wording-list").replaceChildren(...history.map(wordingItem).reverse());
}

// -- when and where --------------------------------------------------------------------------------------------------

function drawClocks({ article, sightings, history }) {
  const known = article.knowledge === "observed" ? when(article.known_at) : `${when(article.known_at)}, assumed: it came from an archive`;
  const seen = make("ul", "stories", ...sightings.map((one) => make("li", "", foreign("bdi", "", one.outlet), make("span", "", when(one.seen_at)), make("span", "address", one.url))));
  const told = [
    ["Published", when(article.event_at)], ...(article.date_note ? [["Date repaired", article.date_note]] : []), ["Known", known],
    ...(history.length === 1 && !article.removed_at ? [["Edited", "not since it was first seen"]] : []), ["Came by", article.origin], ["Tagger", article.tagger], ...(sightings.length ? [[`Seen in ${many(sightings.length, "feed", "feeds")}`, seen]] : []),
  ];
  element("clocks").replaceChildren(...told.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]));
}

async function drawCopies(article) {
  let said = "Its copies have not been looked for yet.";
  try {
    if (article.story_id != null) {
      const copies = await copiesOf(article, asked);
      said = copies.children.length ? `${many(copies.children.length, "article tells", "articles tell")} the same text; together they count as one story.` : "No copy of it is known.";
      if (copies.children.length) element("copy-list").replaceChildren(copies);
    }
  } catch (error) {
    said = error.message;
  }
  element("copies-said").textContent = said;
  element("copies").setAttribute("aria-busy", "false");
}

// -- the whole -------------------------------------------------------------------------------------------------------

function tellNothing(said, ...nodes) {
  element("nothing").hidden = false;
  element("nothing").querySelector("p").textContent = said;
  element("nothing").querySelector("div").replaceChildren(...nodes);
}

function tellThen() {
  element("then").hidden = !asOfWords(asked.as_of);
  element("then").replaceChildren(`As it was known on ${asOfWords(asked.as_of)}. `, link(addressOf(location.pathname, { ...asked, as_of: "" }), "Show what is known now"));
}

function drawTakenDown(whole) {
  tellNothing(`This article was taken down on ${longDay(whole.article.removed_at)}.`,
    make("p", "caveat", "Its text, its evidence and its address are deleted. What was counted stays counted, and no later visit brings the text back."),
    make("p", "links", link(daysAround(whole.article.event_at.slice(0, 10)), "The story around that day")));
  for (const part of document.querySelectorAll("#wording, .legend-of")) part.remove();
}

function draw(whole) {
  const { article } = whole;
  element("nothing").hidden = true;
  if (article.removed_at) drawTakenDown(whole);
  else {
    drawText(whole);
    drawImprint(article);
    drawLinks(article);
    drawLabels(article);
    drawWordings(whole.history);
  }
  element("whole").hidden = false;
  drawClocks(whole);
  drawCopies(article);
  const key = `narrative:${given.get("narrative")}`;
  if (given.getAll("narrative").length === 1 && document.querySelector(`[data-row="${CSS.escape(key)}"]:enabled`)) choose(key);
  if (location.hash === "#wordings" && !element("wordings").hidden) element("wordings").scrollIntoView();
}

function tellFailed(error) {
  const again = Object.assign(make("button", "main", "Try again"), { type: "button" });
  again.addEventListener("click", begin);
  const later = error.status === 404 && asked.as_of ? [make("p", "caveat", "It may have become known later: ", link(location.pathname, "look without a date of knowledge"), ".")] : [];
  const known = error.status === 404 || error.status === 422;
  tellNothing(error.message, ...later, make("p", "links", ...(known ? [link("/articles", "Search the articles")] : [again])));
}

async function begin() {
  tellThen();
  tellNothing("Reading the article …");
  try {
    const [whole] = await Promise.all([ask(`articles/${id}`, asked), learnNames()]);
    draw(whole);
  } catch (error) {
    tellFailed(error);
  }
}

element("back").href = sessionStorage.getItem("articles") || "/articles";
begin();
