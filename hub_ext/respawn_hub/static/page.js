"use strict";
// On every page: times in the reader's zone, running clocks, heights of output frames, questions before removal.
window.respawn = (() => {
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });
  const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const DIGITS = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };

  /** A time in a zone as a day and a clock of 24 hours, whatever the browser's language makes of times. */
  function stamp(when, zone = ZONE) {
    const format = new Intl.DateTimeFormat("en-u-ca-gregory-nu-latn", { ...DIGITS, weekday: "short", hourCycle: "h23", timeZone: zone });
    const part = Object.fromEntries(format.formatToParts(when).map(({ type, value }) => [type, value]));
    const [day, clock] = [`${part.year}-${part.month}-${part.day}`, `${part.hour}:${part.minute}`];
    return { day, clock, seconds: `${clock}:${part.second}`, weekday: part.weekday };
  }

  function spoken(when, now) {
    const seconds = (when - now) / 1000;
    const size = Math.abs(seconds);
    if (size < 60) return relative.format(Math.round(seconds), "second");
    if (size < 3600) return relative.format(Math.trunc(seconds / 60), "minute");
    const { day, clock } = stamp(when);
    return `${day === stamp(now).day ? "today" : day} ${clock}`;
  }

  function lasted(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    if (hours) return `${hours} h ${String(minutes).padStart(2, "0")} min`;
    return minutes ? `${minutes} min ${String(rest).padStart(2, "0")} s` : `${rest} s`;
  }

  function refresh() {
    const now = new Date();
    const times = document.querySelectorAll("main time[datetime]");
    const note = document.getElementById("zone");
    note.hidden = times.length === 0;
    if (!note.textContent) note.textContent = `Times are those of ${ZONE}.`;
    for (const time of times) {
      const when = new Date(time.dateTime);
      const text = spoken(when, now);
      if (time.textContent !== text) time.textContent = text;
      if (time.title) continue;
      const { day, seconds, weekday } = stamp(when);
      time.title = `${weekday} ${day} ${seconds}, ${ZONE}`;
    }
    for (const clock of document.querySelectorAll("main [data-since]")) {
      clock.textContent = lasted((now - new Date(clock.dataset.since)) / 1000);
    }
  }

  // Frames of outputs tell how high they are and whether JupyterLab shows more, and are told which theme the page has.
  const MAX_HEIGHT = { prose: 8000, output: 640 }; // pixels
  const frames = () => document.querySelectorAll("iframe.output-frame");
  const theme = () => document.documentElement.dataset.bsTheme;

  addEventListener("message", (event) => {
    const height = Number(event.data && event.data.respawnHeight);
    if (!(height > 0)) return;
    for (const frame of frames()) {
      if (frame.contentWindow !== event.source) continue;
      const most = frame.classList.contains("prose-frame") ? MAX_HEIGHT.prose : MAX_HEIGHT.output;
      frame.style.height = `${Math.min(Math.ceil(height) + 4, most)}px`;
      const lab = frame.parentElement.querySelector(".open-in-lab");
      if (lab) lab.hidden = event.data.respawnLab !== true;
      event.source.postMessage({ respawnTheme: theme() }, "*");
    }
  });
  new MutationObserver(() => {
    for (const frame of frames()) frame.contentWindow.postMessage({ respawnTheme: theme() }, "*");
  }).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });

  // What a script asks for in the name of the session carries the token that only our own pages have.
  function fetchWithToken(address, options = {}) {
    const headers = { ...options.headers, "X-Form-Token": document.body.dataset.formToken };
    return fetch(address, { ...options, headers });
  }

  // An open page that the service no longer answers says so, and since when.
  let lostAt = null;
  const connection = document.getElementById("connection");

  function lost() {
    if (lostAt) return;
    lostAt = new Date();
    const box = document.createElement("p");
    box.className = "alert alert-warning mb-3";
    box.textContent = `The service has not answered since ${stamp(lostAt).seconds}. What is shown may be out of date; this page keeps trying.`;
    connection.replaceChildren(box);
  }

  // Who is no longer signed in, or may no longer look, is told so by the page itself: that is not a lost connection.
  function refused(answer) {
    if (![401, 403, 404].includes(answer.status)) return false;
    location.reload();
    return true;
  }

  function found() {
    if (!lostAt) return;
    lostAt = null;
    connection.replaceChildren();
  }

  // A part that is replaced while somebody presses a link or a button in it would lose the click.
  let pressed = null;
  let release = () => {};
  addEventListener("pointerdown", () => {
    pressed ??= new Promise((resolve) => {
      release = resolve;
    });
  }, true);
  for (const end of ["pointerup", "pointercancel"]) {
    addEventListener(end, () => {
      setTimeout(release); // the click comes right after
      pressed = null;
    }, true);
  }

  /** Wait until nobody presses a button of the pointer. */
  const released = async () => pressed;

  /** A number before its noun, in the form that it wants: "1 line", "2 characters are". */
  const howMany = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

  refresh();
  setInterval(refresh, 1000);
  return { refresh, lost, found, refused, howMany, stamp, released, fetch: fetchWithToken, prefix: document.body.dataset.prefix };
})();
