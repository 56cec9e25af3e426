// The page of reviewing: what waits, one article at a time; what is said of it goes on to the server by itself.
// A verdict lies in localStorage from the key that decides it until the server has answered: nothing is lost.

import { ask, cut, element, link, make, many } from "./shared.js";

const BATCH = 10;
const LEAST_LEFT = 4;
const MOST = 50; // what the server counts and gives at most
const LONGEST_WAIT = 30000;
const TOO_LONG = 20000;
const DIRECTIONS = [-1, 0, 1];
const SIGNS = { "-1": "−", 0: "0", 1: "+" };
const DIGITS = "123456789"; // 0 is a direction
const SLICES = { "": "All that waits", audit: "Drawn at random", uncertain: "Doubtful", disagreement: "Disputed", second: "Second reading" };
const CALLED = { audit: "drawn at random", uncertain: "doubtful", disagreement: "disputed", second: "second reading", search: "search", chosen: "chosen" };
const SKIPS = [["c", "cannot tell"], ["w", "not news"], ["b", "broken text"], ["e", "not English"]];
const TITLE = document.title;

let me = null; // {reviewer, csrf}
let narratives = []; // of the API, in its order
let assets = [];
const view = { slice: "", blind: false, search: "", narrative: "", article: "" };

let current = null; // what is shown: {item, given, said, row, spent}
let following = []; // what comes then
let past = []; // what was decided here, the last one last: as current, with uid
let handled = new Set(); // revisions of these, not to be shown again
let turn = 0; // rises when something else is asked for
let loading = false;
let reload = 0;
let waiting = {}; // by slice, how many
let capped = new Set(); // slices of which there may be more
let searched = false;
let total = null; // of a search
const spent = []; // seconds of each article
let before = null; // how many (false: nobody tells) were reviewed today when the server was asked
let since = 0;
let marks = []; // of the text that is shown

// -- what is shown of it, and what is said ------------------------------------------------------------------------------

const isSearch = () => Boolean(view.search);
const listed = () => (isSearch() ? [narratives.find((one) => one.narrative === view.narrative) || newNarrative(view.narrative)] : narratives);
const newNarrative = (key) => ({ narrative: key, name: `${key.charAt(0).toUpperCase()}${key.slice(1)}`.replaceAll("_", " "), definition: "Not defined yet: you say what it is by what you find." });
const hasModality = (key) => key === "liquidity";

function directionWord(key, direction) {
  const words = hasModality(key) ? ["tightening", "neither", "easing"] : ["fading", "neither", "building"];
  return words[direction + 1];
}

// The labels with which an article comes. What is off has the direction that it would have.
function labelsOf(item) {
  const told = new Map(item.article.narratives.map((tag) => [tag.narrative, tag]));
  const found = { narratives: {}, assets: {}, note: "" };
  for (const { narrative } of listed()) {
    const tag = told.get(narrative);
    const unknown = isSearch() ? 0 : 1;
    const modality = hasModality(narrative) ? (tag && tag.modality) || "actual" : null;
    found.narratives[narrative] = { on: Boolean(tag && tag.label), direction: tag ? Math.sign(tag.direction) : unknown, modality };
  }
  if (isSearch()) return found;
  const known = new Set(assets.map((asset) => asset.asset));
  for (const mention of item.article.assets.filter((one) => known.has(one.asset))) {
    found.assets[mention.asset] = { on: true, tone: Math.sign(Math.round(mention.tone || 0)) };
  }
  return found;
}

const rows = () => (current ? [...Object.keys(current.said.narratives).map((key) => `narrative:${key}`), ...Object.keys(current.said.assets).map((key) => `asset:${key}`)] : []);
const part = (row) => row.split(":");

function labelOf(row, said = current.said) {
  const [kind, key] = part(row);
  return said[`${kind}s`][key];
}

function inWords(row, label) {
  const [kind, key] = part(row);
  if (!label || !label.on) return kind === "asset" ? "not named" : "off";
  if (kind === "asset") return `tone ${SIGNS[label.tone]}`;
  return directionWord(key, label.direction) + (label.modality ? `, ${label.modality}` : "");
}

function nameOf(row) {
  const [kind, key] = part(row);
  if (kind === "asset") return (assets.find((one) => one.asset === key) || { name: key }).name;
  return (listed().find((one) => one.narrative === key) || { name: key }).name;
}

// What is sent: always a verdict that the server takes.
function verdict(entry, skipped) {
  const { item, said } = entry;
  const body = { uid: newUid(), revision_id: item.article.revision_id, slice: item.slice, narratives: {}, whole: true, blind: item.blind };
  if (said.note) body.note = said.note;
  if (skipped) return { ...body, skipped };
  for (const [key, label] of Object.entries(said.narratives)) {
    if (label.on) body.narratives[key] = { direction: label.direction, ...(hasModality(key) ? { modality: label.modality } : {}) };
    else if (isSearch()) body.narratives[key] = null;
  }
  if (isSearch()) return { ...body, whole: false };
  const named = Object.entries(said.assets).filter(([, label]) => label.on);
  return { ...body, assets: Object.fromEntries(named.map(([key, label]) => [key, label.tone])) };
}

