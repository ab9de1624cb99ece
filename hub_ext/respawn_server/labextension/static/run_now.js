// Run a job now: with its defaults by one button, or with what is typed for its parameters.

import { button, element, pageLink, sentence } from "./dom.js";
import { parameterTable } from "./promote_form.js";

/** @param {{job: string, version: number, parameters: Object[]}} what the version, and the parameters it declares */
export function runNow(api, { job, version, parameters }) {
  const table = parameterTable(parameters, "Value", "for this run");
  const problem = element("p", { class: "respawn-problem", role: "alert", hidden: true });
  const started = element("p", { role: "status" });
  const run = button("Run now", () => void start(), { class: "jp-mod-styled jp-mod-accept respawn-button respawn-run-now" });
  const start = async () => {
    run.disabled = true;
    problem.hidden = true;
    table.quiet();
    try {
      const answer = await api.runNow({ job, version, parameters: table.given() });
      started.replaceChildren(
        "Queued: ",
        answer.url ? pageLink(answer.url, answer.run.id, { class: "respawn-open-run" }) : answer.run.id,
      );
    } catch (error) {
      if (!(error.fields?.parameter && table.tell(error.fields.parameter, error.message))) {
        problem.textContent = sentence(error.message);
        problem.hidden = false;
      }
    }
    run.disabled = false;
  };
  const required = parameters.some((parameter) => parameter.required);
  const form = parameters.length
    ? element("details", { open: required }, element("summary", {}, required ? "Values for this run" : "With other values than the defaults"), table.node)
    : null;
  return element("div", { class: "respawn-run", "data-respawn-own-enter": true }, form, run, problem, started);
}
