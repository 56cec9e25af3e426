// Two small drawings of θ for the page now: where it stands between panic and devaluation, and its last 90 days.

import { draw, longDay } from "./shared.js";
import { interval, two } from "./verdict.js";

const at = (value) => `${100 * value}%`;

export function gauge(point) {
  const line = (className, x, y1, y2) => draw("line", className, { x1: at(x), x2: at(x), y1, y2 });
  return draw("svg", "gauge", {
    role: "img", width: "100%", height: 52,
    "aria-label": `θ ${two(point.index)} on a scale from 0, panic, over 0.5, neutral, to 1, devaluation; 90 % interval ${interval(point)}.`,
  },
    draw("rect", "half panic", { x: 0, y: 12, width: "50%", height: 8 }),
    draw("rect", "half devaluation", { x: "50%", y: 12, width: "50%", height: 8 }),
    draw("rect", "band", { x: at(point.low), y: 7, width: at(Math.max(0.004, point.high - point.low)), height: 18, rx: 9 }),
    line("neutral", 0.5, 4, 28),
    draw("circle", `at ${point.state}`, { cx: at(point.index), cy: 16, r: 9 }),
    draw("text", "end", { x: 0, y: 46, "text-anchor": "start" }, "0 panic"),
    draw("text", "end", { x: "50%", y: 46, "text-anchor": "middle" }, "0.5 neutral"),
    draw("text", "end", { x: "100%", y: 46, "text-anchor": "end" }, "devaluation 1"));
}

// What the drawing of some days of θ shows, in words.
export function courseWords(points) {
  const told = points.filter((point) => point.index != null);
  if (!told.length) return "no θ in these days";
  const [low, high] = [Math.min, Math.max].map((end) => end(...told.map((point) => point.index)));
  const on = (value) => longDay(told.findLast((point) => point.index === value).bucket_start);
  return `from ${two(told[0].index)} to ${two(told.at(-1).index)}; lowest ${two(low)} on ${on(low)}, highest ${two(high)} on ${on(high)}`;
}

const HEIGHT = 96;
const BRIDGED = 7;

// The runs of days with θ, as places in the list; a few days without stories break none.
function runs(points) {
  const told = [...points.keys()].filter((place) => points[place].index != null);
  return told.reduce((found, place) => {
    if (found.length && place - found.at(-1).at(-1) <= BRIDGED) found.at(-1).push(place);
    else found.push([place]);
    return found;
  }, []);
}

export function sparkline(points) {
  const last = points.findLastIndex((point) => point.index != null);
  const path = (places, field) => places.map((place) => `${place},${1 - points[place][field]}`);
  const inner = draw("svg", "", { viewBox: `0 0 ${points.length - 1 || 1} 1`, preserveAspectRatio: "none", width: "100%", height: HEIGHT - 12, y: 6 },
    ...runs(points).flatMap((places) => [
      draw("polygon", "band", { points: [...path(places, "high"), ...path(places, "low").reverse()].join(" ") }),
      draw("polyline", "course", { points: path([places[0], ...places], "index").join(" ") }),
    ]));
  return draw("svg", "sparkline", { "aria-hidden": "true", width: "100%", height: HEIGHT },
    draw("line", "neutral", { x1: 0, x2: "100%", y1: HEIGHT / 2, y2: HEIGHT / 2 }), inner,
    ...(last < 0 ? [] : [draw("circle", `at ${points[last].state}`, { cx: at(last / (points.length - 1 || 1)), cy: 6 + (HEIGHT - 12) * (1 - points[last].index), r: 5 })]));
}
