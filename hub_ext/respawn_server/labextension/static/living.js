// The kernel in which a run failed, where it lives on: the bar says which kernel the notebook is at, and leads to the
// other one.

import { element } from "./dom.js";

// Digits and calendar are the same for all; the hour is that of the browser's own time zone.
const TIME = new Intl.DateTimeFormat("en-u-ca-gregory-nu-latn", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** The part of the bar that says it. */
export function livingBox() {
  return element("span", { class: "respawn-bar-living", role: "status", "aria-live": "polite" });
}

/**
 * Show which kernel the notebook is at.
 *
 * @param {{api, panel, node: HTMLElement, run: string, living: {until: string, here: boolean} | null}} options
 *   `node` is the bar; `living` is null where the kernel that failed does not live on
 */
export function showLiving({ api, panel, node, run, living }) {
  const box = node.querySelector(".respawn-bar-living");
  const was = box.dataset.message || "";
  const message = living ? `${living.here ? "here" : "there"} ${living.until}` : was && "gone";
  // Only what has changed is written, so that a screen reader says it once.
  if (message === was) return;
  box.dataset.message = message;
  const go = (restored) => async () => {
    await panel.context.save();
    window.location.assign(`${api.debugPage(run)}${restored ? "?restored=true" : ""}`);
  };
  const button = (label, title, click) =>
    element("button", { type: "button", class: "jp-mod-styled jp-mod-reject", title, click }, label);
  const before = button("State before the cell", "Another kernel, with the variables as they were before the cell", go(true));
  if (!living) {
    box.replaceChildren("The kernel that failed has ended", before);
  } else if (living.here) {
    const until = TIME.format(new Date(living.until));
    box.title = `It ends at ${until} unless you use it. %debug looks into the call that failed.`;
    box.replaceChildren("The kernel that failed, as the cell left it", before);
  } else {
    box.title = "";
    const after = button("The kernel that failed", "The kernel in which the cell failed still runs", go(false));
    box.replaceChildren("Restored: the state before the cell", after);
  }
}
