// The slider that replays history: a day of the record, and all of the page as it was known at that day's end.
// The last place of the slider is now, which is no day.

import { DAY, element, isoDay, longDay, make } from "./shared.js";

const PAUSE = 350;
const STILL = 700;
const slider = element("as-of");
const field = element("as-of-day");
const play = element("play");
let first = 0;
let playing = false;
let timer = 0;
let still = 0;

const dayAt = (place) => (Number(place) >= Number(slider.max) ? "" : isoDay(first + place * DAY));
const placeOf = (day) => (day ? Math.min(Number(slider.max), Math.max(0, Math.round((Date.parse(day) - first) / DAY))) : Number(slider.max));

// The days of the record, both as ISO dates.
export function setDays(from, to) {
  first = Date.parse(from);
  slider.max = Math.max(1, Math.round((Date.parse(to) - first) / DAY));
  Object.assign(field, { min: from, max: to });
}

export function tellDay(day) {
  slider.value = placeOf(day);
  slider.setAttribute("aria-valuetext", day ? longDay(day) : "now");
  field.value = day;
  element("as-of-now").hidden = !day;
  element("as-of-said").hidden = !day;
  element("as-of-said").replaceChildren("As it was known at the end of ", make("b", "", day && longDay(day)), ". Nothing below was learnt later.");
  document.querySelector("main").classList.toggle("past", Boolean(day));
}

function setPlaying(on) {
  playing = on;
  clearTimeout(timer);
  play.setAttribute("aria-pressed", String(on));
  play.textContent = on ? "Pause" : "Play";
  element("verdict").setAttribute("aria-live", on ? "off" : "polite");
}

// turn: (day, { settled }) -> Promise; it is told each day, and settled once the slider stands still.
// next: (day) -> the day after it by the bucket, or null where the replay ends. begin: () -> the first day to play.
export function replaying({ turn, next, begin }) {
  let day = () => dayAt(slider.value);

  function go(to) {
    tellDay(to);
    clearTimeout(timer);
    clearTimeout(still);
    timer = setTimeout(() => turn(to, { settled: false }), 80);
    still = setTimeout(() => turn(dayAt(slider.value), { settled: true }), STILL);
  }

  async function step() {
    const to = day() ? next(day()) : begin();
    if (to == null) {
      stop();
      return;
    }
    tellDay(to);
    await turn(to, { settled: false });
    if (playing) timer = setTimeout(step, PAUSE);
  }

  function stop() {
    setPlaying(false);
    turn(day(), { settled: true });
  }

  slider.addEventListener("input", () => {
    setPlaying(false);
    go(day());
  });
  field.addEventListener("change", () => {
    setPlaying(false);
    go(field.validity.valid ? field.value : day());
  });
  element("as-of-now").addEventListener("click", () => {
    setPlaying(false);
    go("");
    slider.focus();
  });
  play.addEventListener("click", () => {
    if (playing) stop();
    else {
      setPlaying(true);
      step();
    }
  });
}
