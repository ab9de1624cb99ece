"use strict";
// Long texts: head and tail are there, more of them is fetched on demand, and all of them is searched.
respawn.logs = (() => {
  const cells = document.getElementById("cells");
  const NEAR = 40; // pixels from the end at which a reader follows

  async function fetched(address) {
    const answer = await respawn.fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
    return new DOMParser().parseFromString(await answer.text(), "text/html").body;
  }

  function showGap(gap) {
    const left = Number(gap.dataset.end) - Number(gap.dataset.start);
    gap.hidden = left <= 0;
    gap.querySelector("[data-part=log-gap-size]").textContent = `${respawn.howMany(left, "character is", "characters are")} not shown.`;
  }

  async function more(log, gap, backwards) {
    const { start, end } = gap.dataset;
    const body = await fetched(`${log.dataset.url}/text?start=${start}&end=${end}&backwards=${backwards}`);
    const piece = body.querySelector(".log-piece");
    const scroll = log.querySelector(".log-scroll");
    const below = scroll.scrollHeight - scroll.scrollTop;
    if (backwards) {
      gap.after(piece);
      gap.dataset.end = piece.dataset.start;
      scroll.scrollTop = scroll.scrollHeight - below; // what the reader looks at stays where it is
    } else {
      gap.before(piece);
      gap.dataset.start = piece.dataset.end;
    }
    showGap(gap);
  }

  async function search(log, word) {
    const found = log.querySelector(".log-found");
    found.replaceChildren("Searching…");
    found.replaceChildren(...(await fetched(`${log.dataset.url}/search?q=${encodeURIComponent(word)}`)).childNodes);
  }

  async function around(log, button) {
    const body = await fetched(`${log.dataset.url}/text?around=${button.dataset.around}`);
    const piece = body.querySelector(".log-piece");
    piece.classList.add("log-around");
    piece.tabIndex = 0;
    piece.setAttribute("role", "region");
    piece.setAttribute("aria-label", "Lines around what was found");
    log.querySelector(".log-around")?.remove();
    button.closest("li").append(piece);
    const text = piece.textContent;
    const lines = text.slice(0, Number(button.dataset.around) - Number(piece.dataset.start)).split("\n").length;
    piece.scrollTop = (piece.scrollHeight * Math.max(0, lines - 5)) / text.split("\n").length;
    piece.focus({ preventScroll: true });
  }

  function complain(log, error) {
    log.querySelector(".log-found").replaceChildren(`This could not be fetched: ${error.message}`);
  }

  const follows = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
  const toEnd = (box) => {
    box.scrollTop = box.scrollHeight;
  };

  // Takes over what is new in a text that grows; who reads further up is not moved.
  function update(log, fresh) {
    for (const part of ["log-size"]) {
      log.querySelector(`[data-part=${part}]`).replaceWith(fresh.querySelector(`[data-part=${part}]`));
    }
    const scroll = log.querySelector(".log-scroll");
    if (follows(scroll)) takeTail(log, fresh);
    else {
      log.pending = fresh;
      log.querySelector(".log-newer").hidden = false;
    }
  }

  function takeTail(log, fresh) {
    const gap = log.querySelector(".log-gap");
    const tail = fresh.querySelector("[data-part=log-tail]");
    for (let old = gap.nextElementSibling; old; old = gap.nextElementSibling) old.remove();
    gap.after(tail);
    gap.dataset.end = tail.dataset.start;
    showGap(gap);
    log.pending = null;
    log.querySelector(".log-newer").hidden = true;
    toEnd(log.querySelector(".log-scroll"));
  }

  cells.addEventListener("click", (event) => {
    const log = event.target.closest(".log");
    if (!log) return;
    const button = event.target.closest("button");
    if (button?.dataset.more) {
      more(log, button.closest(".log-gap"), button.dataset.more === "previous").catch((error) => complain(log, error));
    } else if (button?.dataset.around) {
      around(log, button).catch((error) => complain(log, error));
    } else if (button && "close" in button.dataset) {
      log.querySelector(".log-found").replaceChildren();
    } else if (button?.classList.contains("log-newer")) {
      if (log.pending) takeTail(log, log.pending);
      toEnd(log.querySelector(".log-scroll"));
    }
  });
  cells.addEventListener("submit", (event) => {
    const log = event.target.closest(".log");
    if (!log) return;
    event.preventDefault();
    search(log, new FormData(event.target).get("q")).catch((error) => complain(log, error));
  });
  cells.addEventListener(
    "scroll",
    (event) => {
      const log = event.target.closest?.(".log");
      if (log?.pending && follows(event.target)) takeTail(log, log.pending);
    },
    true,
  );

  // The end of a text is what one wants to read first.
  const endOf = (root) => {
    for (const box of root.querySelectorAll(".log-scroll, pre.output-error")) toEnd(box);
  };
  endOf(cells);
  return { update, follows, toEnd, endOf };
})();
