// How cells differ: folded, one line of source a row, its sign in a column of its own so that colour is not needed.

import { element, howMany } from "./dom.js";

const SIGNS = { same: " ", added: "+", removed: "−" };
const SAID = { added: "added: ", removed: "removed: ", same: "" };
const CONTEXT = 3;

/**
 * @param {{kind: string, text: string}[]} lines
 * @returns {HTMLElement} the lines that differ with some around them
 */
export function diffLines(lines) {
  const near = new Set();
  lines.forEach((line, at) => {
    if (line.kind === "same") return;
    for (let place = at - CONTEXT; place <= at + CONTEXT; place += 1) near.add(place);
  });
  const rows = [];
  let left = 0;
  const gap = () => {
    if (left) rows.push(element("div", { class: "respawn-diff-gap" }, `⋯ ${howMany(left, "unchanged line")}`));
    left = 0;
  };
  lines.forEach((line, at) => {
    if (!near.has(at)) {
      left += 1;
      return;
    }
    gap();
    rows.push(
      element(
        "div",
        { class: `respawn-diff-line respawn-diff-${line.kind}` },
        element("span", { class: "respawn-diff-sign", "aria-hidden": "true" }, SIGNS[line.kind] || "?"),
        SAID[line.kind] ? element("span", { class: "respawn-said" }, SAID[line.kind]) : null,
        element("code", {}, line.text || " "),
      ),
    );
  });
  gap();
  return element("div", { class: "respawn-diff" }, ...rows);
}

/** @param {{title: string, lines: Object[], note?: string, tags?: ?string[]}} cell one cell that differs */
export function cellDiff({ title, lines, note, tags }) {
  return element(
    "section",
    { class: "respawn-diff-cell" },
    element("h4", {}, title),
    note ? element("p", { class: "respawn-notice" }, note) : null,
    tags ? element("p", {}, "Tags: ", element("code", {}, tags.length ? tags.join(", ") : "none")) : null,
    lines.length ? diffLines(lines) : null,
  );
}

/** The comparison of a version with the file, folded; null where nothing differs. */
export function comparison(found, open) {
  const cells = found ? found.cells.filter((cell) => cell.kind !== "same") : [];
  if (!cells.length && !found?.kernels) return null;
  const title = (cell) => {
    const place = cell.new === null ? `cell ${cell.old} of version ${found.old}` : `cell ${cell.new}`;
    const moved = cell.kind !== "moved" && cell.moved ? ", moved" : "";
    return `${place[0].toUpperCase()}${place.slice(1)}: ${cell.kind}${moved}${cell.moved ? ` from cell ${cell.old}` : ""}`;
  };
  const count = `${howMany(cells.length, "cell differs", "cells differ")} from version ${found.old}`;
  return element(
    "details",
    { class: "respawn-comparison", open },
    element("summary", {}, cells.length ? count : `Another kernel than version ${found.old}`),
    found.kernels ? element("p", {}, "Kernel: ", element("code", {}, found.kernels[0]), " → ", element("code", {}, found.kernels[1])) : null,
    ...cells.map((cell) => cellDiff({ title: title(cell), lines: cell.lines, tags: cell.tags })),
  );
}
