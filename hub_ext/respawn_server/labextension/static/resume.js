// Resume and Restart: save the notebook, show what would happen, and start it when the person agrees.

import { ask, tellProblem } from "./ask.js";
import { SCRATCH } from "./debugging.js";
import { element, noun, pageLink, problemBox } from "./dom.js";

const WORDS = { reuse: "reused", run: "runs", "cannot restore": "cannot be restored" };

/** Show the plan; a new run goes on from the failing cell when it is accepted. */
export async function resume(lab, api, panel) {
  const title = "Resume";
  try {
    await panel.context.save();
    const path = panel.context.path;
    const agreement = { rerunOnce: false, rerunProducers: false, loadImported: false, breakTriggers: false, strict: null };
    const first = await api.plan(path, agreement);
    const view = planView(first, agreement, () => api.plan(path, agreement), (id, out) => setScratch(panel, id, out));
    const accepted = await ask(lab, {
      title: `Resume ${first.run}`,
      node: view.node,
      accept: view.hopeless ? null : "Resume",
      ready: view.follow,
    });
    if (accepted) await started(lab, await api.resume(path, agreement), "goes on");
  } catch (error) {
    await tellProblem(lab, title, error);
  }
}

/** Ask, and run everything again from the top. */
export async function restart(lab, api, panel, info) {
  try {
    const node = element(
      "div",
      { class: "respawn-body" },
      element("p", {}, "A new run executes all cells of the saved notebook. Where something was changed in it, it becomes a new version."),
    );
    if (!(await ask(lab, { title: `Restart ${info.run}`, node, accept: "Restart" }))) return;
    await panel.context.save();
    const run = await restarted(lab, api, panel.context.path);
    if (run) await started(lab, run, "runs from the top");
  } catch (error) {
    await tellProblem(lab, "Restart", error);
  }
}

/** Start it; when the service asks about triggers that the fix does not fit, ask the person, and go on or not. */
async function restarted(lab, api, path) {
  try {
    return await api.restart(path);
  } catch (error) {
    const questions = error.fields?.questions || [];
    if (!questions.length) throw error;
    const node = element("div", { class: "respawn-body" }, ...questions.map((one) => element("p", {}, one.message)));
    if (!(await ask(lab, { title: "Restart all the same?", node, accept: "Restart all the same" }))) return null;
    return api.restart(path, true);
  }
}

/**
 * The dialog's body. Cells that must not run twice, or that would run again only to make what could not be stored,
 * and a state that came in an archive need a tick; the server then judges the plan anew.
 */
function planView(first, agreement, replan, setOut) {
  const table = element("div", { class: "respawn-plan" });
  const messages = element("div", { "aria-live": "polite" });
  let setReady = () => {};

  const agree = (to) => async (event) => {
    agreement[to] = event.target.checked;
    setReady(false);
    try {
      show(await replan());
    } catch (error) {
      messages.replaceChildren(problemBox(error.message));
    }
  };
  const box = (to) => {
    const input = element("input", { type: "checkbox", change: agree(to) });
    const words = element("span", {});
    return { node: element("label", { class: "respawn-tick" }, input, " ", words), input, words };
  };
  const added = newCells(async (id, out) => {
    setReady(false);
    try {
      await setOut(id, out);
      show(await replan());
    } catch (error) {
      messages.replaceChildren(problemBox(error.message));
    }
  });
  const names = ["rerunOnce", "rerunProducers", "loadImported", "breakTriggers", "strict"];
  const ticks = Object.fromEntries(names.map((name) => [name, box(name)]));
  const offer = (tick, cells, words) => {
    tick.node.hidden = cells.length === 0;
    tick.words.textContent = `Run ${named(cells)} again, ${words}`;
  };
  ticks.breakTriggers.words.textContent = "Resume all the same: runs of these triggers fail until the triggers are changed";
  ticks.strict.words.textContent = "Strict: run everything again from the first change on";

  const show = (plan) => {
    messages.replaceChildren(...describe(plan));
    table.replaceChildren(planTable(plan));
    added.show(plan.new);
    offer(ticks.rerunOnce, onceAgain(plan), "although tagged respawn:once");
    offer(ticks.rerunProducers, plan.producers, "to make what could not be stored");
    ticks.loadImported.node.hidden = plan.imported.length === 0;
    ticks.loadImported.words.textContent = `Load the state that was made elsewhere (${plan.imported.join("; ")})`;
    ticks.breakTriggers.node.hidden = plan.breaks.length === 0;
    ticks.strict.input.checked = plan.strict;
    setReady(plan.problems.length === 0);
  };
  const follow = (set) => {
    setReady = set;
    show(first);
  };
  show(first);
  const offered = [first.new, onceAgain(first), first.producers, first.imported, first.breaks];
  const hopeless = first.problems.length > 0 && offered.every((some) => some.length === 0);
  const nodes = Object.values(ticks).map((tick) => tick.node);
  const node = element("div", { class: "respawn-body" }, messages, table, added.node, ...nodes);
  return { node, follow, hopeless };
}