function newUid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// -- keeping and sending ------------------------------------------------------------------------------------------------
// One thing to do under one key, so that pages of two tabs never write over each other's. The uid makes sending twice
// harmless, and an undo that does not know its review's id learns it by sending the review again.

const outbox = new Map();
let sending = false;
let retries = 0;
let retry = 0;
let lastAt = 0;
let trouble = "";

const placeOf = (todo) => `storyshift-review:${me.reviewer}:${me.record}:${todo.what}:${todo.uid}`;

function keep(todo) {
  try {
    localStorage.setItem(placeOf(todo), JSON.stringify({ ...todo, mine: undefined }));
  } catch {
    tell("This browser keeps nothing (its storage is full or turned off): leave this page open until all is saved.");
  }
}

function put(todo) {
  lastAt = Math.max(Date.now(), lastAt + 1);
  const whole = { at: lastAt, mine: true, ...todo };
  outbox.set(placeOf(whole), whole);
  keep(whole);
  drawUnsaved();
  send();
}

function drop(todo) {
  outbox.delete(placeOf(todo));
  try {
    localStorage.removeItem(placeOf(todo));
  } catch {
    // nothing was kept
  }
}

function keptOf(todo) {
  try {
    return localStorage.getItem(placeOf(todo));
  } catch {
    return null;
  }
}

// What an earlier page, or another tab, left behind.
function findKept() {
  const begins = `storyshift-review:${me.reviewer}:${me.record}:`;
  try {
    for (let place = 0; place < localStorage.length; place += 1) {
      const key = localStorage.key(place);
      if (!key.startsWith(begins) || outbox.has(key)) continue;
      try {
        const todo = JSON.parse(localStorage.getItem(key));
        outbox.set(placeOf(todo), todo);
      } catch {
        // not ours
      }
    }
  } catch {
    // no storage
  }
}

// Whose verdicts wait in this browser, for whoever has no session now.
function keptByWhom() {
  const found = {};
  try {
    for (const key of Object.keys(localStorage)) {
      const [ours, who] = key.split(":");
      if (ours === "storyshift-review") found[who] = (found[who] || 0) + 1;
    }
  } catch {
    // no storage
  }
  return found;
}

const inOrder = () => [...outbox.values()].sort((a, b) => a.at - b.at);
const unsaved = () => inOrder().filter((todo) => !todo.refused);
const pendingReviews = () => unsaved().filter((todo) => todo.what === "review");

async function write(method, path, body) {
  let response;
  try {
    response = await fetch(`/v1/${path}`, {
      method, signal: AbortSignal.timeout(TOO_LONG), body: body && JSON.stringify(body),
      headers: { Accept: "application/json", "Content-Type": "application/json", "X-Storyshift-CSRF": me.csrf || "" },
    });
    const answer = await response.json().catch((error) => (response.ok ? Promise.reject(error) : {}));
    if (response.ok) return answer;
    throw Object.assign(new Error(answer.detail || `The server answered ${response.status}.`), { status: response.status });
  } catch (error) {
    throw error.status ? error : Object.assign(new Error("The server does not answer."), { status: 0 });
  }
}

async function deliver(todo) {
  let id = todo.id;
  if (todo.what === "review" || id == null) id = (await write("POST", "reviews", todo.body)).id;
  if (todo.what === "review") {
    for (const entry of past) if (entry.uid === todo.uid) entry.id = id;
    for (const other of outbox.values()) if (other.uid === todo.uid && other.what === "undo") other.id = id;
  } else await write("DELETE", `reviews/${id}`);
}

async function send() {
  if (sending || !me) return;
  sending = true;
  clearTimeout(retry);
  try {
    for (let todo = unsaved()[0]; todo; todo = unsaved()[0]) {
      if (!todo.mine && keptOf(todo) == null) { // another tab has done it
        outbox.delete(placeOf(todo));
        continue;
      }
      todo.tried = true;
      try {
        await deliver(todo);
        drop(todo);
        retries = 0;
        if (trouble) tell(trouble = "");
      } catch (error) {
        if (await mustWait(error, todo)) return;
      }
      drawUnsaved();
    }
    if (!current && view.article) tellEmpty();
    else if (!current) load();
    else if (since >= BATCH) tellProgress();
  } finally {
    sending = false;
    drawUnsaved();
  }
}

// Whether sending stops for now; else the next one can be sent, or this one again.
async function mustWait(error, todo) {
  const others = error.status === 403 && (await beginSession().then(() => "", (found) => (found.status ? "" : found.message)));
  if (error.status === 403 && !others && !todo.renewed) { // another link was opened in this browser
    todo.renewed = true;
    return false;
  }
  if (others) trouble = others;
  else if (error.status === 401) {
    trouble = `Your session has ended; what you decided is kept in this browser. Open a new link (\`storyshift keys link ${me.reviewer}\`) and it is saved.`;
  } else if (error.status >= 500 || [0, 408, 425, 429].includes(error.status)) {
    trouble = `${error.message} What you decide is kept in this browser, and saved once the server is back.`;
  } else {
    refuse(todo, error.message);
    return false;
  }
  tell(trouble);
  retries += 1;
  retry = setTimeout(sendAgain, Math.min(LONGEST_WAIT, 500 * 2 ** retries));
  return true;
}

