// What the pages of articles share: names, words for labels and instants, and texts with their evidence marked.
// All text from feeds is set as text, never as markup.

import { ask, cut, details, link, longDay, make, many, signed } from "./shared.js";

export const names = { narratives: [], assets: [] };
const SHOWN_OF_TITLE = 300;
const found = (key) => names.narratives.find(({ narrative }) => narrative === key);

export async function learnNames() {
  const [narratives, assets] = await Promise.all([ask("narratives"), ask("assets")]);
  Object.assign(names, { narratives: narratives.data, assets: assets.data.filter((asset) => asset.mentioned) });
}

// -- words -----------------------------------------------------------------------------------------------------------

export const nameOf = (key) => (found(key) || {}).name || key;
export const poleOf = (key) => (found(key) || {}).pole || "context";
export const assetName = (key) => (names.assets.find(({ asset }) => asset === key) || {}).name || key;
export const times = (n) => (n === 1 ? "once" : `${n} times`);

export function directionWord(key, direction) {
  const words = key === "liquidity" ? ["tightening", "", "easing"] : ["fading", "", "building"];
  return words[Math.sign(direction) + 1];
}

export const tagWords = (tag) => [directionWord(tag.narrative, tag.direction), tag.modality].filter(Boolean).join(", ");
export const toneWords = (tone) => (tone == null ? "" : signed(tone, 1));

const isDay = (instant) => instant.includes("T23:59:59Z"); // a date without a time
export const timeOf = (instant) => (isDay(instant) ? "" : instant.slice(11, 16));
export const when = (instant) => (isDay(instant) ? longDay(instant) : `${longDay(instant)}, ${timeOf(instant)} UTC`);
const read = (text) => new Date(text.length > 10 && !/[zZ]|[+-]\d\d:?\d\d$/.test(text) ? `${text}Z` : text);

// A date of knowledge as the address holds it: a day, an instant, or what is neither ("").
export function asOfWords(text) {
  return Number.isNaN(read(text).getTime()) ? "" : text.length === 10 ? longDay(text) : when(read(text).toISOString());
}

const sameMinute = (one, other) => one.slice(0, 16) === other.slice(0, 16);

// When it was known, if that differs from when it was published.
export function knownWords(article) {
  if (article.knowledge !== "observed" || sameMinute(article.event_at, article.known_at)) return "";
  return article.event_at.slice(0, 10) === article.known_at.slice(0, 10) ? timeOf(article.known_at) || "that day" : when(article.known_at).replace(" UTC", "");
}

// The address of an article's page, or of the search, with what is asked of it.
export function addressOf(path, asked) {
  const query = new URLSearchParams(Object.entries(asked).flatMap(([name, value]) => [value].flat().filter(Boolean).map((one) => [name, one])));
  return String(query) ? `${path}?${query}` : path;
}

// -- texts with their evidence -----------------------------------------------------------------------------------------

