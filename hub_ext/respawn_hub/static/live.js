"use strict";
// Parts of a page that stay as the service has them: `data-live` parts are fetched again every few seconds, by their id,
// while somebody looks. A changed state is told to screen readers as well.
(() => {
  const PAUSE_MS = 5000;
  const announced = document.getElementById("announce");
  let timer;

  // What a part says, apart from clocks, which page.js writes in the reader's own way.
  function essence(part) {
    const copy = part.cloneNode(true);
    for (const clock of copy.querySelectorAll("time, [data-since]")) {
      clock.textContent = "";
      clock.removeAttribute("title");
    }
    for (const details of copy.querySelectorAll("details")) details.removeAttribute("open");
    return copy.innerHTML.replace(/\s+/g, " ");
  }

  const states = (part) => new Map([...part.querySelectorAll("[data-item]")].map((row) => [row.dataset.item, row.dataset.state]));

  function replace(part, fresh) {
    const before = states(part);
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const open = [...part.querySelectorAll("details[open]")].map((details) => details.id).filter(Boolean);
    part.replaceChildren(...fresh.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) [...part.querySelectorAll("a, button")].find((one) => one.href === focused.href && one.textContent === focused.textContent)?.focus();
    const changed = [...states(part)].filter(([item, state]) => before.has(item) && before.get(item) !== state);
    if (changed.length) announced.textContent = changed.map(([item, state]) => `${item}: ${state}`).join(", ");
    respawn.refresh();
  }

  async function look() {
    const answer = await respawn.fetch(location.href.split("#")[0], { headers: { Accept: "text/html" } });
    if (respawn.refused(answer)) return;
    if (!answer.ok) throw new Error(`${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    await respawn.released();
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(part.id);
      if (fresh && essence(fresh) !== essence(part)) replace(part, fresh);
    }
  }

  async function follow() {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      await look();
      respawn.found();
    } catch {
      respawn.lost();
    }
    timer = setTimeout(follow, PAUSE_MS);
  }

  timer = setTimeout(follow, PAUSE_MS);
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => clearTimeout(timer));
  addEventListener("pageshow", (event) => event.persisted && follow());
})();
