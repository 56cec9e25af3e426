// Two panels of the story's page: the shifts that were detected, and the six triggers; and the sentence on what moved θ.

import { ASSETS, DAY, ask, details, element, gain, isoDay, link, longDay, make, many, named, signed, table } from "./shared.js";

const LATEST = 3;
const RETURNS = { return_btc: "BTC", return_gold: "XAU", return_silver: "XAG" };
const MOVERS = 3;
const turns = {};

// What the newest question of its kind brought; an older answer is dropped (undefined).
export async function newest(kind, question) {
  const turn = (turns[kind] = (turns[kind] || 0) + 1);
  const answer = await question.catch((error) => error);
  return turn === turns[kind] ? answer : undefined;
}

function tell(id, text, busy = false) {
  const node = element(id);
  node.textContent = text;
  node.closest("section").setAttribute("aria-busy", String(busy));
}

// -- what moved θ ------------------------------------------------------------------------------------------------------

// start, end: the days after which and by the end of which it moved; none where θ has not spoken twice.
export async function tellMoved({ asked, start, end, prior, narratives }) {
  const node = element("moved");
  if (!end) {
    turns.moved = (turns.moved || 0) + 1;
    node.hidden = true;
    return;
  }
  const answer = await newest("moved", ask("shift/why", { start: isoDay(start), end: isoDay(end), as_of: asked, prior_rates: prior && "true" }));
  if (!answer) return;
  node.hidden = false;
  if (answer instanceof Error) {
    node.textContent = answer.message;
    return;
  }
  const { from, to, sentence } = answer.meta;
  node.replaceChildren(make("b", "", `What moved θ, ${longDay(from)} to ${longDay(to)}: `), named(sentence, narratives));
}

// -- stories -----------------------------------------------------------------------------------------------------------

function storyList(stories, address) {
  return make("ul", "stories", ...stories.map((story) => make("li", "",
    link(address({ story: String(story.id) }), story.title), make("span", "", `${story.outlet}, ${longDay(story.event_at)}`))));
}

// -- shifts ------------------------------------------------------------------------------------------------------------

const state = (word) => make("b", `state ${word}`, word.replace("_", " "));

function movers(why, narratives) {
  const names = new Map(narratives.map(({ narrative, name }) => [narrative, name.toLowerCase()]));
  const told = why.slice(0, MOVERS);
  const digits = new Set(told.map((cause) => signed(cause.change))).size === told.length ? 2 : 3;
  return told.map((cause) =>
    `${names.get(cause.narrative) || cause.narrative} in ${cause.outlet} ${signed(cause.change, digits)} (all outlets: ${cause.ratio_before.toFixed(1)} → ${cause.ratio.toFixed(1)} times the usual)`).join("; ");
}

function shiftItem(event, { narratives, address, around }) {
  const head = make("h3", "", state(event.before), " → ", state(event.state), make("span", "odds", `P ${event.probability.toFixed(2)}`));
  const detected = link(around(event.detected_at), longDay(event.detected_at));
  const when = make("p", "when", "Detected ", detected, `, began ${longDay(event.happened_at)}`);
  const theta = event.index_before == null ? `θ ${event.index.toFixed(2)}` : `θ ${event.index_before.toFixed(2)} → ${event.index.toFixed(2)}`;
  const moved = make("p", "", `${theta}, ${many(event.n_stories, "story", "stories")}. `);
  if (event.why.length) moved.append("Largest parts: ", movers(event.why, narratives), ".");
  const since = make("dl", "since", ...Object.entries(RETURNS).flatMap(([field, asset]) => {
    const value = make("dd", event[field] == null ? "unsaid" : "", gain(event[field]));
    return [make("div", "", make("dt", "", `${ASSETS[asset]} since`), value)];
  }));
  const stories = event.stories.length ? details("", many(event.stories.length, "story behind it", "stories behind it"), storyList(event.stories, address)) :
    make("p", "unsaid", "No story behind it is named.");
  return make("li", "", head, when, moved, since, stories);
}

