// The tone of bitcoin and of gold by week.

import { DAY, ask, axis, between, colour, details, element, faded, isoDay, link, longDay, make, many, plot, signed, table } from "./shared.js";

const TONES = ["BTC", "XAU"];

let asked = "";
let called = (key) => key;

// Shows the tone over the range that is asked about; draws it again in other colours by drawTones().
export let drawTones = () => {};

export async function lookAtTone({ start, end }, names) {
  const range = { start, end, bucket: "week" };
  const question = JSON.stringify(range);
  if (asked === question) return;
  asked = question;
  called = names;
  drawTones = () => {};
  try {
    const answers = await Promise.all(TONES.map((asset) => ask("tone", { ...range, asset })));
    if (asked !== question) return;
    element("tone-said").textContent = "From −1 (its price falls or its prospects are bad) to +1; grey bars: 90 % interval; diamonds: disagreement, from 0 to 1. Hollow points rest on fewer than 20 stories.";
    drawTones = () => {
      element("tones").replaceChildren(...answers.map(toneFigure));
      answers.forEach(drawTone);
    };
    drawTones();
  } catch (error) {
    if (asked !== question) return;
    asked = "";
    element("tones").replaceChildren();
    element("tone-said").textContent = error.message;
  }
  element("tone").setAttribute("aria-busy", "false");
}

const divided = (point) => (point.disagreement == null ? "not known" : point.disagreement.toFixed(2));
const doubt = (point) => (point.low == null ? "interval not known" : between(point.low, point.high));
const asTagged = (point) => (point.as_tagged == null ? "" : `as tagged ${signed(point.as_tagged)}, `);
const toneText = (point) => `${signed(point.tone)} (${doubt(point)}), ${asTagged(point)}disagreement ${divided(point)}, n ${point.n_stories}${point.thin ? ", thin" : ""}${point.open ? ", open" : ""}`;

function toneFigure(answer, place) {
  const spoken = answer.data.filter((point) => point.tone != null);
  const name = called(answer.meta.asset);
  const figure = make("figure", "", make("h3", "", name));
  const latest = spoken.findLast((point) => !point.open) || spoken.at(-1);
  if (!latest) {
    figure.append(make("p", "unsaid", `No story of ${name} in this range has a tone (tags by ${answer.meta.tagger}).`));
    return figure;
  }
  const week = (point) => link(`/story#${new URLSearchParams({ start: isoDay(Date.parse(point.bucket_start) - 91 * DAY), end: isoDay(Date.parse(point.bucket_start) + 91 * DAY), bucket: "week", at: point.bucket_start, narrative: "*", asset: answer.meta.asset })}`, longDay(point.bucket_start));
  const chart = make("div", "plot small");
  chart.id = `tone-chart-${place}`;
  const audit = (answer.meta.audit || []).map((one) => make("p", "caveat", `${one.sentence} `, link(`/quality#${new URLSearchParams({ by: "asset", key: one.key })}`, "How good the tags are"), "."));
  figure.append(make("p", "told", "Week of ", week(latest), `: ${toneText(latest)}.`), chart, ...audit, details("", "The numbers", table(`Tone of ${name} by week, the latest first`, ["Week", "Tone", "90 %", "Disagreement", "n"],
    [...spoken].reverse().map((point) => [week(point), signed(point.tone), doubt(point), divided(point), `${point.n_stories}${point.thin ? ", thin" : ""}`]))));
  return figure;
}

function drawTone(answer, place) {
  const node = element(`tone-chart-${place}`);
  if (!node) return;
  const points = answer.data;
  const x = points.map((point) => point.bucket_start);
  const spoken = points.filter((point) => point.tone != null);
  const hue = colour("ink");
  const away = (field, sign) => points.map((point) => (point[field] == null ? 0 : sign * (point[field] - point.tone)));
  plot(node, `Chart of the tone of ${called(answer.meta.asset)} by week, ${many(spoken.length, "week", "weeks")}; the latest ${toneText(spoken.at(-1))}. The numbers are in the table below.`, [
    { x, y: points.map((point) => point.disagreement), type: "scatter", mode: "markers", marker: { symbol: "diamond", size: 5, color: colour("transition") }, hoverinfo: "skip" },
    {
      x, y: points.map((point) => point.tone), type: "scatter", mode: "lines+markers", line: { color: faded(hue, 0.4), width: 1.2 },
      error_y: { type: "data", symmetric: false, array: away("high", 1), arrayminus: away("low", -1), color: colour("calm"), thickness: 1.4, width: 0 },
      marker: { size: 6, symbol: points.map((point) => (point.thin ? "circle-open" : "circle")), color: hue },
      customdata: points.map((point) => (point.tone == null ? "" : toneText(point))), hovertemplate: "%{customdata}<extra></extra>",
    },
  ], { height: 240, margin: { l: 40, r: 10, t: 10, b: 34 }, xaxis: { ...axis(), type: "date", hoverformat: "week of %d %b %Y" }, yaxis: { ...axis(), range: [-1.08, 1.08], tickvals: [-1, -0.5, 0, 0.5, 1], zeroline: true } });
}
