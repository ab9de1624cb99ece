// The control in which a parameter's value is typed: by what the notebook declares, as on the pages of the service.

import { element } from "./dom.js";

const INPUTS = { int: "number", float: "number", date: "date", datetime: "datetime-local", time: "time" };

/** A value as a person types it: text without quotes, lists and dicts as JSON. */
export function typed(value) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** What a parameter takes, in a word or two. */
export function kindOf(parameter) {
  if (parameter.choices.length) return parameter.choices.map(typed).join(" | ");
  const items = parameter.items ? `[${parameter.items}]` : "";
  return `${parameter.type || "any"}${items}${parameter.nullable ? " or None" : ""}`;
}

/** The default as a person types it; the source of one that is computed. */
export function shownDefault(parameter) {
  if (parameter.required) return "required";
  const computed = parameter.default === null && parameter.default_source !== "None";
  return parameter.secret || computed ? parameter.default_source : typed(parameter.default);
}

/** @param {Object} attributes the control's name, label and so on; `value` is what was typed before */
export function parameterControl(parameter, { value = "", ...attributes }) {
  const common = { class: "jp-mod-styled", ...attributes };
  const options = parameter.choices.length ? parameter.choices.map(typed) : parameter.type === "bool" ? ["True", "False"] : [];
  if (options.length && !parameter.secret) {
    if (parameter.nullable) options.push("None");
    const empty = parameter.required ? "choose…" : `default (${shownDefault(parameter)})`;
    return element(
      "select",
      common,
      element("option", { value: "" }, empty),
      ...options.map((option) => element("option", { value: option, selected: option === value }, option)),
    );
  }
  // What may be None is typed as text, for a browser's own controls of numbers and dates take no such word.
  const own = parameter.nullable ? "text" : INPUTS[parameter.type] || "text";
  return element("input", {
    ...common,
    type: parameter.secret ? "password" : own,
    step: own === "number" ? (parameter.type === "int" ? "1" : "any") : null,
    autocomplete: parameter.secret ? "new-password" : "off",
    spellcheck: "false",
    placeholder: parameter.required ? "" : shownDefault(parameter),
    value,
  });
}
