// What a promotion would do, told while its form is filled in: the version it makes, what it asks, what differs.

import { comparison } from "./diff.js";
import { button, element, problemBox } from "./dom.js";

/**
 * @param {{changed: () => void, again: () => void}} options called when a tick was set, and to ask once more
 * @returns {{node, show, wait, refuse, agreed, settled}}
 */
export function promotionOutcome({ changed, again }) {
  const message = element("p", { class: "respawn-outcome-message" });
  const status = element("div", { role: "status", "aria-live": "polite" }, message);
  const problems = element("div", {});
  const questions = element("div", { class: "respawn-questions", role: "group", "aria-label": "To be agreed to" });
  const diff = element("div", {});
  const node = element("section", { class: "respawn-outcome", "aria-label": "What happens" }, status, problems, questions, diff);
  const ticks = new Map();
  let opened = null;

  const ask = ({ code, message: text }) => {
    const before = ticks.get(code);
    // What was agreed to is what was read: another text is another question.
    const input = element("input", { type: "checkbox", checked: before?.text === text && before.input.checked, change: changed });
    ticks.set(code, { input, text });
    return element("label", { class: "respawn-tick respawn-question" }, input, element("span", {}, text));
  };
  const show = (preview) => {
    node.dataset.outcome = preview.outcome;
    node.removeAttribute("aria-busy");
    const text = [preview.message, ...(preview.notes ?? [])].join(" ");
    if (message.textContent !== text) message.textContent = text;
    problems.replaceChildren();
    const asked = preview.questions.map(ask);
    const codes = preview.questions.map(({ code }) => code);
    for (const code of [...ticks.keys()]) if (!codes.includes(code)) ticks.delete(code);
    questions.replaceChildren(...asked);
    const found = comparison(preview.comparison, opened ?? preview.questions.length > 0);
    found?.addEventListener("toggle", () => {
      opened = found.open;
    });
    diff.replaceChildren(...(found ? [found] : []));
  };
  return {
    node,
    show,
    wait: () => node.setAttribute("aria-busy", "true"),
    /** @param {string} text why nothing can be said; `retry` offers to ask again */
    refuse: (text, retry) => {
      node.dataset.outcome = "refused";
      node.removeAttribute("aria-busy");
      message.textContent = "";
      questions.replaceChildren();
      diff.replaceChildren();
      problems.replaceChildren(problemBox(text), ...(retry ? [button("Try again", again)] : []));
    },
    /** Tell what was refused, beside what would happen. */
    tell: (text) => problems.append(problemBox(text)),
    agreed: () => [...ticks].filter(([, { input }]) => input.checked).map(([code]) => code),
    settled: () => [...ticks.values()].every(({ input }) => input.checked),
  };
}
