// What an asset does after events: turns of the story, triggers that turn on, record closes.

import { axis, band, chance, colour, daysAround, details, element, figures, gain, isoDay, link, longDay, make, many, plot, table, title } from "./shared.js";

const STUDY = { above: "More than on other days.", below: "Less than on other days.", none: "Nothing beyond chance can be told.", too_small: "Too few events to say." };

export function showStudy(row, meta, called) {
  const small = row.verdict === "too_small";
  const peak = row.weeks.find((one) => one.week === row.peak_week);
  element("study-verdict").textContent = STUDY[row.verdict] || row.verdict;
  element("study-sentence").textContent = row.sentence;
  element("study-sentence").hidden = false;
  figures("study-numbers", [
    ["n", String(row.n), `events; ${row.n_left_out} left out`],
    ["n without overlap", String(row.n_effective), "of their 26 weeks"],
    ...(small ? [] : [
      ["p over 26 weeks", chance(row.p_family), `${row.draws} placebo draws`],
      ...(peak ? [[`strangest week: ${peak.week}`, gain(peak.car), `${gain(peak.low)} to ${gain(peak.high)}; placebo ${gain(peak.placebo_low)} to ${gain(peak.placebo_high)}`]] : []),
    ]),
  ]);
  element("study-figure").hidden = small;
  if (small) Plotly.purge(element("study-chart"));
  else drawStudy(row, called);
  element("events-title").hidden = !row.events.length;
  element("study-events").replaceChildren(...(row.events.length ? [eventTable(row, called)] : [make("p", "unsaid", "There is no such event in the record.")]));
  element("study-method").textContent = `As of ${longDay(meta.as_of)}, ${meta.n_bars.toLocaleString("en")} closes of ${called(meta.instrument)}. Method: ${row.method}. Seed ${row.seed}.`;
}

function eventTable(row, called) {
  const days = [...row.events].reverse().map((event) => [
    link(daysAround(event.day), longDay(event.day)), event.starts_at ? make("span", "whole", isoDay(event.starts_at)) : "–",
    event.left_out ? make("span", "unsaid", `left out: ${event.left_out}`) : gain(event.car),
  ]);
  const heads = ["Day, with its articles", "Counted from", `${called(row.asset)}, 26 weeks, abnormal`];
  if (days.length <= 12) return table("Events, the latest first", heads, days);
  return make("div", "", table("Events, the latest first", heads, days.slice(0, 12)), details("", many(days.length - 12, "earlier event", "earlier events"), table("Earlier events", heads, days.slice(12))));
}

function drawStudy(row, called) {
  const weeks = row.weeks.filter((one) => one.car != null);
  const x = weeks.map((one) => one.week);
  const share = (field) => weeks.map((one) => (one[field] == null ? null : Math.exp(one[field]) - 1));
  const text = weeks.map((one) => `${gain(one.car)} (${gain(one.low)} to ${gain(one.high)}), placebo ${gain(one.placebo_low)} to ${gain(one.placebo_high)}, p ${chance(one.p)}`);
  const hue = colour("accent");
  plot(element("study-chart"), `Chart of the mean cumulative abnormal return of ${called(row.asset)}: after 26 weeks ${text.at(-1)}; n ${row.n}. The numbers are in the table below.`, [
    ...band(x, share("placebo_low"), share("placebo_high"), colour("calm"), 0.3),
    ...band(x, share("low"), share("high"), hue, 0.16),
    { x, y: share("placebo_mean"), type: "scatter", mode: "lines", line: { color: colour("soft"), width: 1.2, dash: "dot" }, hoverinfo: "skip" },
    { x, y: share("car"), type: "scatter", mode: "lines+markers", line: { color: hue, width: 2.2 }, marker: { size: 4 }, customdata: text, hovertemplate: "%{customdata}<extra></extra>" },
  ], {
    height: 380, margin: { l: 56, r: 14, t: 12, b: 46 },
    xaxis: { ...axis(), title: title("weeks after the event"), zeroline: true, range: [Math.min(...x) - 0.5, Math.max(...x) + 0.5], dtick: element("study-chart").clientWidth < 520 ? 8 : 4 },
    yaxis: { ...axis(), tickformat: "+.0%", title: title("abnormal return") },
  });
  element("study-table").replaceChildren(details("", "The numbers", table("Mean cumulative abnormal return by week", ["Week", "Mean", "90 %", "Placebo, 90 %", "p of it alone"],
    weeks.map((one) => [String(one.week), gain(one.car), `${gain(one.low)} to ${gain(one.high)}`, `${gain(one.placebo_low)} to ${gain(one.placebo_high)}`, one.p == null ? "–" : chance(one.p)]))));
}