// Words of a search that stand in a text, as spans; a word without its plural s also begins longer ones.
function hits(text, q) {
  const wanted = (q.match(/-?"[^"]*"|\S+/g) || []).filter((word) => word !== "OR" && word !== "AND" && !word.startsWith("-"))
    .flatMap((word) => word.match(/[\p{L}\p{N}]+/gu) || []);
  const begins = wanted.map((word) => (word.length > 3 ? word.replace(/s$/i, "") : word));
  if (!begins.length) return [];
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(?:${begins.join("|")})[\\p{L}\\p{N}]*`, "giu");
  return [...text.matchAll(pattern)].map((match) => {
    const start = Array.from(text.slice(0, match.index)).length;
    return { start, end: start + Array.from(match[0]).length, row: "search", why: "searched for" };
  });
}

// Of the narratives in `only` alone, if it names any; then an asset is marked where it is the one asked for.
function spansOf(article, field, { only = [], asset = "" }) {
  const tags = article.narratives.filter((tag) => tag.label && (!only.length || only.includes(tag.narrative)));
  const mentions = article.assets.filter((mention) => (asset ? mention.asset === asset : !only.length));
  return [
    ...tags.flatMap((tag) => tag.evidence.map((span) => ({ ...span, row: `narrative:${tag.narrative}`, pole: poleOf(tag.narrative), why: [nameOf(tag.narrative), tagWords(tag)].filter(Boolean).join(", ") }))),
    ...mentions.flatMap((mention) => mention.spans.map((span) => ({ ...span, row: `asset:${mention.asset}`, why: assetName(mention.asset) }))),
  ].filter((span) => span.field === field);
}

// The text of a field as nodes: evidence in the colour of its pole, assets underlined, words searched for in bold.
export function marked(article, field, text, { q = "", limit = Infinity, ...rest } = {}) {
  const characters = Array.from(text);
  const told = characters.slice(0, limit).join("");
  const nodes = cut(told, [...spansOf(article, field, rest), ...hits(told, q)]).map((piece) => {
    if (!piece.over.length) return document.createTextNode(piece.text);
    const pole = piece.over.find((span) => span.pole)?.pole;
    const classes = [pole || (piece.over.some((span) => span.row.startsWith("asset:")) ? "asset" : "plain"), piece.over.some((span) => span.row === "search") ? "hit" : ""];
    const mark = make("mark", classes.filter(Boolean).join(" "), piece.text);
    mark.title = [...new Set(piece.over.map((span) => span.why))].join("; ");
    mark.dataset.over = [...new Set(piece.over.map((span) => span.row))].join(" ");
    return mark;
  });
  return characters.length > limit ? [...nodes, " …"] : nodes;
}

// A node for text from a feed: its direction is its own and turns nothing beside it.
export function foreign(tag, className, ...content) {
  return Object.assign(make(tag, className, ...content), { dir: "auto" });
}

export const shortTitle = (article, options) => marked(article, "title", article.title, { limit: SHOWN_OF_TITLE, ...options });

// -- labels ------------------------------------------------------------------------------------------------------------

const TOLD = 0.5; // a score above which the tagger told, or nearly told, what a reviewer says is not there
export const carriedBy = (article) => article.narratives.filter((tag) => tag.label);
export const deniedOf = (article) => article.narratives.filter((tag) => tag.reviewed && !tag.label && tag.score >= TOLD);
const reviewed = (label) => (label.reviewed ? [make("small", "reviewed", "reviewed")] : []);

// What an article carries and names, as a list; then what a reviewer says it does not carry.
export function labelList(article) {
  const carried = carriedBy(article).map((tag) => make("li", `carries ${poleOf(tag.narrative)}`,
    make("b", "", nameOf(tag.narrative)), tagWords(tag) ? ` ${tagWords(tag)}` : "", ...reviewed(tag)));
  const named = article.assets.map((mention) => {
    const item = make("li", "names", assetName(mention.asset), ...(mention.tone == null ? [] : [make("span", "quiet", ", tone"), make("b", "tone", ` ${toneWords(mention.tone)}`)]), ...reviewed(mention));
    return Object.assign(item, { title: mention.tone == null ? "" : "Tone from −1, it falls or looks bad, to +1, it rises or looks good" });
  });
  const denied = deniedOf(article).map((tag) => make("li", "", `not ${nameOf(tag.narrative)}`, ...reviewed(tag)));
  const list = make("ul", "labelled", ...carried, ...named, ...denied);
  list.setAttribute("aria-label", "Carries and names");
  return list.children.length ? [list] : [];
}

// -- copies ------------------------------------------------------------------------------------------------------------

function copyItem(copy, article, asked) {
  const outlet = Object.assign(link(addressOf(`/articles/${copy.id}`, asked), copy.outlet), { dir: "auto" });
  const item = make("li", "", outlet, make("span", "", `published ${when(copy.event_at)}${knownWords(copy) ? `, known ${knownWords(copy)}` : ""}`));
  if (copy.removed_at) item.append(make("span", "", "taken down"));
  else if (copy.title !== article.title) item.append(foreign("span", "", Array.from(copy.title).slice(0, SHOWN_OF_TITLE).join("")));
  return item;
}

// The other articles of an article's story, as a list; `asked` is as_of and tagger.
export async function copiesOf(article, asked) {
  const story = await ask(`stories/${article.story_id}`, asked);
  const others = story.articles.filter((copy) => copy.id !== article.id);
  return make("ul", "stories", ...others.map((copy) => copyItem(copy, article, asked)));
}

// Opens to the copies, which are asked for only then.
export function copiesFold(article, asked) {
  const place = make("div", "");
  const fold = details("copies", many(article.echoes, "copy", "copies"), place);
  const load = async () => {
    if (!fold.open) return;
    place.replaceChildren(make("p", "caveat", "Looking for the copies …"));
    try {
      place.replaceChildren(await copiesOf(article, asked));
      fold.removeEventListener("toggle", load);
    } catch (error) {
      place.replaceChildren(make("p", "caveat", error.message));
    }
  };
  fold.addEventListener("toggle", load);
  return fold;
}
