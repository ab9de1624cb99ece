// Dialogs whose accept button follows their body: it cannot be pressed while the body says it may not.

import { element, sentence } from "./dom.js";

/**
 * Show a dialog and wait for its end.
 *
 * @param lab JupyterLab's modules
 * @param {{title: string, node: HTMLElement, accept: string|null, cancel?: string, focus?: string,
 *          ready?: (setReady: (ready: boolean, more?: {label?: string, why?: string, idle?: boolean}) => void) => void,
 *          submit?: () => Promise<boolean>}} options
 *   `accept` null leaves only the button that closes; `ready` is handed the switch of the accept button, which takes
 *   its label as well, why it cannot be pressed, and `idle` when there is nothing to accept and only to close; `submit`
 *   does what was accepted, and the dialog stays open when it says false
 * @returns {Promise<boolean>} whether it was accepted
 */
export async function ask(lab, { title, node, accept, cancel = "Cancel", focus, ready, submit }) {
  const { Dialog } = lab.apputils;
  const body = new lab.widgets.Widget({ node });
  const close = Dialog.cancelButton({ label: accept ? cancel : "Close" });
  const buttons = accept ? [close, Dialog.okButton({ label: accept })] : [close];
  let mayAccept = true;
  let idle = false;
  let busy = false;
  const reason = element("small", { id: "respawn-why", class: "respawn-why", role: "status" });

  // The dialog's own way to end, with what was accepted done before it does.
  class Staying extends Dialog {
    resolve(index = buttons.length - 1) {
      if (busy) return;
      if (buttons[index].accept && idle) {
        super.resolve(0);
        return;
      }
      if (buttons[index].accept && !mayAccept) return;
      if (!submit || !buttons[index].accept) {
        super.resolve(index);
        return;
      }
      busy = true;
      show();
      submit().then((done) => {
        busy = false;
        if (done) super.resolve(index);
        else show();
      });
    }
  }
  const dialog = new Staying({ title, body, buttons, focusNodeSelector: focus, hasClose: true });
  dialog.addClass("respawn-dialog");
  const footer = () => dialog.node.querySelector(".jp-Dialog-footer");
  const button = (kind) => footer()?.querySelector(`button.jp-mod-${kind}`);
  const show = () => {
    if (!accept || !button("accept")) return;
    // Not `disabled`: a button that cannot be pressed can still be reached, and says why.
    button("accept").setAttribute("aria-disabled", String(busy || !mayAccept));
    button("accept").setAttribute("aria-busy", String(busy));
    button("accept").hidden = idle;
  };
  const name = (kind, label) => {
    const text = button(kind)?.querySelector(".jp-Dialog-buttonLabel");
    if (!text) return;
    text.textContent = label;
    button(kind).setAttribute("aria-label", label); // JupyterLab's own stays as the button was made
  };
  const setReady = (value, { label, why = "", idle: nothing = false } = {}) => {
    mayAccept = value;
    idle = nothing;
    show();
    if (label) name("accept", label);
    name("reject", accept && !idle ? cancel : "Close");
    const text = value || idle ? "" : why;
    if (reason.textContent !== text) reason.textContent = text;
  };
  // Registered before the dialog's own listener: Enter must not accept what the button refuses.
  dialog.node.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Enter" || event.target.closest("button, a, select, textarea, summary") !== null) return;
      if ((mayAccept || idle) && !busy && !event.target.closest("[data-respawn-own-enter]")) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
  const ended = dialog.launch();
  if (accept) {
    footer()?.prepend(reason);
    button("accept")?.setAttribute("aria-describedby", reason.id);
  }
  if (ready) ready(setReady);
  const result = await ended;
  return Boolean(accept) && result.button.accept && mayAccept;
}

/**
 * Tell about something that was refused or went wrong.
 *
 * @returns {Promise<boolean>} whether it is to be tried again, which is offered where `retry` says so
 */
export async function tellProblem(lab, title, error, { retry = false } = {}) {
  const node = element("div", { class: "respawn-body", role: "alert" }, sentence(error.message));
  return ask(lab, { title, node, accept: retry ? "Try again" : null, cancel: "Close" });
}
