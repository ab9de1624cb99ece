// Dialogs whose accept button follows their body: it cannot be pressed while the body says it may not.

/**
 * Show a dialog and wait for its end.
 *
 * @param lab JupyterLab's modules
 * @param {{title: string, node: HTMLElement, accept: string|null, cancel?: string, focus?: string,
 *          ready?: (setReady: (ready: boolean, label?: string) => void) => void,
 *          submit?: () => Promise<boolean>}} options
 *   `accept` null leaves only the button that closes; `ready` is handed the switch of the accept button, which takes
 *   its label as well; `submit` does what was accepted, and the dialog stays open when it says false
 * @returns {Promise<boolean>} whether it was accepted
 */
export async function ask(lab, { title, node, accept, cancel = "Cancel", focus, ready, submit }) {
  const { Dialog } = lab.apputils;
  const body = new lab.widgets.Widget({ node });
  const close = Dialog.cancelButton({ label: accept ? cancel : "Close" });
  const buttons = accept ? [close, Dialog.okButton({ label: accept })] : [close];
  let mayAccept = true;
  let busy = false;

  // The dialog's own way to end, with what was accepted done before it does.
  class Staying extends Dialog {
    resolve(index = buttons.length - 1) {
      if (busy) return;
      if (!submit || !buttons[index].accept) {
        super.resolve(index);
        return;
      }
      if (!mayAccept) return;
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
  const button = () => dialog.node.querySelector("button.jp-mod-accept");
  const show = () => {
    if (!accept || !button()) return;
    button().disabled = busy || !mayAccept;
    button().setAttribute("aria-busy", String(busy));
  };
  const setReady = (value, label) => {
    mayAccept = value;
    show();
    const text = button()?.querySelector(".jp-Dialog-buttonLabel");
    if (!label || !text) return;
    text.textContent = label;
    button().setAttribute("aria-label", label); // JupyterLab's own stays as the button was made
  };
  // Registered before the dialog's own listener: Enter must not accept what the button refuses.
  dialog.node.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Enter" || event.target.closest("button, a, select, textarea, summary") !== null) return;
      if (mayAccept && !busy && !event.target.closest("[data-respawn-own-enter]")) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
  const ended = dialog.launch();
  if (ready) ready(setReady);
  const result = await ended;
  return Boolean(accept) && result.button.accept && mayAccept;
}

/** Tell about something that was refused or went wrong. */
export async function tellProblem(lab, title, error) {
  const node = document.createElement("div");
  node.className = "respawn-body";
  node.setAttribute("role", "alert");
  node.textContent = error.message;
  await ask(lab, { title, node, accept: null });
}
