// What became of a debugged run: the bar above its notebook says which run goes on from it, and how that ended.

import { element, pageLink } from "./dom.js";
import { showLiving } from "./living.js";

const PAUSE_MS = 5000;
const LIVING_PAUSE_MS = 30000;
const WORDS = {
  queued: "is queued",
  running: "is running",
  suspended: "is suspended",
  timed_out: "timed out",
  unknown: "is in an unknown state",
};
const ENDED = ["succeeded", "failed", "timed_out", "cancelled", "lost"];

/**
 * Keep the bar as it is at the service: after a resume it offers no second one, after a restart it does.
 *
 * @param {{api, panel, node: HTMLElement, pages: string, succeeded: () => Promise<void>}} options
 *   `node` is the bar; parts of it are found by their class; `succeeded` is called once a run that was made from it has
 * @returns {() => Promise<void>} looks again now
 */
export function followOutcome({ api, panel, node, pages, succeeded }) {
  const box = node.querySelector(".respawn-bar-outcome");
  let timer = 0;

  const show = ({ run, last, restarted }) => {
    const state = last ? last.state : "";
    for (const one of node.querySelectorAll(".respawn-bar-resume")) one.hidden = Boolean(run.resumed_by);
    node.querySelector(".respawn-bar-text").hidden = Boolean(last);
    node.dataset.outcome = state;
    panel.node.classList.toggle("respawn-went-well", state === "succeeded");
    if (!last) return box.replaceChildren();
    const page = pages ? pageLink(`${pages}/runs/${encodeURIComponent(last.id)}`, last.id) : last.id;
    const debug = pages && ["failed", "timed_out", "lost"].includes(state);
    // Only what has changed is written, so that a screen reader says it once.
    const message = `${last.id} ${state}`;
    if (box.dataset.message === message) return undefined;
    box.dataset.message = message;
    if (state === "succeeded") void succeeded();
    return box.replaceChildren(
      `${run.id} was ${restarted ? "restarted" : "resumed"}: `,
      page,
      ` ${WORDS[state] || state}`,
      ...(debug ? [" · ", pageLink(`${pages}/debug/${encodeURIComponent(last.id)}`, "Debug it")] : []),
    );
  };

  const look = async () => {
    window.clearTimeout(timer);
    if (panel.isDisposed) return;
    let going = false;
    let living = false;
    try {
      const outcome = await api.outcome(panel.context.path);
      if (panel.isDisposed) return;
      show(outcome);
      showLiving({ api, panel, node, run: outcome.run.id, living: outcome.living });
      living = Boolean(outcome.living);
      going = outcome.last !== null && !ENDED.includes(outcome.last.state);
    } catch {
      going = Boolean(node.dataset.outcome) && !ENDED.includes(node.dataset.outcome);
    }
    if (going || living) timer = window.setTimeout(look, going ? PAUSE_MS : LIVING_PAUSE_MS);
  };

  const seen = () => document.visibilityState === "visible" && void look();
  document.addEventListener("visibilitychange", seen);
  panel.disposed.connect(() => {
    window.clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  });
  void look();
  return look;
}

/** The part of the bar that says it. */
export function outcomeBox() {
  return element("span", { class: "respawn-bar-outcome", role: "status", "aria-live": "polite" });
}

/** The part of the bar that offers to write the fix to its file. */
export function fixBox() {
  return element("span", { class: "respawn-bar-fix" });
}
