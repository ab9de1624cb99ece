// Dialogs whose accept button follows their body: it cannot be pressed while the body says it may not.

/**
 * Show a dialog and wait for its end.
 *
 * @param lab JupyterLab's modules
 * @param {{title: string, node: HTMLElement, accept: string|null, cancel?: string, focus?: string,
 *          ready?: (setReady: (ready: boolean) => void) => void}} options
 *   `accept` null leaves only the button that closes; `ready` is handed the switch of the accept button
 * @returns {Promise<boolean>} whether it was accepted
 */
export async function ask(lab, { title, node, accept, cancel = "Cancel", focus, ready }) {
  const { Dialog } = lab.apputils;
  const body = new lab.widgets.Widget({ node });
  const close = Dialog.cancelButton({ label: accept ? cancel : "Close" });
  const buttons = accept ? [close, Dialog.okButton({ label: accept })] : [close];
  const dialog = new Dialog({ title, body, buttons, focusNodeSelector: focus, hasClose: true });
  dialog.addClass("respawn-dialog");
  let mayAccept = true;
  const button = () => dialog.node.querySelector("button.jp-mod-accept");
  const setReady = (value) => {
    mayAccept = value;
    if (accept && button()) button().disabled = !value;
  };
  // Registered before the dialog's own listener: Enter must not accept what the button refuses.
  dialog.node.addEventListener(
    "keydown",
    (event) => {
      if (event.key === "Enter" && !mayAccept && event.target.closest("button, a, select, textarea") === null) {
        event.preventDefault();
        event.stopImmediatePropagation();
      }
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
