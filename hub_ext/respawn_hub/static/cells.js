"use strict";
// The cells of a run: collapsed and expanded, found in the outline, and the way to the one that failed.
respawn.cells = (() => {
  const cells = document.getElementById("cells");
  const outline = document.getElementById("outline");
  const bar = document.getElementById("cells-bar");
  const toFailed = document.getElementById("to-failed");

  function fold(cell, folded) {
    cell.classList.toggle("cell-folded", folded);
    cell.querySelector(".cell-fold").setAttribute("aria-expanded", String(!folded));
  }

  function foldAll(folded) {
    for (const cell of cells.querySelectorAll(".cell")) fold(cell, folded);
  }

  // What a link leads to is shown, also where it was collapsed.
  function reveal() {
    const target = location.hash && document.getElementById(location.hash.slice(1))?.closest(".cell");
    if (!target) return;
    fold(target, false);
    target.scrollIntoView();
  }

  function showFailed() {
    const failed = cells.querySelector(".cell-failed");
    toFailed.hidden = !failed;
    if (failed) toFailed.href = `#${failed.id}`;
    bar.hidden = !cells.querySelector(".cell");
  }

  // The outline tells each cell's state, in colour and in words.
  function showState(cell) {
    const entry = outline.querySelector(`[data-outline="${cell.dataset.cell}"]`);
    if (!entry) return;
    entry.dataset.state = cell.dataset.state;
    entry.querySelector("[data-part=state]").textContent = cell.querySelector("header .badge").textContent;
  }

  cells.addEventListener("click", (event) => {
    const button = event.target.closest(".cell-fold");
    if (!button) return;
    const cell = button.closest(".cell");
    fold(cell, !cell.classList.contains("cell-folded"));
  });
  bar.addEventListener("click", (event) => {
    const wanted = event.target.dataset.fold;
    if (wanted) foldAll(wanted === "all");
  });
  addEventListener("hashchange", reveal);

  // On a narrow window the outline would stand between the reader and the cells.
  function closeWhereNarrow() {
    const box = outline.querySelector("details");
    if (box && matchMedia("(max-width: 991.98px)").matches) box.open = false;
  }

  closeWhereNarrow();
  showFailed();
  reveal();
  return { fold, showFailed, showState, closeWhereNarrow };
})();