async function sendAgain() {
  if (sending || !me || !unsaved().length) return;
  if (trouble.startsWith("Your session")) await beginSession().catch(() => {});
  send();
}

function refuse(todo, why) {
  const review = [...outbox.values()].find((other) => other.uid === todo.uid && other.what === "review");
  if (todo.what === "undo") {
    drop(todo);
    if (review) drop(review); // it never counted, so there is nothing to take back
    else tell(`It could not be taken back. ${why}`);
  } else {
    todo.refused = why;
    keep(todo);
  }
  drawRefused();
}

function drawUnsaved() {
  const n = unsaved().length;
  element("unsaved").hidden = !n;
  element("unsaved").textContent = `${n} not yet saved`;
  document.title = n ? `(${n} not yet saved) ${TITLE}` : TITLE;
}

function drawRefused() {
  const found = inOrder().filter((todo) => todo.refused);
  element("refused").hidden = !found.length;
  element("refused").replaceChildren(...found.map((todo) => {
    const item = make("li", "", make("span", "", `Not saved: “${todo.title}”. ${todo.refused} `));
    item.append(button("Correct", () => correct(todo)), button("Discard", () => {
      drop(todo);
      drawRefused();
      drawUnsaved();
    }));
    return item;
  }));
}

// The article of a refused verdict, with what was said of it; the verdict goes when the article is there.
async function correct(todo) {
  const searched = todo.body.slice === "search";
  const fits = searched ? isSearch() && view.narrative in todo.body.narratives : !isSearch();
  if (!fits) return tell(searched ? "This was said in a search: open that search again to correct it, or discard it." : "Leave the search (key q) to correct this one.");
  try {
    const mine = past.find((entry) => entry.uid === todo.uid);
    const item = mine ? mine.item : (await ask("review/queue", { article_id: todo.article_id, blind: todo.body.blind ? "true" : "" })).data[0];
    const entry = mine || { item: { ...item, slice: todo.body.slice } };
    if (!mine) fill(entry, todo.body);
    past = past.filter((one) => one !== mine);
    handled.delete(item.article.revision_id);
    drop(todo);
    drawRefused();
    drawUnsaved();
    following = [current, ...following].filter((one) => one && one.item.article.revision_id !== item.article.revision_id);
    show(entry);
  } catch (error) {
    tell(error.message);
  }
}

function fill(entry, body) {
  entry.given = labelsOf(entry.item);
  entry.said = structuredClone(entry.given);
  entry.said.note = body.note || "";
  for (const [key, label] of Object.entries(entry.said.narratives)) {
    label.on = Boolean(body.narratives[key]);
    if (label.on) Object.assign(label, body.narratives[key]);
  }
  for (const label of Object.values(entry.said.assets)) label.on = false;
  for (const [key, tone] of Object.entries(body.assets || {})) entry.said.assets[key] = { on: true, tone };
}

addEventListener("beforeunload", (event) => {
  if (unsaved().length) event.preventDefault();
});
addEventListener("online", sendAgain);
addEventListener("focus", sendAgain);

// -- what comes next ----------------------------------------------------------------------------------------------------

function question(limit) {
  const search = isSearch() ? { search: view.search, narrative: view.narrative } : {};
  return { limit, slice: isSearch() ? "search" : view.slice, blind: view.blind ? "true" : "", article_id: view.article, ...search };
}

async function load() {
  clearTimeout(reload);
  if (loading || !me) return;
  loading = true;
  const asked = turn;
  const pending = pendingReviews();
  const had = past.length;
  try {
    const answer = await ask("review/queue", question(Math.min(MOST, BATCH + following.length + pending.length + 1)));
    if (asked !== turn) return;
    const held = new Set([current, ...following].filter(Boolean).map((entry) => entry.item.article.revision_id));
    for (const todo of pending) held.add(todo.body.revision_id);
    for (const item of answer.data) {
      const revision = item.article.revision_id;
      if (!held.has(revision) && (view.article || !handled.has(revision))) following.push({ item });
    }
    waiting = answer.waiting;
    capped = new Set(Object.keys(waiting).filter((slice) => waiting[slice] >= MOST));
    for (const todo of pending) if (todo.body.slice in waiting) waiting[todo.body.slice] -= 1;
    if (isSearch()) total = waiting.search + had;
    for (const entry of past.slice(had)) count(entry, -1); // decided while the server answered
    loading = false;
    if (!current) showFirst();
    else drawProgress();
    if (!unsaved().length && trouble) tell(trouble = "");
  } catch (error) {
    if (asked !== turn) return;
    if (error.status === 401) trouble = "Your session has ended. Open a new link (`storyshift keys link NAME`), then come back.";
    else if (error.status && error.status < 500) trouble = "";
    else trouble = error.message;
    if (error.status !== 401 && error.status < 500) return current ? tell(error.message) : empty(error.message, "");
    tell(trouble);
    if (!current) empty("Nothing can be shown now.", `${error.message} It is tried again.`);
    reload = setTimeout(load, 5000);
  } finally {
    loading = false;
    if (asked !== turn) load();
  }
}

function count(entry, by) {
  if (entry.item.slice in waiting) waiting[entry.item.slice] = Math.max(0, waiting[entry.item.slice] + by);
}

function showNext() {
  if (following.length <= LEAST_LEFT && !view.article) load();
  showFirst();
}