/** A tick per cell that was added: it stays in the job, or was scratch. They keep their place while the plan changes. */
function newCells(setOut) {
  const list = element("div", {});
  const node = element(
    "fieldset",
    { class: "respawn-new", hidden: true },
    element("legend", {}, "New cells"),
    element("p", {}, "They become cells of the job. Untick those that you added only to look."),
    list,
  );
  const ticks = new Map();
  const show = (cells) => {
    node.hidden = cells.length === 0;
    for (const cell of cells) {
      if (!ticks.has(cell.id)) {
        const input = element("input", { type: "checkbox", change: (event) => setOut(cell.id, !event.target.checked) });
        const words = element("span", {});
        const tick = element("label", { class: "respawn-tick" }, input, " ", words);
        ticks.set(cell.id, { input, words });
        list.append(tick);
      }
      const { input, words } = ticks.get(cell.id);
      input.checked = cell.index !== null;
      const where = cell.index === null ? "scratch, left out" : `cell ${cell.index}`;
      words.replaceChildren("Keep ", element("code", {}, cell.title || "(empty)"), ` (${where})`);
    }
  };
  return { node, show };
}

/** Tag a cell of the notebook as scratch, or take the tag away, and save: the tag is what the service goes by. */
async function setScratch(panel, id, out) {
  const cell = panel.content.widgets.find((widget) => widget.model.id === id)?.model;
  if (!cell) throw new Error("The cell is no longer in the notebook. Close this, and press Resume… again.");
  const others = (cell.getMetadata("tags") || []).filter((tag) => tag !== SCRATCH);
  const tags = out ? [...others, SCRATCH] : others;
  if (tags.length) cell.setMetadata("tags", tags);
  else cell.deleteMetadata("tags");
  await panel.context.save();
}

/** The cells that must not run twice and would. */
function onceAgain(plan) {
  return plan.cells.filter((cell) => cell.once && cell.action !== "reuse").map((cell) => cell.index);
}

function named(cells) {
  return `${noun(cells.length, "cell")} ${cells.join(", ")}`;
}

function describe(plan) {
  const state = plan.checkpoint ? `with the variables as after cell ${plan.checkpoint.cell}` : "with an empty kernel";
  const again = plan.rerun.length ? `runs ${named(plan.rerun)} again, then ` : "";
  const from =
    plan.first === null
      ? plan.rerun.length
        ? `Execution starts ${state} and runs ${named(plan.rerun)} again; nothing else is left to execute.`
        : "Nothing is left to execute."
      : `Execution starts ${state}, ${again}goes on from cell ${plan.first}.`;
  const changed = plan.changed_parameters.map((name) => `${name} = ${JSON.stringify(plan.parameters[name])}`);
  return [
    ...plan.problems.map((problem) => problemBox(problem)),
    changed.length ? element("p", {}, "Changed parameters: ", element("code", {}, changed.join(", "))) : "",
    ...plan.notices.map((notice) => element("p", { class: "respawn-notice" }, notice)),
    element("p", {}, from),
  ];
}

function planTable(plan) {
  const row = (cell) =>
    element(
      "tr",
      { class: `respawn-action-${cell.action.replace(" ", "-")}` },
      element("td", { class: "respawn-index" }, String(cell.index)),
      element("td", { class: "respawn-title" }, element("code", {}, cell.title || "(empty)")),
      element("td", { class: "respawn-action" }, WORDS[cell.action] || cell.action),
      element("td", cell.unwatched ? { title: cell.unwatched } : {}, cell.why),
    );
  const head = ["Cell", "", "", "Why"].map((text) => element("th", { scope: "col" }, text));
  head[1].textContent = "Starts with";
  head[2].textContent = "Plan";
  return element(
    "table",
    {},
    element("caption", {}, "What happens to each code cell"),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...plan.cells.map(row)),
  );
}

async function started(lab, { run, url }, how) {
  const node = element(
    "div",
    { class: "respawn-body" },
    element("p", {}, `The new run `, element("strong", {}, run.id), ` ${how}.`),
    url ? element("p", {}, pageLink(url, "Open its page", { class: "respawn-open-run" })) : null,
  );
  await ask(lab, { title: "Started", node, accept: null });
}
