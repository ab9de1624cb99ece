"use strict";
// A running run, live: the stream tells which pieces changed, and those are fetched again, nothing else.
// Sources never change and stay; frames of finished outputs are not loaded twice.
(() => {
  const cells = document.getElementById("cells");
  const head = document.getElementById("run-head");
  const SILENT_MS = 40000;
  const BETWEEN_NEWS_MS = 1000;
  if (!("live" in cells.dataset)) return;
  const news = document.getElementById("news");
  const run = cells.dataset.run;
  const here = `${respawn.prefix}runs/${run}`;
  let work = Promise.resolve();

  const parsed = (html) => new DOMParser().parseFromString(html, "text/html");
  const own = (index) => document.getElementById(`cell-${index}`);

  async function piece(address) {
    const answer = await respawn.fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
    const page = parsed(await answer.text());
    await respawn.released(); // what is fetched here is put in another's place next
    return page;
  }

  function changedCells(keys) {
    return Object.keys(keys).filter((name) => name !== "run" && own(name)?.dataset.key !== keys[name]);
  }

  async function update(keys) {
    if ("run" in keys && head.dataset.key !== keys.run) {
      const fresh = [...(await piece(`${here}/head`)).body.childNodes];
      const open = [...head.querySelectorAll("details")].map((fold) => fold.open);
      head.replaceChildren(...fresh);
      const folds = head.querySelectorAll("details");
      if (folds.length === open.length) folds.forEach((fold, index) => { fold.open = open[index]; });
      respawn.refresh();
      head.dataset.key = keys.run;
    }
    const changed = changedCells(keys);
    if (changed.some((index) => !own(index))) {
      const fresh = await piece(here);
      for (const part of ["cells", "outline"]) {
        document.getElementById(part).replaceChildren(...fresh.getElementById(part).childNodes);
      }
      respawn.logs.endOf(cells);
      respawn.cells.closeWhereNarrow();
    } else if (changed.length) {
      for (let first = 0; first < changed.length; first += 100) await updateCells(changed.slice(first, first + 100));
    }
    respawn.cells.showFailed();
    respawn.refresh();
  }

  async function updateCells(indices) {
    const query = indices.map((index) => `index=${index}`).join("&");
    const fresh = await piece(`${here}/cells?${query}`);
    const ended = [];
    for (const cell of fresh.querySelectorAll(".cell")) {
      const shown = own(cell.dataset.cell);
      if (!shown) continue;
      const folded = shown.classList.contains("cell-folded");
      const focused = shown.querySelector("header").contains(document.activeElement);
      if (shown.dataset.state !== cell.dataset.state) ended.push(shown);
      shown.className = cell.className;
      shown.dataset.key = cell.dataset.key;
      shown.dataset.state = cell.dataset.state;
      shown.querySelector("[data-part=head]").replaceWith(cell.querySelector("[data-part=head]"));
      updateOutputs(shown.querySelector("[data-part=outputs]"), cell.querySelector("[data-part=outputs]"));
      respawn.cells.fold(shown, folded);
      respawn.cells.showState(shown);
      if (focused) shown.querySelector(".cell-fold").focus();
    }
    tell(ended.filter((cell) => ["failed", "executed"].includes(cell.dataset.state)));
  }

  // Outputs that stay are left alone: frames are not loaded again, and what was fetched of a long text stays.
  function updateOutputs(old, fresh) {
    const before = new Map([...old.children].map((item) => [`${item.dataset.output}-${item.dataset.kind}`, item]));
    const items = [...fresh.children].map((item) => {
      const there = before.get(`${item.dataset.output}-${item.dataset.kind}`);
      return there && taken(there, item) ? there : item;
    });
    for (const item of [...old.children]) if (!items.includes(item)) item.remove();
    // One that is moved in the document is loaded again, so only new ones are put into it.
    items.forEach((item, place) => {
      if (old.children[place] === item) return;
      old.insertBefore(item, old.children[place] ?? null);
      for (const box of item.querySelectorAll(".output")) respawn.logs.toEnd(box); // like a terminal
    });
  }

  // Tells whether an output that is there stands for the new one, and brings it up to date.
  function taken(there, item) {
    const source = (output) => output.querySelector("iframe")?.getAttribute("src");
    if (item.dataset.kind === "frame") return source(there) === source(item); // an updated display has another
    const [log, freshLog] = [there.querySelector(".log"), item.querySelector(".log")];
    if (log && freshLog) {
      respawn.logs.update(log, freshLog);
      return true;
    }
    const [text, freshText] = [there.querySelector("pre.output"), item.querySelector("pre.output")];
    if (text && freshText) {
      if (text.innerHTML === freshText.innerHTML) return true;
      const follows = respawn.logs.follows(text); // like a terminal, unless scrolled back
      text.innerHTML = freshText.innerHTML;
      if (follows) respawn.logs.toEnd(text);
      return true;
    }
    return there.isEqualNode(item);
  }

  function tell(ended) {
    const numbers = new Map();
    for (const cell of ended) {
      const word = cell.querySelector("header .badge").textContent;
      numbers.set(word, [...(numbers.get(word) ?? []), cell.dataset.cell]);
    }
    for (const [word, which] of numbers) say(`${which.length > 1 ? "Cells" : "Cell"} ${which.join(", ")}: ${word}`);
  }

  // Of two texts that are set one shortly after the other, screen readers say the last.
  const unsaid = [];
  let saying;
  function say(text) {
    unsaid.push(text);
    saying ??= setTimeout(sayAll);
  }

  function sayAll() {
    news.textContent = unsaid.splice(0).join("; ");
    saying = setTimeout(() => {
      saying = undefined;
      if (unsaid.length) sayAll();
    }, BETWEEN_NEWS_MS);
  }

  let stream;

  // Not an EventSource, which sends no headers: without the form token a session gets no answer to a script.
  async function follow() {
    stream = new AbortController();
    try {
      const answer = await respawn.fetch(`${respawn.prefix}api/v1/runs/${run}/events`, { signal: stream.signal });
      if (respawn.refused(answer)) return;
      if (!answer.ok) throw new Error(`events: ${answer.status}`);
      respawn.found();
      if (await followed(answer.body.pipeThrough(new TextDecoderStream()).getReader())) return;
    } catch {
      if (stream.signal.aborted && stream.signal.reason !== "silent") return;
      respawn.lost();
    }
    again();
  }

  // Returns whether the run has ended; an event ends with an empty line.
  async function followed(reader) {
    for (let rest = ""; ; ) {
      heard();
      const { done, value } = await reader.read();
      if (done) return false;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const field = (name) => event.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        if (field("event") === "end") {
          clearTimeout(silence);
          const state = JSON.parse(field("data")).state.replace("_", " ");
          // After what is still told of its cells, or that would be the last word.
          work = work.then(() => say(`The run has ended: ${state}`));
          return true;
        }
        if (field("event") !== "change") continue;
        const { keys } = JSON.parse(field("data"));
        // One after the other: a later state must not be overtaken by an earlier one.
        work = work.then(() => update(keys)).catch(again);
      }
    }
  }

  // A new stream tells everything once more, so whatever was missed is made up for.
  function again() {
    stream.abort();
    clearTimeout(silence);
    setTimeout(follow, 3000);
  }

  // The service says something every 15 s: a connection that is silent for longer is dead, though nothing closed it.
  let silence;
  function heard() {
    clearTimeout(silence);
    silence = setTimeout(() => stream.abort("silent"), SILENT_MS);
  }

  follow();
  addEventListener("pagehide", () => stream.abort());
})();