function showFirst() {
  current = null;
  const next = following.shift();
  if (next) show(next);
  else tellEmpty();
}

function tellEmpty() {
  if (pendingReviews().length || loading) return empty("One moment …", "What you decided is being saved; more comes then.");
  if (view.article) return empty("That was the one you chose.", "");
  if (isSearch()) return empty("All that was found has been read.", `Nothing else in the record holds the words “${view.search}”.`);
  if (view.slice === "second") return empty("Nothing waits for a second reading.", "What another has read, and you have not, comes here.");
  if (view.slice) return empty(`Nothing waits that is ${CALLED[view.slice]}.`, "The key q chooses something else.");
  return empty("All that was drawn has been read, and nothing is doubtful or disputed.", "More comes with the news.");
}

function empty(verdictText, more) {
  element("work").hidden = true;
  element("nothing").hidden = false;
  element("nothing").querySelector(".verdict").textContent = verdictText;
  element("nothing").querySelector(".caveat").textContent = more;
  element("again").hidden = !me;
  for (const id of ["accept", "skip", "note", "yes", "no"]) element(id).disabled = true;
  element("undo").disabled = !past.length;
  drawProgress();
}

// -- deciding -----------------------------------------------------------------------------------------------------------

function decide(skipped) {
  if (!current) return;
  const entry = current;
  const body = verdict(entry, skipped);
  const { article } = entry.item;
  entry.uid = body.uid;
  entry.id = null;
  past.push(entry);
  handled.add(article.revision_id);
  spent.push((performance.now() - entry.since) / 1000);
  since += 1;
  count(entry, -1);
  put({ what: "review", uid: body.uid, body, title: article.title, article_id: article.id });
  showNext();
  say(`${skipped ? `Skipped, ${skipped}` : summed(body)}. — ${article.title}`);
}

// In few words, to be told and heard.
function summed(body) {
  const held = Object.entries(body.narratives).filter(([, label]) => label).map(([key, label]) => `${nameOf(`narrative:${key}`)} ${directionWord(key, label.direction)}`);
  const named = Object.entries(body.assets || {}).map(([key, tone]) => `${key} ${SIGNS[tone]}`);
  return [...(held.length ? held : [isSearch() ? "It does not" : "No narrative"]), ...named].join(", ");
}

function undo() {
  const last = past.pop();
  if (!last) return say("There is nothing to take back.");
  const sent = [...outbox.values()].find((todo) => todo.what === "review" && todo.uid === last.uid);
  if (sent && (sent.refused || (!sent.tried && keptOf(sent) != null))) drop(sent); // another tab may have sent it
  else put({ what: "undo", uid: last.uid, id: last.id, body: sent ? sent.body : null, title: last.item.article.title });
  handled.delete(last.item.article.revision_id);
  spent.pop();
  since -= 1;
  count(last, 1);
  if (current) following.unshift(current);
  show(last);
  drawRefused();
  drawUnsaved();
  say("Taken back: say it anew.");
}

// -- changing -----------------------------------------------------------------------------------------------------------

function change(row, what) {
  current.row = row;
  Object.assign(labelOf(row), what);
  draw();
  say(`${nameOf(row)}: ${inWords(row, labelOf(row))}.`);
}

function toggle(row) {
  change(row, { on: !labelOf(row).on });
}

function byDigit(place) {
  const row = rows()[place];
  if (row && part(row)[0] === "narrative") toggle(row);
}

function turnTo(direction) {
  if (current.row) change(current.row, part(current.row)[0] === "asset" ? { on: true, tone: direction } : { on: true, direction });
}

function turnOff() {
  if (!current.row) return;
  const [kind, key] = part(current.row);
  const row = current.row;
  if (kind === "asset" && !current.given.assets[key]) {
    const place = rows().indexOf(row);
    delete current.said.assets[key];
    current.row = rows()[Math.min(place, rows().length - 1)] || "";
    draw();
    say(`${nameOf(row)}: taken out.`);
  } else change(row, { on: false });
}

function turnModality() {
  const row = "narrative:liquidity";
  const label = labelOf(row);
  if (label) change(row, label.on ? { modality: label.modality === "actual" ? "expected" : "actual" } : { on: true });
}

function allOff() {
  if (isSearch()) return;
  const on = Object.entries(current.said.narratives).filter(([, label]) => label.on).map(([key]) => key);
  if (on.length) current.cleared = on;
  for (const [key, label] of Object.entries(current.said.narratives)) label.on = !on.length && (current.cleared || []).includes(key);
  draw();
  say(on.length ? "No narrative holds." : "As before.");
}

function focusRow(row) {
  current.row = row;
  draw();
  const node = document.querySelector(`[data-row="${row}"]`);
  if (node) node.scrollIntoView({ block: "nearest" });
  say(`${nameOf(row)}: ${inWords(row, labelOf(row))}.`);
}

function moveFocus(step) {
  const all = rows();
  if (!all.length) return;
  const place = all.indexOf(current.row);
  focusRow(all[place < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, place + step))]);
}

function addAsset(key) {
  change(`asset:${key}`, {});
}

// -- drawing ------------------------------------------------------------------------------------------------------------

