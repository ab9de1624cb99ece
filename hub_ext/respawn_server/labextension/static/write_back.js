// After a resume that succeeded: the fix, offered to the file that the job was promoted from.

import { ask, tellProblem } from "./ask.js";
import { cellDiff } from "./diff.js";
import { button, element } from "./dom.js";

const ELSE = "The file has another text here than the version that failed. It is left as it is: put the fix in by hand.";
const GONE = "The file no longer has this cell. It is left as it is.";

/**
 * Say beside the run that succeeded whether its fix is in the job's file, with a button where it is not.
 *
 * @param {HTMLElement} box where it is said
 * @returns {() => Promise<void>} to be called when a run that goes on from the debugged one has succeeded
 */
export function offerFix({ lab, api, app, panel, box }) {
  const look = async () => {
    let fix;
    try {
      fix = await api.fix(panel.context.path);
    } catch (error) {
      box.replaceChildren(element("span", { class: "respawn-problem" }, `Whether the fix is in its file is not known: ${error.message}`));
      return;
    }
    box.replaceChildren(...offered(fix, () => void write()));
  };
  const write = async () => {
    await writeFix({ lab, api, app, path: panel.context.path });
    await look();
  };
  return look;
}

function offered(fix, write) {
  if (fix.target === null) return fix.source ? [`The fix is not written back: ${fix.why}`] : [];
  if (fix.state === "there") return [`${fix.target} holds the fix.`];
  return [button(`Write the fix to ${fix.target}…`, write, { class: "jp-mod-styled jp-mod-accept respawn-write-back" })];
}

/** Show what would be written, and write it when it is agreed to. */
async function writeFix({ lab, api, app, path }) {
  const title = "Write the fix to its file";
  try {
    const fix = await api.fix(path);
    if (fix.target === null) throw new Error(fix.why);
    refuseUnsaved(app, fix.target);
    const problem = element("p", { class: "respawn-problem", role: "alert", hidden: true });
    let done = null;
    const submit = async () => {
      try {
        refuseUnsaved(app, fix.target);
        done = await api.writeBack(path, fix.seen);
        return true;
      } catch (error) {
        problem.textContent = error.message;
        problem.hidden = false;
        return false;
      }
    };
    const accept = fix.state === "write" ? "Write" : null;
    await ask(lab, { title, node: fixBody(fix, problem), accept, submit: accept ? submit : undefined });
    if (done === null) return;
    for (const { context } of editors(app, fix.target)) await context.revert();
    await tellWritten(lab, done);
  } catch (error) {
    await tellProblem(lab, title, error);
  }
}

function fixBody(fix, problem) {
  const told = fix.cells.filter(({ state }) => state !== "there");
  const there = fix.cells.length - told.length;
  const place = (cell) => (cell.cell === null ? `Cell ${cell.fixed} of version ${fix.fixed}` : `Cell ${cell.cell}`);
  const one = (cell) => {
    const left = cell.state === "otherwise";
    const note = left ? (cell.cell === null ? GONE : ELSE) : "";
    return cellDiff({ title: `${place(cell)}: ${left ? "left as it is" : cell.kind}`, lines: cell.lines, note });
  };
  return element(
    "div",
    { class: "respawn-body" },
    problem,
    element(
      "p",
      {},
      `Version ${fix.base} of ${fix.job} came from `,
      element("code", {}, fix.target),
      `. Version ${fix.fixed} has the fix. From the file to the fix:`,
    ),
    ...told.map(one),
    there ? element("p", {}, `${there} ${there === 1 ? "cell of the fix is" : "cells of the fix are"} in the file already.`) : null,
    element("p", {}, "Outputs of the cells that are written go; all others stay."),
  );
}

async function tellWritten(lab, fix) {
  const written = fix.cells.filter(({ state }) => state === "write").length;
  const left = fix.cells.filter(({ state }) => state === "otherwise").length;
  const node = element(
    "div",
    { class: "respawn-body", role: "status" },
    element("p", {}, element("code", {}, fix.target), ` has the fix: ${written} ${written === 1 ? "cell was" : "cells were"} written.`),
    left ? element("p", { class: "respawn-notice" }, `${left} ${left === 1 ? "cell was" : "cells were"} left as they are in the file.`) : null,
    element("p", {}, `Nothing needs to be promoted: the job has had the fix since version ${fix.fixed}.`),
  );
  await ask(lab, { title: "Written", node, accept: null });
}

/** The open editors of a file, of whatever kind. */
function editors(app, path) {
  return [...app.shell.widgets("main")].filter((widget) => widget.context?.path === path);
}

function refuseUnsaved(app, path) {
  if (editors(app, path).some((widget) => widget.context.model.dirty)) {
    throw new Error(`${path} is open with changes that are not saved. Save them or close it without saving, then try again. Nothing was written.`);
  }
}
