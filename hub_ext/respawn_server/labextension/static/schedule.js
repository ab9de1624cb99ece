// The fields of a schedule: a preset or a cron expression, and a time zone, with the next fires shown as they are typed.

import { element, sentence } from "./dom.js";

const PAUSE_MS = 300;
const PRESETS = [
  ["Hourly", "0 * * * *"],
  ["Nightly at 3:00", "0 3 * * *"],
  ["Weekdays at 6:00", "0 6 * * 1-5"],
  ["Mondays at 6:00", "0 6 * * 1"],
  ["Monthly on the 1st", "0 6 1 * *"],
];
let made = 0;

/** The browser's own time zone. */
export function ownZone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

/**
 * @param api the server extension's API
 * @param {{cron?: string, tz?: string}} values what the fields begin with
 * @param {{optional: boolean}} options whether no schedule is an answer as well
 * @returns {{node, valid, reason, value, follow, close, tell}} `follow(changed)` calls back whenever `valid()` or `value()` may
 *   have changed; `tell(field, message)` says what is wrong with `cron` or `tz`
 */
export function scheduleFields(api, values, { optional = true } = {}) {
  const mark = `respawn-schedule-${(made += 1)}`;
  const cron = input({ value: values.cron || "", placeholder: "0 3 * * 1-5", "aria-describedby": `${mark}-fires ${mark}-cron` });
  const tz = input({ value: values.tz || ownZone(), list: `${mark}-zones`, "aria-describedby": `${mark}-tz` });
  const presets = element(
    "select",
    { class: "jp-mod-styled", "aria-label": "Preset of the schedule" },
    optional ? element("option", { value: "" }, "No schedule") : null,
    ...PRESETS.map(([name, expression]) => element("option", { value: expression }, name)),
    element("option", { value: "own" }, "Other…"),
  );
  const zones = element(
    "datalist",
    { id: `${mark}-zones` },
    ...(Intl.supportedValuesOf?.("timeZone") || []).map((name) => element("option", { value: name })),
  );
  const fires = element("div", { id: `${mark}-fires`, class: "respawn-fires", "aria-live": "polite" });
  const wrong = { cron: wrongBox(`${mark}-cron`), tz: wrongBox(`${mark}-tz`) };
  let good = !cron.value && optional;
  let timer = 0;
  let asked = 0;
  let changed = () => {};

  const value = () => ({ cron: cron.value.trim(), tz: tz.value.trim() });
  const tell = (field, message) => {
    const control = field === "tz" ? tz : cron;
    wrong[field === "tz" ? "tz" : "cron"].textContent = message ? sentence(message) : "";
    if (message) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  };
  const quiet = () => ["cron", "tz"].forEach((field) => tell(field, ""));
  const preview = async () => {
    const mine = ++asked;
    const { cron: expression, tz: zone } = value();
    try {
      const times = await api.preview(expression, zone);
      if (mine !== asked) return;
      good = true;
      fires.replaceChildren(...fireLines(times, zone));
    } catch (error) {
      // An answer to what is no longer typed must not be shown.
      if (mine !== asked) return;
      fires.replaceChildren();
      tell(error.fields?.tz !== undefined ? "tz" : "cron", error.message);
    }
    changed();
  };
  const typed = () => {
    window.clearTimeout(timer);
    asked += 1;
    quiet();
    const empty = !cron.value.trim();
    good = empty && optional;
    const preset = PRESETS.find(([, expression]) => expression === cron.value.trim());
    presets.value = preset ? preset[1] : empty && optional ? "" : "own";
    if (empty) fires.replaceChildren(optional ? "Without a schedule the job runs when you ask for it." : "");
    else timer = window.setTimeout(preview, PAUSE_MS);
    changed();
  };
  presets.addEventListener("change", () => {
    if (presets.value === "own") cron.focus();
    else {
      cron.value = presets.value;
      typed();
    }
  });
  cron.addEventListener("input", typed);
  tz.addEventListener("input", typed);
  typed();

  const labelled = (text, control, below) =>
    element("label", { class: "respawn-field" }, element("span", {}, text), control, below);
  return {
    node: element(
      "div",
      {},
      element(
        "div",
        { class: "respawn-pair" },
        labelled("When", presets, null),
        labelled(optional ? "Cron (optional)" : "Cron", cron, wrong.cron),
        labelled("Time zone", tz, wrong.tz),
      ),
      zones,
      fires,
    ),
    valid: () => good,
    /** Why it is not valid, as far as that is known. */
    reason: () => [wrong.cron, wrong.tz].map((one) => one.textContent).filter(Boolean).join(" "),
    value,
    tell,
    follow: (check) => {
      changed = check;
    },
    close: () => {
      asked += 1;
      window.clearTimeout(timer);
    },
  };
}

const DIGITS = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", weekday: "short" };

/** A time in a zone as a day and a clock of 24 hours, whatever the browser's language makes of times. */
export function shownTime(time, zone) {
  const format = new Intl.DateTimeFormat("en-u-ca-gregory-nu-latn", { ...DIGITS, hourCycle: "h23", timeZone: zone });
  const part = Object.fromEntries(format.formatToParts(new Date(time)).map(({ type, value }) => [type, value]));
  return `${part.weekday} ${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}`;
}

function fireLines(times, zone) {
  const lines = times.map((time) => element("li", {}, shownTime(time, zone)));
  return [`Next fires, ${zone}:`, element("ul", {}, ...lines)];
}

function wrongBox(id) {
  return element("small", { id, class: "respawn-wrong", role: "alert" });
}

function input(attributes) {
  return element("input", { class: "jp-mod-styled", autocomplete: "off", spellcheck: "false", ...attributes });
}