function button(text, act, className = "") {
  const node = make("button", className, text);
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

function show(entry) {
  current = entry;
  const { item } = entry;
  const { article } = item;
  entry.given ||= labelsOf(item);
  entry.said ||= structuredClone(entry.given);
  entry.row ??= isSearch() ? rows()[0] : doubtful(item) || rows().find((row) => labelOf(row).on && part(row)[0] === "narrative") || "";
  element("nothing").hidden = true;
  element("work").hidden = false;
  element("slice").textContent = CALLED[item.slice] || item.slice;
  element("slice").hidden = item.slice === "chosen";
  const called = `${CALLED[item.slice]}: `;
  element("why").textContent = (item.why.toLowerCase().startsWith(called) ? item.why.slice(called.length) : item.why) + (item.blind ? " Blind: the tagger’s labels are not shown." : "");
  marks = [];
  element("title").replaceChildren(...marked(item, "title", article.title));
  element("summary").replaceChildren(...marked(item, "summary", article.summary));
  element("summary").hidden = !article.summary;
  element("body").replaceChildren(...marked(item, "body", item.body));
  element("about").replaceChildren(...aboutOf(article));
  drawEarlier(item.reviews);
  drawRows();
  draw();
  for (const id of ["accept", "skip", "note", "yes", "no"]) element(id).disabled = false;
  fold(true);
  const top = element("work").getBoundingClientRect().top;
  if (top < 0 || matchMedia("(max-width: 960px)").matches) scrollBy(0, top - 8); // on a small screen the text comes first
  element("title").focus({ preventScroll: true });
  drawProgress();
  entry.since = performance.now();
}

// The row that an article is shown for, where the tagger is in doubt: that with the score nearest to one half.
function doubtful({ slice, article }) {
  if (slice !== "uncertain") return "";
  const scored = article.narratives.filter((tag) => tag.score != null && tag.narrative in current.said.narratives);
  const [first] = scored.sort((a, b) => Math.abs(a.score - 0.5) - Math.abs(b.score - 0.5));
  return first ? `narrative:${first.narrative}` : "";
}

function aboutOf(article) {
  const parts = [article.outlet, `${article.event_at.replace("T23:59:59Z", "").slice(0, 16).replace("T", " ")}${article.event_at.includes("T23:59:59Z") ? "" : " UTC"}`];
  if (article.language && article.language !== "en") parts.push(`language ${article.language}`);
  const nodes = parts.map((text) => make("span", "", text));
  if (/^https?:\/\//i.test(article.url || "")) nodes.push(Object.assign(link(article.url, "the original"), { target: "_blank", rel: "noreferrer noopener" }));
  return nodes;
}

function drawEarlier(reviews) {
  const lines = reviews.map((review) => {
    const found = review.verdicts.filter((one) => one.verdict !== "accepted").map((one) => `${one.verdict} ${nameOf(`${one.kind}:${one.key}`)}`);
    return `${review.reviewer} read it on ${review.given_at.slice(0, 10)}: ${review.skipped != null ? `skipped, ${review.skipped}` : found.join(", ") || "accepted as told"}.${review.note ? ` “${review.note}”` : ""}`;
  });
  element("earlier").hidden = !lines.length;
  element("earlier").textContent = lines.join(" ");
}

// The text of a field as nodes; whose evidence a mark is decides how it looks, see drawMarks.
function marked(item, field, text) {
  const { article } = item;
  const spans = [
    ...article.narratives.flatMap((tag) => tag.evidence.map((span) => ({ ...span, row: `narrative:${tag.narrative}` }))),
    ...article.assets.flatMap((mention) => mention.spans.map((span) => ({ ...span, row: `asset:${mention.asset}` }))),
  ].filter((span) => span.field === field);
  return cut(text, spans).map((piece) => {
    if (!piece.over.length) return document.createTextNode(piece.text);
    const node = make("mark", "", piece.text);
    marks.push({ node, over: [...new Set(piece.over.map((span) => span.row))] });
    return node;
  });
}

function drawMarks() {
  for (const { node, over } of marks) {
    const on = over.filter((row) => (labelOf(row) || {}).on);
    const chosen = over.includes(current.row);
    const asset = !chosen && on.every((row) => row.startsWith("asset:"));
    node.className = chosen ? "chosen" : !on.length ? "off" : asset ? "asset" : "";
    node.title = (chosen && !on.length ? [current.row] : on).map(nameOf).join(", ");
  }
}

// A row of segments: one of several values.
function segments(says, values, act) {
  const group = make("div", "segments");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", says);
  for (const [value, text, word] of values) {
    const node = button(text, () => act(value));
    node.dataset.value = value;
    if (word) Object.assign(node, { ariaLabel: word, title: word });
    group.append(node);
  }
  return group;
}

function press(group, value) {
  for (const node of group.children) node.setAttribute("aria-pressed", String(node.dataset.value === String(value)));
}

function rowNode(row, key, name, hint) {
  const node = make("li", "row");
  node.dataset.row = row;
  const named = button("", () => toggle(row), "name");
  named.append(make("span", "", name), make("small", "was"));
  named.title = hint;
  node.append(...(key ? [make("kbd", "", key)] : []), named);
  const choose = () => {
    if (!current || current.row === row) return;
    current.row = row;
    draw();
  };
  node.addEventListener("focusin", choose);
  node.addEventListener("click", choose);
  return node;
}

function drawRows() {
  element("narratives").replaceChildren(...listed().map((narrative, place) => {
    const key = narrative.narrative;
    const row = `narrative:${key}`;
    const node = rowNode(row, isSearch() ? "" : DIGITS[place] || "", narrative.name, narrative.definition);
    const ways = DIRECTIONS.map((way) => [way, `${SIGNS[way]} ${directionWord(key, way)}`, directionWord(key, way)]);
    node.append(segments("Direction", ways, (direction) => change(row, { on: true, direction: Number(direction) })));
    if (hasModality(key)) {
      const modality = segments("Modality", [["actual", "actual"], ["expected", "expected"]], (value) => change(row, { on: true, modality: value }));
      modality.classList.add("modality");
      node.append(modality);
    }
    return node;
  }));
  drawAssets();
}

function drawAssets() {
  element("assets").replaceChildren(...Object.keys(current.said.assets).map((key) => {
    const row = `asset:${key}`;
    const node = rowNode(row, "", nameOf(row), key);
    const tones = [[-1, "−", "it falls or looks bad"], [0, "0", "neither or both"], [1, "+", "it rises or looks good"]];
    node.append(segments("Tone", tones, (tone) => change(row, { on: true, tone: Number(tone) })));
    return node;
  }));
}

function draw() {
  const shownAssets = [...element("assets").children].map((node) => node.dataset.row);
  if (shownAssets.join() !== rows().filter((row) => row.startsWith("asset:")).join()) drawAssets();
  for (const node of document.querySelectorAll("#work .row")) {
    const { row } = node.dataset;
    const label = labelOf(row);
    const was = inWords(row, labelOf(row, current.given));
    const is = inWords(row, label);
    const [directions, modality] = node.querySelectorAll(".segments");
    node.classList.toggle("on", label.on);
    node.classList.toggle("changed", was !== is && !current.item.blind);
    if (current.row === row) node.setAttribute("aria-current", "true");
    else node.removeAttribute("aria-current");
    node.querySelector(".name").setAttribute("aria-pressed", String(label.on));
    node.querySelector(".was").textContent = was === is || current.item.blind ? "" : `${was} → ${is}`;
    press(directions, label.on ? label.tone ?? label.direction : "");
    if (modality) press(modality, label.on ? label.modality : "");
  }
  element("meaning").textContent = meaning();
  element("noted").hidden = !current.said.note;
  element("noted").textContent = `Note: ${current.said.note}`;
  drawMarks();
}

function meaning() {
  if (!current.row) return "No narrative is told of it. A row’s key, or j, chooses a row and says what it means.";
  const [kind, key] = part(current.row);
  if (kind === "asset") return `${nameOf(current.row)} (${key})`;
  const tag = current.item.article.narratives.find((one) => one.narrative === key);
  const score = tag && tag.score != null ? ` The tagger’s score: ${tag.score.toFixed(2)}.` : "";
  return listed().find((one) => one.narrative === key).definition.trim() + score;
}

// The body beyond some lines is folded away; says so if evidence lies there.
function fold(folded) {
  const body = element("body");
  body.hidden = !body.textContent;
  body.classList.toggle("folded", folded);
  const more = !body.hidden && (!folded || body.scrollHeight > body.clientHeight + 4);
  const bottom = body.getBoundingClientRect().bottom;
  const below = folded && more && marks.some(({ node }) => body.contains(node) && node.className !== "off" && node.getBoundingClientRect().top > bottom - 24);
  body.classList.toggle("cut", folded && more);
  element("open").hidden = !more;
  element("open").setAttribute("aria-expanded", String(!folded));
  element("open").replaceChildren(folded ? `Show all of it${below ? ": there is evidence further down" : ""} ` : "Show less ", make("kbd", "", "o"));
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function drawProgress() {
  const parts = [typeof before !== "number" ? `${many(past.length, "article", "articles")} in this session` : `${(before + since).toLocaleString("en")} read today`];
  if (spent.length) parts.push(`${median(spent).toFixed(spent.length && median(spent) < 10 ? 1 : 0)} s each`);
  const left = Object.entries(waiting).filter(([slice]) => slice in CALLED && !["chosen", "search"].includes(slice) && waiting[slice]);
  if (left.length) parts.push(`waiting: ${left.map(([slice, n]) => `${n} ${capped.has(slice) ? "or more " : ""}${slice === "second" ? "for a second reading" : CALLED[slice]}`).join(", ")}`);
  element("progress").textContent = parts.join(" · ");
  const place = past.length + 1;
  element("count").textContent = isSearch() && current && total ? `${place} of ${Math.max(total, place)}${capped.has("search") ? " or more" : ""}` : "";
  element("undo").disabled = !past.length;
}

function drawAsked() {
  const search = isSearch();
  element("choose").firstElementChild.textContent = search ? `Search: ${view.search}` : view.article ? `Article ${view.article}` : SLICES[view.slice] || "All that waits";
  element("blind").setAttribute("aria-pressed", String(view.blind));
  element("narratives-title").textContent = search ? `Does it tell ${listed()[0].name.toLowerCase()}?` : "Narratives";
  for (const id of ["yes", "no"]) element(id).hidden = !search;
  for (const id of ["accept", "none", "note"]) element(id).hidden = search;
  element("assets-part").hidden = search;
}

const say = (text) => { element("said").textContent = text; };

function tell(text) {
  element("message").hidden = !text;
  element("message").textContent = text;
}

// What the reviews have bought. An older server does not tell it.
async function tellProgress() {
  if (before === false) return;
  const earlier = since;
  since = 0;
  const pending = pendingReviews().length;
  try {
    const answer = await ask("review/progress");
    before = answer.today + pending;
    element("bought").textContent = answer.sentences.join(" ");
    element("bought").hidden = !answer.sentences.length;
  } catch (error) {
    since += earlier;
    if (error.status === 404) before = false;
  }
  drawProgress();
}

// -- asking the reviewer ------------------------------------------------------------------------------------------------

const menu = element("menu");
let asked = null; // {options: [[key, letter, text, value]], act, filter}

function openMenu(title, options, act, field = null) {
  asked = { options, act, field, at: 0 };
  element("menu-title").textContent = title;
  element("menu-field").hidden = !field;
  menu.querySelector("[type=submit]").hidden = !field;
  const input = menu.querySelector("input");
  if (field) {
    element("menu-field").querySelector("span").textContent = field.label;
    input.value = field.value || "";
  }
  drawMenu();
  if (!menu.open) menu.showModal();
  (field ? input : menu.querySelector("#menu-list button")).focus();
  if (field) input.select();
}

function chosenOptions() {
  const { options, field } = asked;
  const letters = field ? menu.querySelector("input").value.trim().toLowerCase() : "";
  if (!letters) return options;
  const found = options.filter((option) => option.text.toLowerCase().split(/[\s()/-]+/).some((word) => word.startsWith(letters)) || option.text.toLowerCase().startsWith(letters));
  const exact = (option) => (String(option.value).toLowerCase() === letters ? 0 : 1);
  return found.sort((a, b) => exact(a) - exact(b));
}

function drawMenu() {
  const found = chosenOptions();
  asked.at = Math.max(0, Math.min(asked.at, found.length - 1));
  element("menu-list").replaceChildren(...found.map((option, place) => {
    const node = button("", () => pick(option.value));
    node.append(...(option.key ? [make("kbd", "", option.key), " "] : []), option.text);
    if (asked.field && place === asked.at) node.setAttribute("aria-current", "true");
    if (option.pressed != null) node.setAttribute("aria-pressed", String(option.pressed));
    return make("li", "", node);
  }));
  if (asked.field && asked.options.length && !found.length) element("menu-list").append(make("li", "caveat", "No asset has such a name."));
}

function pick(value) {
  const { act } = asked;
  menu.close();
  element("title").focus({ preventScroll: true });
  act(value);
}

menu.querySelector("input").addEventListener("input", () => {
  asked.at = 0;
  drawMenu();
});
menu.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!asked.field) return;
  if (!asked.options.length) return pick(menu.querySelector("input").value.trim());
  const found = chosenOptions()[asked.at];
  if (found) pick(found.value);
});
menu.querySelector("[value=cancel]").addEventListener("click", () => menu.close());
menu.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && asked.field) {
    asked.at += step;
    drawMenu();
    event.preventDefault();
  } else if (step) {
    const nodes = [...menu.querySelectorAll("#menu-list button")];
    nodes[Math.max(0, Math.min(nodes.length - 1, nodes.indexOf(document.activeElement) + step))].focus();
    event.preventDefault();
  }
  if (asked.field || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const place = asked.options.findIndex((option, n) => event.key.toLowerCase() === option.key || event.key === DIGITS[n]);
  if (place < 0) return;
  event.preventDefault();
  pick(asked.options[place].value);
});
for (const dialog of [menu, element("help")]) { // a press beside it closes it
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}
element("help").addEventListener("keydown", (event) => {
  if (event.key !== "?") return;
  event.preventDefault();
  element("help").close();
});

