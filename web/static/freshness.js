// How fresh the page now is: when the newest article and close became known, what fails, and what is still awaited.

import { newest } from "./panels.js";
import { when } from "./reading.js";
import { ASSETS, DAY, ask, element, link, longDay, make, many, put, show } from "./shared.js";

const MINUTE = 60000;
const SILENT = DAY / 2;
const OLD_CLOSE = 5 * DAY;
const NAMED = 4;

function ago(time) {
  const minutes = Math.max(0, Math.round(time / MINUTE));
  if (minutes < 90) return many(minutes, "minute", "minutes");
  const hours = Math.round(minutes / 60);
  return hours < 48 ? many(hours, "hour", "hours") : many(Math.round(hours / 24), "day", "days");
}

// Nothing new for hours is said plainly; a replay has an end, which is no alarm.
function tellStale(latest, now) {
  const silence = latest ? now - Date.parse(latest.known_at) : 0;
  show("stale", silence > SILENT);
  put("stale", ...(silence > SILENT ? [make("b", "", `Nothing new for ${ago(silence)}.`), ` The newest article became known on ${when(latest.known_at)}; what stands here is of then. `, link("/sources", "How the sources do")] : []));
}

const item = (term, ...content) => [make("dt", "", term), make("dd", "", ...content)];

function feedsWords(feeds) {
  const failing = feeds.filter((feed) => feed.last_error && !feed.retired_at).length;
  const silent = feeds.filter((feed) => feed.health === "silent").length;
  const waiting = feeds.filter((feed) => !feed.last_fetched_at).length;
  const next = Math.min(...feeds.map((feed) => Date.parse(feed.next_fetch_at)));
  const minutes = Math.max(0, Math.round((next - Date.now()) / MINUTE));
  return [many(feeds.length, "feed", "feeds"), `${failing} failing`, silent && `${silent} silent`, waiting ? `${waiting} not yet visited` : `next look ${minutes ? `in ${minutes} min` : "now"}`].filter(Boolean).join(", ");
}

function closesWords(series, now) {
  return Object.entries(ASSETS).map(([asset, name]) => {
    const last = series.find((row) => row.kind === "price" && row.key === asset && row.interval === "day")?.last;
    return `${name.toLowerCase()} ${last ? longDay(last) : "none"}${last && now - Date.parse(last) > OLD_CLOSE ? " (old)" : ""}`;
  }).join(", ");
}

const seriesName = (series) => (series.interval === "hour" ? `${series.key} by the hour` : series.key);

// What servers said, each once, with those to which they said it.
function troubles(feeds, series) {
  const failing = feeds.filter((feed) => feed.last_error && !feed.retired_at).map((feed) => [feed.outlet, feed.last_error]);
  const stopped = series.filter((row) => row.last_error).map((row) => [seriesName(row), row.last_error]);
  const said = new Map();
  for (const [who, what] of [...failing, ...stopped]) said.set(what, [...(said.get(what) || []), who]);
  const items = [...said].map(([what, who]) => make("li", "", make("b", "", who.join(", ")), ` ${what}`));
  return [...items.slice(0, NAMED), ...(items.length > NAMED ? [make("li", "", `and ${items.length - NAMED} more.`)] : [])];
}

// page: { asked, replay }: the day of which everything is asked, if it is not now.
export async function tellFreshness(page, meta, record) {
  const answer = await newest("fresh", Promise.all([ask("articles", { limit: 1, as_of: page.asked }), ask("feeds"), ask("prices")]));
  if (!answer) return;
  element("freshness").setAttribute("aria-busy", "false");
  if (answer instanceof Error) {
    put("fresh", ...item("Error", answer.message));
    return;
  }
  const [{ data: [latest] }, { data: feeds }, { data: series }] = answer;
  const now = Date.parse(meta.as_of);
  if (!page.replay) tellStale(latest, now);
  const loaded = series.filter((row) => row.n || row.last_error);
  put("fresh",
    ...item("Newest article", latest ? `${when(latest.known_at)}${page.replay ? "" : `, ${ago(now - Date.parse(latest.known_at))} ago`}` : "none yet"),
    ...item("Record", `${many(record.articles, "article", "articles")}${record.untagged ? `, ${record.untagged.toLocaleString("en")} still to be tagged` : ""}`),
    ...(page.replay ? [] : item("Latest closes", closesWords(series, now))),
    ...(feeds.length ? item("Feeds", feedsWords(feeds)) : []),
    ...(loaded.length ? item("Series", `${loaded.length} of prices and macro values, ${loaded.filter((row) => row.last_error).length} failing`) : []),
    ...item("Read", when(meta.as_of)));
  put("failing", ...troubles(feeds, series));
}
