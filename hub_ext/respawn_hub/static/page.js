"use strict";
// On every page: times in the reader's zone, running clocks, heights of output frames, questions before removal.
window.respawn = (() => {
  const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "long" });
  const SHORT = { hour: "2-digit", minute: "2-digit" };

  function spoken(when, now) {
    const seconds = (when - now) / 1000;
    const size = Math.abs(seconds);
    if (size < 60) return relative.format(Math.round(seconds), "second");
    if (size < 3600) return relative.format(Math.trunc(seconds / 60), "minute");
    const time = when.toLocaleTimeString(undefined, SHORT);
    if (when.toDateString() === now.toDateString()) return `today ${time}`;
    const date = { day: "numeric", month: "short" };
    if (when.getFullYear() !== now.getFullYear()) date.year = "numeric";
    return `${when.toLocaleDateString(undefined, date)} ${time}`;
  }

  function lasted(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    if (hours) return `${hours} h ${String(minutes).padStart(2, "0")} min`;
    return minutes ? `${minutes} min ${String(rest).padStart(2, "0")} s` : `${rest} s`;
  }

  function refresh() {
    const now = new Date();
    for (const time of document.querySelectorAll("main time[datetime]")) {
      const when = new Date(time.dateTime);
      const text = spoken(when, now);
      if (time.textContent !== text) time.textContent = text;
      if (!time.title) time.title = when.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
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
    const clock = lostAt.toLocaleTimeString(undefined, { ...SHORT, second: "2-digit" });
    box.textContent = `The service has not answered since ${clock}. What is shown may be out of date; this page keeps trying.`;
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

  refresh();
  setInterval(refresh, 1000);
  return { refresh, lost, found, refused, fetch: fetchWithToken, prefix: document.body.dataset.prefix };
})();
