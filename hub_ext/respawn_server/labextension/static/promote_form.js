// The form of a promotion: name, namespace, kernel, parameters, a new schedule and settings, each with its own errors.

import { carriedFiles } from "./carried_files.js";
import { element, sentence } from "./dom.js";
import { kindOf, parameterControl, shownDefault } from "./parameters.js";
import { scheduleFields } from "./schedule.js";

const NAME = "[a-z0-9][a-z0-9._\\-]{0,62}";
const VALUE = "value of ";
let made = 0;

/**
 * @param api the server extension's API
 * @param info what `api.inspect` said of the notebook
 * @param {Node[]} outcome what stands below the name: what would happen, and the schedules that are there
 * @returns {{node, follow, close, request, tell, quiet, settingsOf, profilesOf, carriedOf, valid, wrong, saves, labelOf}}
 */
export function promoteForm(api, info, outcome) {
  const schedule = scheduleFields(api, {});
  const fields = {
    name: field("Job name", { name: "name", value: info.name, required: true, pattern: NAME }, "small letters, digits, . _ -"),
    namespace: field("Namespace", { name: "namespace", value: info.namespace, required: true }, "user/… for yourself, team/… for a group"),
    timeout: field("Timeout in minutes", { name: "timeout", type: "number", min: "0", step: "any" }, "empty: none"),
    attempts: field("Attempts", { name: "attempts", type: "number", min: "1", max: "20" }, "how often a run is tried; empty: once"),
  };
  fields.profile = profileField();
  const kernel = element("small", { class: "respawn-wrong", role: "alert" });
  const general = element("p", { class: "respawn-problem", role: "alert", hidden: true });
  const values = parameterTable(info.parameters);
  const carried = carriedFiles();
  const node = element(
    "form",
    { class: "respawn-body respawn-form", submit: (event) => event.preventDefault() },
    general,
    element("div", { class: "respawn-pair" }, fields.name.node, fields.namespace.node),
    element("p", {}, "Kernel: ", element("strong", {}, info.display_name || "none named in the notebook"), " ", kernel),
    ...outcome,
    carried.node,
    element("fieldset", {}, element("legend", {}, "New schedule"), schedule.node),
    values.node,
    element("div", { class: "respawn-pair" }, fields.profile.node),
    element("div", { class: "respawn-pair" }, fields.timeout.node, fields.attempts.node),
  );
  const settings = jobSettings(fields);
  const tell = (where, message) => {
    if (where === "cron" || where === "tz") return schedule.tell(where, message);
    if (where === "carry") return carried.tell(message);
    if (where.startsWith(VALUE) && values.tell(where.slice(VALUE.length), message)) return undefined;
    if (where === "kernel") kernel.textContent = message && sentence(message);
    else if (fields[where]) fields[where].tell(message);
    else {
      general.textContent = message && sentence(message);
      general.hidden = !message;
    }
    return undefined;
  };
  const quiet = () => {
    for (const one of [...Object.keys(fields), "kernel", "carry", ""]) tell(one, "");
    values.quiet();
    if (schedule.valid()) for (const one of ["cron", "tz"]) schedule.tell(one, "");
  };
  const scheduled = () => (schedule.value().cron ? { ...schedule.value(), parameters: values.given() } : null);
  return {
    node,
    tell,
    quiet,
    close: schedule.close,
    valid: () => node.checkValidity() && schedule.valid(),
    /** What keeps it from being valid, for people. */
    wrong: () => {
      const control = [...node.querySelectorAll("input, select")].find((one) => !one.validity.valid);
      if (!control) return schedule.reason();
      return `${control.getAttribute("aria-label") || control.closest("label")?.firstElementChild.textContent}: ${control.validationMessage}`;
    },
    /** What it changes besides the notebook, as a button would say it; null where that is nothing. */
    saves: () => {
      const [adds, sets] = [scheduled() !== null, settings.changed() !== null];
      return adds && sets ? "Save schedule and settings" : adds ? "Add schedule" : sets ? "Save settings" : null;
    },
    /** The label of the field of that name, empty where there is none. */
    labelOf: (where) => {
      const labels = { name: "Job name", namespace: "Namespace", kernel: "Kernel", profile: "Profile", cron: "Cron", tz: "Time zone", carry: "Files" };
      return where.startsWith(VALUE) ? `Value of ${where.slice(VALUE.length)}` : labels[where] || "";
    },
    settingsOf: settings.show,
    profilesOf: fields.profile.offer,
    carriedOf: carried.show,
    request: (path) => ({
      path,
      name: fields.name.input.value.trim(),
      namespace: fields.namespace.input.value.trim() || null,
      settings: settings.changed(),
      schedule: scheduled(),
      carry: carried.value(),
    }),
    /** @param {() => void} typed when what would happen may be another; `checked` when only validity may be */
    follow: (typed, checked) => {
      schedule.follow(typed);
      const timing = [fields.timeout.input, fields.attempts.input];
      node.addEventListener("input", (event) => {
        if (timing.includes(event.target)) checked();
        else if (!event.target.closest(".respawn-editor, .respawn-question")) typed();
      });
    },
  };
}

