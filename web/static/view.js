// What the page of the story shows, all of it in the address, and the words for its buckets.

import { DAY, isoDay, longDay } from "./shared.js";

// as_of: the day that is replayed, "" for now. lines: keys of what is drawn, "" for the usual ones.
export const view = { start: "", end: "", bucket: "", at: "", as_of: "", lines: "", split: "", narrative: "", asset: "", story: "", prior: "" };
const LEAST_DAYS = 7;
const days = (range) => (Date.parse(range.end) - Date.parse(range.start)) / DAY;

// -- the address -------------------------------------------------------------------------------------------------------

export function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(view)) view[name] = given.get(name) || "";
}

// The address of this view with something else in it.
export const address = (changes) => `#${new URLSearchParams(Object.entries({ ...view, ...changes }).filter(([, value]) => value))}`;

export function writeAddress() {
  history.replaceState(null, "", address({}));
}

// Another range; the browser's way back leads to the one before.
export function setRange(range) {
  Object.assign(view, { bucket: suitedBucket(days(range)), ...range, at: "", story: "" });
  history.pushState(null, "", address({}));
}

// -- ranges ------------------------------------------------------------------------------------------------------------

export const suitedBucket = (span) => (span <= 130 ? "day" : span <= 1200 ? "week" : "month");

// A range of whole days between two instants, at least a week, around their middle.
export function wholeDays(from, to) {
  const [middle, reach] = [(from + to) / 2, Math.max((LEAST_DAYS * DAY) / 2, (to - from) / 2)];
  return { start: isoDay(middle - reach), end: isoDay(middle + reach + DAY - 1) };
}

// The range made `factor` times as long around its middle, and moved by a share of its length.
export function changedRange(factor, moved = 0) {
  const [start, end] = [Date.parse(view.start), Date.parse(view.end)];
  const middle = (start + end) / 2 + moved * (end - start);
  const reach = (factor * (end - start)) / 2;
  return factor === 1 ? { start: isoDay(middle - reach), end: isoDay(middle + reach), bucket: view.bucket } : wholeDays(middle - reach, middle + reach);
}

// The day of an instant, in the range shown or else in one around it.
export function around(instant) {
  const time = Date.parse(instant);
  const inside = Date.parse(view.start) <= time && time < Date.parse(view.end);
  const range = inside ? { at: bucketStart(instant) } : { start: isoDay(time - 92 * DAY), end: isoDay(time + 92 * DAY), bucket: "day", at: `${isoDay(time)}T00:00:00Z` };
  return address({ ...range, story: "" });
}

// -- buckets -----------------------------------------------------------------------------------------------------------

// The start of the bucket an instant lies in: weeks begin on Monday, all is UTC.
export function bucketStart(instant) {
  const start = new Date(`${isoDay(Date.parse(instant))}T00:00:00Z`);
  if (view.bucket === "week") start.setUTCDate(start.getUTCDate() - ((start.getUTCDay() + 6) % 7));
  if (view.bucket === "month") start.setUTCDate(1);
  return start.toISOString().replace(".000", "");
}

export function bucketEnd(start) {
  const end = new Date(start);
  if (view.bucket === "month") end.setUTCMonth(end.getUTCMonth() + 1);
  else end.setUTCDate(end.getUTCDate() + (view.bucket === "week" ? 7 : 1));
  return end.toISOString();
}

export function spoken(start) {
  if (view.bucket === "month") {
    return new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", month: "long", year: "numeric" }).format(new Date(start));
  }
  return (view.bucket === "week" ? "the week of " : "") + longDay(start);
}

// What every question of a series asks: the range, and what was known when.
export const ranged = () => ({ start: view.start, end: view.end, as_of: view.as_of });
