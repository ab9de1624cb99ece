// The JupyterLab plugin: connects notebooks as they open, and offers the commands in palette and menu.

import { Api } from "./api.js";
import { keepItsKernel } from "./connecting.js";
import { addBar, debugInfo, looksInside, markFailingCell, showFailingCell } from "./debugging.js";
import { waitForOpening } from "./opening.js";
import { followOutcome } from "./outcome.js";
import { promote } from "./promote.js";
import { restart, resume } from "./resume.js";
import { offerFix } from "./write_back.js";

const CATEGORY = "Respawn";

/** @param lab JupyterLab's modules, from lab.js */
export function makePlugin(lab) {
  return {
    id: "respawn:plugin",
    description: "Promote notebooks to jobs; debug and resume runs that failed.",
    autoStart: true,
    requires: [lab.notebook.INotebookTracker],
    optional: [lab.apputils.ICommandPalette, lab.mainmenu.IMainMenu],
    activate: (app, tracker, palette, menu) => {
      const api = new Api(lab, app.serviceManager.contents);
      waitForOpening(lab, app.serviceManager.contents, api);
      addCommands(lab, app, api, tracker, palette, menu);
      tracker.widgetAdded.connect((_, panel) => void prepare(lab, app, api, panel));
      tracker.forEach((panel) => void prepare(lab, app, api, panel));
    },
  };
}

function addCommands(lab, app, api, tracker, palette, menu) {
  const info = () => (tracker.currentWidget ? debugInfo(tracker.currentWidget) : null);
  const ended = () => info() && !looksInside(info());
  const entries = [
    ["respawn:promote", "Promote to a Job…", () => tracker.currentWidget && !info(), (panel) => promote(lab, api, panel)],
    ["respawn:resume", "Resume the Debugged Run…", ended, (panel) => resume(lab, api, panel)],
    ["respawn:restart", "Restart the Debugged Run…", ended, (panel) => restart(lab, api, panel, info())],
    ["respawn:failing-cell", "Show the Failing Cell", info, (panel) => showFailingCell(panel, info())],
  ];
  for (const [id, label, enabled, execute] of entries) {
    app.commands.addCommand(id, {
      label,
      isEnabled: () => Boolean(enabled()),
      execute: () => execute(tracker.currentWidget),
    });
    palette?.addItem({ command: id, category: CATEGORY });
  }
  menu?.runMenu.addGroup(entries.map(([id]) => ({ command: id })), 90);
  tracker.currentChanged.connect(() => app.commands.notifyCommandChanged());
}

async function prepare(lab, app, api, panel) {
  keepItsKernel(panel, debugInfo);
  await panel.context.ready;
  if (panel.isDisposed) return;
  const info = debugInfo(panel);
  if (info === null) {
    addPromoteButton(lab, app, panel);
    return;
  }
  let look = async () => {};
  const run = (command) => async () => {
    app.shell.activateById(panel.id);
    await app.commands.execute(command);
    await look();
  };
  const pages = lab.coreutils.PageConfig.getOption("respawnPages");
  const bar = addBar(lab, panel, info, pages, { resume: run("respawn:resume"), restart: run("respawn:restart") });
  const node = bar.node.firstElementChild;
  if (!looksInside(info)) {
    const succeeded = offerFix({ lab, api, app, panel, box: node.querySelector(".respawn-bar-fix") });
    look = followOutcome({ api, panel, node, pages, succeeded });
  }
  markFailingCell(panel, info);
  await panel.revealed;
  app.commands.notifyCommandChanged();
  await showFailingCell(panel, info);
}

function addPromoteButton(lab, app, panel) {
  const button = new lab.apputils.ToolbarButton({
    label: "Promote…",
    tooltip: "Make this notebook a job that runs without you",
    onClick: () => {
      app.shell.activateById(panel.id);
      void app.commands.execute("respawn:promote");
    },
  });
  button.addClass("respawn-promote");
  panel.toolbar.insertItem(10, "respawn-promote", button);
}