function askSkip() {
  if (!current) return;
  const options = [...SKIPS.map(([key, text]) => ({ key, text, value: text })), { key: "t", text: "type why …", value: "" }];
  openMenu("Skip, because", options, (why) => {
    if (why) decide(why);
    else openMenu("Skip, because", [], (typed) => typed && decide(typed), { label: "Why" });
  });
}

function askNote() {
  if (!current) return;
  openMenu("Note", [], (text) => {
    current.said.note = text;
    draw();
    say(text ? "Noted." : "No note.");
  }, { label: "What is to be remembered", value: current.said.note });
}

function askAsset() {
  if (!current || isSearch()) return;
  const named = current.said.assets;
  const options = assets.filter((asset) => asset.mentioned).map((asset) => ({ text: `${asset.asset} ${asset.name}${(named[asset.asset] || {}).on ? " (named)" : ""}`, value: asset.asset }));
  openMenu("Add an asset", options, (key) => {
    named[key] ||= { on: true, tone: 0 };
    named[key].on = true;
    addAsset(key);
  }, { label: "Its first letters" });
}

function askSlices() {
  const options = Object.entries(SLICES).map(([value, text], place) => ({ key: DIGITS[place], text: `${text}${value in waiting ? ` (${waiting[value]})` : ""}`, value, pressed: !isSearch() && !view.article && view.slice === value }));
  openMenu("What to review", options, (slice) => setView({ slice, search: "", narrative: "", article: "" }));
}