/** Profile, timeout and attempts: those that the job has until something else is typed, and the others as they are. */
function jobSettings({ profile, timeout, attempts }) {
  let base = {};
  const touched = new Set();
  for (const one of [profile, timeout, attempts]) one.input.addEventListener("input", () => touched.add(one));
  const minutes = () => (base.timeout_seconds ? String(base.timeout_seconds / 60) : "");
  const tries = () => (base.max_attempts > 1 ? String(base.max_attempts) : "");
  return {
    show: (settings) => {
      base = settings || {};
      if (!touched.has(profile)) profile.choose(base.profile || "");
      if (!touched.has(timeout)) timeout.input.value = minutes();
      if (!touched.has(attempts)) attempts.input.value = tries();
    },
    changed: () => {
      const chosen = profile.input.value || null;
      if (chosen === (base.profile || null) && timeout.input.value === minutes() && attempts.input.value === tries()) return null;
      const seconds = 60 * Number(timeout.input.value);
      return { ...base, profile: chosen, timeout_seconds: seconds > 0 ? seconds : null, max_attempts: Number(attempts.input.value) || 1 };
    },
  };
}

/** The profile of the servers that runs get: hidden where there is none to choose. */
function profileField() {
  const id = "respawn-field-profile";
  const input = element("select", { class: "jp-mod-styled", name: "profile", "aria-describedby": `${id}-hint ${id}` });
  const wrong = element("small", { id, class: "respawn-wrong", role: "alert" });
  const hint = element("small", { id: `${id}-hint`, class: "respawn-hint" }, "of the servers that its runs get");
  const node = element("label", { class: "respawn-field", hidden: true }, element("span", {}, "Profile"), input, hint, wrong);
  const choose = (name) => {
    if (![...input.options].some((one) => one.value === name)) {
      input.append(element("option", { value: name }, name ? `${name} (not available)` : "Default"));
    }
    input.value = name;
    if (name) node.hidden = false;
  };
  const offer = (profiles) => {
    const chosen = input.value;
    const usual = profiles.find((one) => one.default);
    const named = profiles.filter((one) => one.name);
    const titled = ({ name, title }) => (title === name ? name : `${title} (${name})`);
    input.replaceChildren(
      element("option", { value: "" }, usual ? `Default: ${usual.title}` : "Default"),
      ...named.map((one) => element("option", { value: one.name }, titled(one))),
    );
    node.hidden = named.length === 0;
    choose(chosen);
  };
  choose("");
  return { node, input, choose, offer, tell: (message) => markWrong(input, wrong, message) };
}

function field(label, attributes, hint) {
  const id = `respawn-field-${attributes.name}`;
  const input = element("input", { class: "jp-mod-styled", autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-hint ${id}`, ...attributes });
  const wrong = element("small", { id, class: "respawn-wrong", role: "alert" });
  const node = element("label", { class: "respawn-field" }, element("span", {}, label), input, element("small", { id: `${id}-hint`, class: "respawn-hint" }, hint), wrong);
  return { node, input, tell: (message) => markWrong(input, wrong, message) };
}

function markWrong(control, box, message) {
  box.textContent = message ? sentence(message) : "";
  if (message) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}

/** The parameters with what each is given: `given()` as typed, `tell(name, message)` false for one that is not there. */
export function parameterTable(parameters, column = "When scheduled", label = "when scheduled") {
  if (!parameters.length) {
    const none = element("p", {}, "Parameters: none. Tag a cell with ", element("code", {}, "parameters"), " to have some.");
    return { node: none, given: () => ({}), tell: () => false, quiet: () => {} };
  }
  const rows = new Map();
  const row = (parameter) => {
    const id = `respawn-value-${(made += 1)}`;
    const control = parameterControl(parameter, { name: VALUE + parameter.name, "aria-describedby": id, "aria-label": `Value of ${parameter.name} ${label}` });
    const wrong = element("small", { id, class: "respawn-wrong", role: "alert" });
    rows.set(parameter.name, { control, wrong });
    return element(
      "tr",
      {},
      element("td", {}, element("code", {}, parameter.name)),
      element("td", {}, kindOf(parameter)),
      element("td", {}, parameter.required ? "required" : element("code", {}, shownDefault(parameter))),
      element("td", {}, parameter.help),
      element("td", {}, control, wrong),
    );
  };
  const head = ["Parameter", "Type", "Default", "Help", column].map((text) => element("th", { scope: "col" }, text));
  const body = element("tbody", {}, ...parameters.map(row));
  return {
    node: element("div", { class: "respawn-plan" }, element("table", {}, element("thead", {}, element("tr", {}, ...head)), body)),
    given: () => {
      const filled = [...rows].filter(([, { control }]) => control.value.trim() !== "");
      return Object.fromEntries(filled.map(([name, { control }]) => [name, control.value.trim()]));
    },
    tell: (name, message) => {
      const found = rows.get(name);
      if (found) markWrong(found.control, found.wrong, message);
      return Boolean(found);
    },
    quiet: () => {
      for (const { control, wrong } of rows.values()) markWrong(control, wrong, "");
    },
  };
}
