// A debug notebook: the bar above it, and the failing cell brought into view and marked.

import { element, pageLink, webAddress } from "./dom.js";
import { bringIntoView } from "./in_view.js";
import { livingBox } from "./living.js";
import { fixBox, outcomeBox } from "./outcome.js";

export const SCRATCH = "respawn:scratch";
const FAILING = "respawn-failing-cell";
const RUNNING = "respawn-running-cell";

/** The notebook's `metadata.respawn` when it is a debug notebook, else null. */
export function debugInfo(panel) {
  const info = panel.context.model?.sharedModel.getMetadata("respawn");
  return info && typeof info.run === "string" ? info : null;
}

/** Whether the notebook looks into a run that went on: it cannot be resumed from. */
export function looksInside(info) {
  return info.state === "running";
}

/** Put the bar above the notebook. */
export function addBar(lab, panel, info, pages, { resume, restart }) {
  const button = (label, action, kind, title) =>
    element("button", { type: "button", class: `jp-mod-styled ${kind}`, title, click: action }, label);
  const show = () => showFailingCell(panel, info);
  const runPage = pages ? `${pages}/runs/${encodeURIComponent(info.run)}` : webAddress(info.link);
  const node = element(
    "div",
    { class: "respawn-bar", role: "toolbar", "aria-label": "Respawn" },
    element(
      "span",
      { class: "respawn-bar-text", title: info.error || "" },
      element("strong", {}, `${looksInside(info) ? "Looking into" : "Debugging"} ${info.run}`),
      looksInside(info) ? " · as it was before the running cell; the run went on" : info.error ? ` · ${info.error}` : "",
    ),
    outcomeBox(),
    livingBox(),
    fixBox(),
    element(
      "span",
      { class: "respawn-bar-buttons" },
      ...(looksInside(info)
        ? [info.failing_cell_id ? button("Running cell", show, "jp-mod-reject", "Show the cell that was running") : null]
        : [
            info.failing_cell_id ? button("Failing cell", show, "jp-mod-reject", "Show the cell that failed") : null,
            button("Resume…", resume, "jp-mod-accept respawn-bar-resume", "Save, and go on from the failing cell in a new run"),
            button("Restart…", restart, "jp-mod-reject", "Save, and run everything again in a new run"),
          ]),
      runPage ? pageLink(runPage, "Run page", { class: "respawn-bar-link" }) : null,
    ),
  );
  const bar = new lab.widgets.Widget({ node: element("div", {}, node) });
  bar.addClass("respawn-bar-widget");
  panel.contentHeader.addWidget(bar);
  // A narrow notebook wraps the bar; its layout must be told how high it is then.
  const observer = new ResizeObserver(() => {
    bar.node.style.minHeight = `${Math.max(40, node.offsetHeight)}px`;
    bar.parent?.fit();
  });
  observer.observe(node);
  bar.disposed.connect(() => observer.disconnect());
  return bar;
}

/** Number the cells and mark the failing one, now and whenever the notebook makes its widgets anew. */
export function markFailingCell(panel, info) {
  const mark = () => {
    let number = 0;
    for (const cell of panel.content.widgets) {
      // The number that pages, plans and messages use: cells that Respawn put in front and scratch do not count.
      const counts = !cell.model.getMetadata("respawn")?.role && !(cell.model.getMetadata("tags") || []).includes(SCRATCH);
      cell.node.dataset.respawnCell = counts ? `cell ${number++}` : "";
      const failing = cell.model.id === info.failing_cell_id;
      cell.toggleClass(FAILING, failing);
      cell.toggleClass(RUNNING, failing && looksInside(info));
      const description = looksInside(info) ? "This cell was running" : "This cell failed in the run";
      if (failing) cell.node.setAttribute("aria-description", description);
    }
  };
  mark();
  panel.content.model.cells.changed.connect(mark);
  panel.content.model.contentChanged.connect(mark);
  panel.disposed.connect(() => {
    panel.content.model?.cells.changed.disconnect(mark);
    panel.content.model?.contentChanged.disconnect(mark);
  });
}

/** Select the failing cell, and bring it into view as soon as the notebook is seen and the cell is drawn. */
export async function showFailingCell(panel, info) {
  const notebook = panel.content;
  const find = () => notebook.widgets.find((cell) => cell.model.id === info.failing_cell_id);
  const index = notebook.widgets.indexOf(find());
  if (index < 0) return;
  notebook.deselectAll();
  notebook.activeCellIndex = index;
  notebook.mode = "command";
  await bringIntoView(panel, find, () => notebook.activate());
}
