// After a resume or a restart that succeeded: the fix, offered to the file that the job was promoted from.

import { ask, tellProblem } from "./ask.js";
import { cellDiff } from "./diff.js";
import { button, element, howMany, sentence } from "./dom.js";

const ELSE = "The file has another text here than the version that failed. It is left as it is: put the fix in by hand.";
const GONE = "The file no longer has this cell. It is left as it is.";

/**
 * Say beside the run that succeeded whether its fix is in the job's file, with a button where it is not.
 *
 * @param {HTMLElement} box where it is said
 * @returns {() => Promise<void>} to be called when a run that was made from the debugged one has succeeded
 */
export function offerFix({ lab, api, app, panel, box }) {
  let shown = "";
  const look = async () => {
    let fix;
    try {
      fix = await api.fix(panel.context.path);
    } catch (error) {
      shown = "";
      box.replaceChildren(element("span", { class: "respawn-problem" }, `Whether the fix is in its file is not known: ${error.message}`));
      return;
    }
    // A button that is put in another's place while somebody presses it never hears of the click.
    const text = JSON.stringify([fix.target, fix.source, fix.state, fix.why]);
    if (text === shown) return;
    shown = text;
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
  if (fix.state === "otherwise") return [button(`Compare ${fix.target} with the fix…`, write)];
  return [button(`Write the fix to ${fix.target}…`, write, { class: "jp-mod-styled jp-mod-accept respawn-write-back" })];
}

/** Show what would be written, and write it when it is agreed to. */
async function writeFix({ lab, api, app, path }) {
  const title = "Write the fix to its file";
  try {
    const first = await api.fix(path);
    if (first.target === null) throw new Error(first.why);
    if (first.state === "write") refuseOpen(api, app, first.target);
    const view = fixView({ api, app, path }, first);
    const accept = first.state === "write" ? "Write" : null;
    await ask(lab, { title, node: view.node, accept, ready: accept ? view.follow : undefined, submit: accept ? view.submit : undefined });
    if (view.done() === null) return;
    for (const { context } of editors(api, app, view.done().target)) if (!context.model.dirty) await context.revert();
    await tellWritten(lab, view.done());
  } catch (error) {
    await tellProblem(lab, title, error);
  }
}

/** What would be written. What is refused is said, and what would be written now is shown in its place. */
function fixView({ api, app, path }, first) {
  const problem = element("p", { class: "respawn-problem", role: "alert", hidden: true });
  const body = element("div", {}, ...described(first));
  let fix = first;
  let done = null;
  let setReady = () => {};
  const again = async () => {
    try {
      fix = await api.fix(path);
    } catch {
      return; // it is as it was shown, and the service that does not answer is said already
    }
    body.replaceChildren(...(fix.target === null ? [element("p", {}, fix.why)] : described(fix)));
    const why = fix.state === "there" ? "The file has the fix already." : "Nothing of the fix can be written.";
    setReady(fix.state === "write", { why });
  };
  const submit = async () => {
    try {
      problem.hidden = true;
      refuseOpen(api, app, fix.target);
      done = await api.writeBack(path, fix.seen);
      return true;
    } catch (error) {
      await again();
      problem.textContent = sentence(error.message);
      problem.hidden = false;
      return false;
    }
  };
  return {
    node: element("div", { class: "respawn-body" }, problem, body),
    submit,
    done: () => done,
    follow: (set) => {
      setReady = set;
    },
  };
}

function described(fix) {
  const changes = fix.cells.filter(({ state }) => state !== "there");
  const there = fix.cells.length - changes.length;
  const place = (cell) => (cell.cell === null ? `Cell ${cell.fixed ?? "?"} of version ${fix.fixed}` : `Cell ${cell.cell}`);
  const one = (cell) => {
    const left = cell.state === "otherwise";
    const note = left ? (cell.cell === null ? GONE : ELSE) : "";
    return cellDiff({ title: `${place(cell)}: ${left ? "left as it is" : cell.kind}`, lines: cell.lines, note });
  };
  const parts = [
    element(
      "p",
      {},
      `Version ${fix.base} of ${fix.job}, by ${fix.by}, came from `,
      element("code", {}, fix.target),
      `. Version ${fix.fixed} has the fix. From the file to the fix:`,
    ),
    ...changes.map(one),
    there ? element("p", {}, `${howMany(there, "cell of the fix is", "cells of the fix are")} in the file already.`) : null,
    element("p", {}, "Outputs of the cells that are written go; all else of the file stays."),
  ];
  return parts.filter(Boolean);
}

async function tellWritten(lab, fix) {
  const written = fix.cells.filter(({ state }) => state === "write").length;
  const left = fix.cells.filter(({ state }) => state === "otherwise").length;
  const node = element(
    "div",
    { class: "respawn-body", role: "status" },
    element("p", {}, element("code", {}, fix.target), ` has the fix: ${howMany(written, "cell was", "cells were")} written.`),
    left ? element("p", { class: "respawn-notice" }, `${howMany(left, "cell was", "cells were")} left as they are in the file.`) : null,
    element(
      "p",
      {},
      fix.current
        ? `Nothing needs to be promoted: new runs of ${fix.job} use version ${fix.fixed}, which has the fix.`
        : `New runs of ${fix.job} use another version than ${fix.fixed}: promote the file to give them the fix.`,
    ),
  );
  await ask(lab, { title: "Written", node, accept: null });
}

/** The open editors of a file of the server, of whatever kind. */
function editors(api, app, path) {
  return [...app.shell.widgets("main")].filter(({ context }) => context && api.serverPath(context.path) === path);
}

/** Refuse while an editor would lose what it holds, or write over the fix with it. */
function refuseOpen(api, app, path) {
  const open = editors(api, app, path);
  if (open.some(({ context }) => context.model.dirty)) {
    throw new Error(`${path} is open with changes that are not saved. Save them or close it without saving, then try again. Nothing was written.`);
  }
  if (open.some(({ context }) => api.isShared(context.path))) {
    throw new Error(`${path} is open for several people to edit together. Close it everywhere, then try again. Nothing was written.`);
  }
}