// Why there are colours on the chart and yet no shift. coloured: { n buckets of a coloured state, told with stories, thin
// of them, a_day stories }.
function noShift({ step, n, told, thin, a_day: stories }) {
  if (!n) return "No shift has been detected.";
  const bands = `No shift has been detected, though ${many(n, `${step} is`, `${step}s are`)} coloured: a band is each ${step}’s state; ` +
    "a shift is told only once it is likely enough that the story has turned";
  if (thin < told / 2) return `${bands}.`;
  return `${bands}, and for that the stories are too few here: ${stories < 10 ? stories.toFixed(1) : Math.round(stories)} a day, ${thin} of ${many(told, step, `${step}s`)} thin.`;
}

// Returns the shifts, oldest first, for the marks on the chart; undefined where a later question was asked.
export async function tellShifts({ asked, said, prior, young, coloured, ...page }) {
  tell("shifts-said", "Looking for shifts …", true);
  const answer = await newest("shifts", ask("shift/events", { as_of: asked, prior_rates: prior && "true" }));
  if (!answer) return undefined;
  const list = element("shift-list");
  if (answer instanceof Error) {
    list.replaceChildren();
    element("all-shifts").hidden = true;
    tell("shifts-said", answer.message);
    return [];
  }
  const events = [...answer.data].reverse();
  tell("shifts-said", said + (events.length ? `${many(events.length, "shift", "shifts")} detected so far, the latest first.` :
    young ? "Warming up: a shift can be told once θ has its usual rates." : noShift(coloured)));
  list.replaceChildren(...events.map((event) => shiftItem(event, { ...page, prior })));
  const [later, more] = [[...list.children].slice(LATEST), element("all-shifts")];
  for (const item of later) item.hidden = true;
  more.hidden = !later.length;
  more.textContent = `Show ${many(later.length, "earlier shift", "earlier shifts")}`;
  more.onclick = () => {
    for (const item of later) item.hidden = false;
    more.hidden = true;
    later[0].querySelector("a, summary").focus();
  };
  return answer.data;
}

// -- triggers ----------------------------------------------------------------------------------------------------------

const WORDS = { on: "on", forming: "forming", off: "off", unknown: "unknown" };

function measured(value, unit) {
  if (value == null) return "not known";
  if (unit === "days") return `${value} days`;
  if (unit === "probability") return value.toFixed(2);
  if (unit === "percent") return `${signed(value)} %`;
  return `${signed(value, 3)} ${unit}`;
}

// In a replay there is nobody to load what it does not bring.
const inReplay = "replay" in (document.querySelector("main")?.dataset || {});
const lacking = (sentence) => (inReplay ? sentence.replaceAll(/; (collect|import) or (load|import) (it|prices)(, and tag it)?/g, ", which the replay does not bring") : sentence);

function triggerItem(trigger, { narratives, address }) {
  const word = make("span", `lamp ${trigger.state}`, WORDS[trigger.state] || trigger.state);
  const item = make("li", "", make("h3", "", trigger.name), make("p", "when", word, ` since ${longDay(trigger.since)}`), make("p", "", named(lacking(trigger.sentence), narratives)));
  const rows = trigger.data.map((datum) => [
    named(`${datum.series}: ${datum.measure}`, narratives), measured(datum.value, datum.unit),
    datum.threshold == null ? "–" : measured(datum.threshold, datum.unit), datum.n.toLocaleString("en"), datum.at ? make("span", "whole", isoDay(datum.at)) : "–",
  ]);
  const said = [many(trigger.data.length, "value", "values"), ...(trigger.stories.length ? [many(trigger.stories.length, "story", "stories")] : [])].join(" and ");
  item.append(details("", said, table(`What “${trigger.name}” rests on`, ["Measure", "Value", "Turns on at", "n", "Known"], rows),
    trigger.stories.length ? storyList(trigger.stories, address) : make("p", "unsaid", "It rests on no story now.")));
  return item;
}

export async function tellTriggers({ asked, said, ...page }) {
  tell("triggers-said", "Looking at the triggers …", true);
  const answer = await newest("triggers", ask("triggers", { as_of: asked }));
  if (!answer) return;
  if (answer instanceof Error) {
    element("trigger-list").replaceChildren();
    tell("triggers-said", answer.message);
    return;
  }
  const count = (word) => answer.data.filter((trigger) => trigger.state === word).length;
  tell("triggers-said", `${said}${["on", "forming", "off", "unknown"].filter(count).map((word) => `${count(word)} ${word}`).join(", ")}.`);
  element("trigger-list").replaceChildren(...answer.data.map((trigger) => triggerItem(trigger, page)));
}
