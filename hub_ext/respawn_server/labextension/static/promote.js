// Promote: the saved notebook becomes a version of a job, with a schedule when one is given.

import { ask, tellProblem } from "./ask.js";
import { element, pageLink, problemBox } from "./dom.js";
import { kindOf, parameterControl, shownDefault } from "./parameters.js";
import { scheduleFields } from "./schedule.js";

const NAME = "[a-z0-9][a-z0-9._\\-]{0,62}";
const VALUE = "value of ";

/** Show the form until it is promoted or given up. */
export async function promote(lab, api, panel) {
  try {
    await panel.context.save();
    const path = panel.context.path;
    const info = await api.inspect(path);
    let values = { name: info.name, namespace: info.namespace };
    let problem = "";
    for (;;) {
      const form = promoteForm(api, info, values, problem);
      const accepted = await ask(lab, {
        title: "Promote to a job",
        node: form.node,
        accept: "Promote",
        focus: "input[name=name]",
        ready: form.follow,
      });
      form.close();
      if (!accepted) return;
      values = form.values();
      try {
        await promoted(lab, values, await api.promote(request(path, values)));
        return;
      } catch (error) {
        problem = error.message;
      }
    }
  } catch (error) {
    await tellProblem(lab, "Promote", error);
  }
}

function request(path, values) {
  const minutes = Number(values.timeout);
  const settings = {};
  if (values.attempts) settings.max_attempts = Number(values.attempts);
  if (minutes > 0) settings.timeout_seconds = 60 * minutes;
  return {
    path,
    name: values.name,
    namespace: values.namespace || null,
    settings: Object.keys(settings).length ? settings : null,
    schedule: values.cron ? { cron: values.cron, tz: values.tz, parameters: scheduledValues(values) } : null,
  };
}

function scheduledValues(values) {
  const typed = Object.entries(values).filter(([key, value]) => key.startsWith(VALUE) && value !== "");
  return Object.fromEntries(typed.map(([key, value]) => [key.slice(VALUE.length), value]));
}

function promoteForm(api, info, values, problem) {
  const schedule = scheduleFields(api, values);
  const form = element(
    "form",
    { class: "respawn-body respawn-form", submit: (event) => event.preventDefault() },
    problemBox(problem),
    element(
      "div",
      { class: "respawn-pair" },
      field("Job name", { name: "name", value: values.name, required: true, pattern: NAME }, {
        hint: "small letters, digits, . _ -",
      }),
      field("Namespace", { name: "namespace", value: values.namespace, required: true }, {
        hint: "user/… for yourself, team/… for a group",
      }),
    ),
    element("p", {}, "Kernel: ", element("strong", {}, info.display_name || "none named in the notebook")),
    schedule.node,
    parameterTable(info.parameters, values),
    element(
      "div",
      { class: "respawn-pair" },
      field("Timeout in minutes", { name: "timeout", type: "number", min: "0", step: "any", value: values.timeout }, {
        hint: "empty: none, or as before",
      }),
      field("Attempts", { name: "attempts", type: "number", min: "1", max: "20", value: values.attempts }, {
        hint: "empty: 1, or as before",
      }),
    ),
  );
  const follow = (setReady) => {
    const check = () => setReady(form.checkValidity() && schedule.valid());
    schedule.follow(check);
    form.addEventListener("input", check);
    check();
  };
  return {
    node: form,
    follow,
    close: schedule.close,
    values: () => Object.fromEntries([...new FormData(form)].map(([key, value]) => [key, value.trim()])),
  };
}

function field(label, attributes, { hint }) {
  return element(
    "label",
    { class: "respawn-field" },
    element("span", {}, label),
    element("input", { class: "jp-mod-styled", autocomplete: "off", spellcheck: "false", ...attributes }),
    element("small", {}, hint),
  );
}

function parameterTable(parameters, values) {
  if (!parameters.length) {
    return element("p", {}, "Parameters: none. Tag a cell with ", element("code", {}, "parameters"), " to have some.");
  }
  const row = (parameter) =>
    element(
      "tr",
      {},
      element("td", {}, element("code", {}, parameter.name)),
      element("td", {}, kindOf(parameter)),
      element("td", {}, parameter.required ? "required" : element("code", {}, shownDefault(parameter))),
      element("td", {}, parameter.help),
      element(
        "td",
        {},
        parameterControl(parameter, {
          name: VALUE + parameter.name,
          value: values[VALUE + parameter.name] || "",
          "aria-label": `Value of ${parameter.name} when scheduled`,
        }),
      ),
    );
  const head = ["Parameter", "Type", "Default", "Help", "When scheduled"].map((text) => element("th", { scope: "col" }, text));
  return element(
    "div",
    { class: "respawn-plan" },
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...parameters.map(row))),
  );
}

async function promoted(lab, values, { version, schedule, url }) {
  const when = schedule ? ` It runs at ${schedule.cron} (${schedule.tz}).` : "";
  const node = element(
    "div",
    { class: "respawn-body" },
    element("p", {}, element("strong", {}, `${values.namespace}/${values.name}`), ` has version ${version.number}.${when}`),
    url ? element("p", {}, pageLink(url, "Open the job's page", { class: "respawn-open-job" })) : null,
  );
  await ask(lab, { title: "Promoted", node, accept: null });
}
