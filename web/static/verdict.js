// What θ says in words, on the pages now and story: the verdict of a point, its figures, and what a young record says.

import { longDay, make, many } from "./shared.js";

// Before the audit's correction; nothing where there is none.
export const asTagged = (value, word) => (value == null ? "" : `as tagged ${word(value)}, `);
export const two = (value) => value.toFixed(2);
export const interval = (point) => `${two(point.low)} to ${two(point.high)}`;
export const isYoung = (meta) => !meta.ready_on || Date.parse(meta.ready_on) > Date.parse(meta.as_of);
export const latestTold = (points) => points.findLast((point) => point.index != null);

function leaning(point) {
  if (point.thin) return `; but ${many(point.n_stories, "story is", "stories are")} too few to tell much.`;
  if (point.p_devaluation >= 0.9) return ", leaning clearly to devaluation.";
  if (point.p_devaluation <= 0.1) return ", leaning clearly to panic.";
  return "; between panic and devaluation it does not lean clearly.";
}

// The verdict as nodes; when: "On 11 June 2020", verb: "was" or "is".
export function verdictOf(point, when, verb = "was") {
  if (point.thin && point.state === "calm") {
    return [`${when} there ${verb === "is" ? "are" : "were"} too few stories (${point.n_stories}) to tell calm from panic.`];
  }
  return [`${when} the story ${verb} `, make("b", point.state, point.state), leaning(point)];
}

const readyWhen = (meta) => (meta.ready_on ? ` (about ${longDay(meta.ready_on)})` : "");

// What stands behind the verdict, without θ and its interval.
export function figuresOf(point, meta) {
  return `${asTagged(point.index_as_tagged, two)}without liquidity ${two(point.index_without_liquidity)}. ` +
    `Haven stories at ${point.panic.toFixed(1)} × their usual rate, devaluation stories at ${point.devaluation.toFixed(1)} ×. ` +
    `${many(point.n_stories, "story", "stories")}${point.thin ? ", which is thin" : ""}; tags by ${meta.tagger}.` +
    (point.baseline === "prior" ? ` Usual rates: ${meta.prior_rates}, until the record has its own${readyWhen(meta)}.` : "");
}

// A record that has no θ to tell in what was asked: what it says instead, as { verdict, caveat, progress }.
export function untold({ meta, data }, articles) {
  const stories = data.reduce((sum, point) => sum + point.n_stories, 0);
  const progress = Math.max(0, ...data.map((point) => point.progress));
  if (!meta.ready_on) {
    return {
      verdict: articles ? "Reading the first articles …" : "No article is known yet.",
      caveat: "While “make run” (“storyshift run”) goes on, feeds are collected and tagged, and this page fills by itself. " +
        "An archive starts at once: “storyshift import news FILE”, then “storyshift tag”.",
    };
  }
  if (!stories) return { verdict: "There are no tagged articles in this range.", caveat: "" };
  if (!isYoung(meta)) {
    return { verdict: "Warming up: in this range the record was too young for θ.", caveat: `It speaks from ${longDay(meta.ready_on)} on.` };
  }
  return {
    verdict: `Warming up: θ will speak from about ${longDay(meta.ready_on)}.`,
    caveat: `It compares each narrative with its usual rate, which takes ${meta.baseline_needs_days} days of news; ` +
      `${Math.round(progress * 100)} % are there. Shares of stories and the articles behind them are shown already.`,
    progress,
  };
}
