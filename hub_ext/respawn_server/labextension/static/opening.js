// A debug notebook that is asked for while its variables are still restored: it is loaded when they are there.

import { element, sentence } from "./dom.js";

/**
 * Hold back the notebook that the page of a debug link sent here, until its opening has ended.
 *
 * Nothing can be run in it before that, and its file gets the outputs of the restore. Where the opening failed, a
 * dialog says why; the notebook is loaded all the same.
 *
 * @param lab JupyterLab's modules
 * @param contents JupyterLab's contents
 * @param api the server extension's API
 */
export function waitForOpening(lab, contents, api) {
  const run = new URLSearchParams(window.location.search).get("respawn");
  const path = lab.coreutils.PageConfig.getOption("treePath");
  if (!run || !path) return;
  const ended = followed(lab, api, run);
  const get = contents.get;
  contents.get = async (asked, options) => {
    if (options?.content !== false && api.serverPath(asked) === path) await ended;
    return get.call(contents, asked, options);
  };
  void ended.then(() => {
    contents.get = get;
  });
}

/** Follow an opening to its end, whichever that is. */
async function followed(lab, api, run) {
  const { Notification } = lab.apputils;
  const notification = Notification.emit(`Restoring the variables of ${run}…`, "in-progress", { autoClose: false });
  try {
    const last = await api.opening(run);
    if (last?.type === "failed") void showProblem(lab, api.debugPage(run), last.message);
  } finally {
    Notification.dismiss(notification);
  }
}

async function showProblem(lab, page, message) {
  const { Dialog, showDialog } = lab.apputils;
  const body = new lab.widgets.Widget({ node: element("p", { role: "alert" }, sentence(message)) });
  const buttons = [Dialog.cancelButton({ label: "Go on without them" }), Dialog.okButton({ label: "Try again" })];
  const { button } = await showDialog({ title: "Its variables are not there", body, buttons });
  if (button.accept) window.location.assign(page);
}