// -- the address --------------------------------------------------------------------------------------------------------

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  Object.assign(view, {
    slice: given.get("slice") in SLICES ? given.get("slice") : "", blind: given.get("blind") === "true" || given.get("blind") === "on",
    search: (given.get("search") || "").trim(), narrative: given.get("narrative") || "", article: given.get("article") || "",
  });
}

function setView(what) {
  Object.assign(view, what);
  const given = new URLSearchParams(Object.entries(view).filter(([, value]) => value).map(([name, value]) => [name, value === true ? "on" : value]));
  history.replaceState(null, "", `${location.pathname}${String(given) ? `#${given}` : ""}`);
  begin(!("blind" in what));
}

// What waits is asked for anew. What is shown stays where only what follows changes.
function begin(anew) {
  turn += 1;
  following = [];
  waiting = {};
  drawAsked();
  if (anew) {
    current = null;
    if (isSearch() || searched) { // what was said in a search is no whole verdict, and none of another search
      past = [];
      handled = new Set();
    }
    searched = isSearch();
    total = null;
    empty("Looking for what waits …", "");
    element("again").hidden = true;
  }
  load();
}

function turnBlind() {
  setView({ blind: !view.blind });
  say(view.blind ? "Blind from the next article on: without the tagger’s labels." : "From the next article on with the tagger’s labels.");
}

addEventListener("hashchange", () => {
  readAddress();
  begin(true);
});

// -- keys and presses ---------------------------------------------------------------------------------------------------

const answer = (on) => {
  if (!current) return;
  const row = rows()[0];
  labelOf(row).on = on;
  decide();
};

// Those that decide are not repeated by a key held down.
const KEYS = {
  Enter: () => decide(), " ": () => decide(), s: askSkip, u: undo, a: askAsset, o: () => current && fold(!element("body").classList.contains("folded")),
  b: turnBlind, q: askSlices, "?": () => element("help").showModal(), n: () => (isSearch() ? answer(false) : askNote()), y: () => isSearch() && answer(true),
  x: () => current && allOff(), m: () => current && turnModality(), Backspace: () => current && turnOff(), Delete: () => current && turnOff(),
};
const MOVES = { j: () => moveFocus(1), k: () => moveFocus(-1), ArrowLeft: () => turnTo(-1), ArrowDown: () => turnTo(0), ArrowRight: () => turnTo(1), "-": () => turnTo(-1), 0: () => turnTo(0), "+": () => turnTo(1), "=": () => turnTo(1) };

addEventListener("keydown", (event) => {
  if (!me || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, textarea, select")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if ((key === "Enter" || key === " ") && event.target.closest("button, a")) return;
  if (!current && key === "Enter" && !element("again").hidden) load();
  if (key in KEYS) {
    event.preventDefault();
    if (!event.repeat) KEYS[key]();
  } else if (current && key in MOVES && (current.row || !key.startsWith("Arrow"))) {
    event.preventDefault();
    MOVES[key]();
  } else if (current && DIGITS.includes(key)) {
    event.preventDefault();
    if (!event.repeat) byDigit(DIGITS.indexOf(key));
  }
});

const PRESSES = {
  accept: () => decide(), skip: askSkip, undo, note: askNote, yes: () => answer(true), no: () => answer(false), none: () => current && allOff(), add: askAsset,
  open: () => fold(!element("body").classList.contains("folded")), choose: askSlices, blind: turnBlind, keys: () => element("help").showModal(), again: load,
};
for (const [id, act] of Object.entries(PRESSES)) {
  element(id).addEventListener("click", (event) => {
    if (event.detail < 2 || ["undo", "none", "open"].includes(id)) act(); // a double press decides once
  });
}
// After a press by pointer Enter and Space are to decide, not to press again.
element("work").parentElement.addEventListener("click", (event) => {
  if (event.detail && event.target.closest("button") && current && !document.querySelector("dialog[open]")) element("title").focus({ preventScroll: true });
});

// -- beginning ----------------------------------------------------------------------------------------------------------

async function beginSession() {
  const found = await ask("session");
  if (me && me.reviewer !== found.reviewer) throw new Error(`This browser reviews as ${found.reviewer} now. Load the page anew.`);
  if (me && me.record !== found.record) throw new Error("Another record is served here now. Load the page anew; what you decided waits for the other.");
  me = found;
}

async function start() {
  readAddress();
  try {
    await beginSession();
    findKept();
    send();
    const [told, known] = await Promise.all([ask("narratives"), ask("assets")]);
    narratives = told.data;
    assets = known.data;
    element("bar").hidden = false;
    drawRefused();
    tellProgress();
    begin(true);
  } catch (error) {
    if (error.status === 401) {
      addEventListener("focus", start, { once: true });
      const kept = Object.entries(keptByWhom()).map(([who, n]) => `${many(n, "verdict", "verdicts")} of ${who}`);
      empty("To review, open the link that was printed when this server was started, or that `storyshift keys link NAME` prints.", kept.length ? `In this browser wait ${kept.join(" and ")}: saved as soon as the link is open.` : "");
    } else {
      empty("Nothing can be shown now.", `${error.message} It is tried again.`);
      setTimeout(start, 5000);
    }
  }
}

start();
