// The fields of a schedule: a cron expression and a time zone, with the next fires shown as they are typed.

import { element } from "./dom.js";

const PAUSE_MS = 300;

/** @returns {{node, valid, follow, close}} `follow(check)` calls back whenever `valid()` may have changed */
export function scheduleFields(api, values) {
  const zone = values.tz || Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const cron = input({ name: "cron", value: values.cron || "", placeholder: "0 3 * * 1-5", "aria-describedby": "respawn-fires" });
  const tz = input({ name: "tz", value: zone, list: "respawn-zones" });
  const zones = element(
    "datalist",
    { id: "respawn-zones" },
    ...(Intl.supportedValuesOf?.("timeZone") || []).map((name) => element("option", { value: name })),
  );
  const fires = element("div", { id: "respawn-fires", class: "respawn-fires", "aria-live": "polite" });
  let good = !cron.value;
  let timer = 0;
  let asked = 0;
  let changed = () => {};

  const preview = async () => {
    const mine = ++asked;
    try {
      const times = await api.preview(cron.value.trim(), tz.value.trim());
      if (mine !== asked) return;
      good = true;
      fires.replaceChildren(...fireLines(times, tz.value.trim()));
    } catch (error) {
      // An answer to what is no longer typed must not be shown.
      if (mine !== asked) return;
      fires.replaceChildren(element("span", { class: "respawn-problem" }, error.message));
    }
    changed();
  };
  const typed = () => {
    window.clearTimeout(timer);
    asked += 1;
    good = !cron.value.trim();
    if (good) fires.replaceChildren("Without a schedule the job runs when you ask for it.");
    else timer = window.setTimeout(preview, PAUSE_MS);
    changed();
  };
  cron.addEventListener("input", typed);
  tz.addEventListener("input", typed);
  typed();

  const labelled = (text, control) => element("label", { class: "respawn-field" }, element("span", {}, text), control);
  return {
    node: element(
      "fieldset",
      {},
      element("legend", {}, "Schedule"),
      element("div", { class: "respawn-pair" }, labelled("Cron (optional)", cron), labelled("Time zone", tz)),
      zones,
      fires,
    ),
    valid: () => good,
    follow: (check) => {
      changed = check;
    },
    close: () => {
      asked += 1;
      window.clearTimeout(timer);
    },
  };
}

function fireLines(times, zone) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short", hourCycle: "h23", timeZone: zone });
  const lines = times.map((time) => element("li", {}, format.format(new Date(time))));
  return [`Next fires, ${zone}:`, element("ul", {}, ...lines)];
}

function input(attributes) {
  return element("input", { class: "jp-mod-styled", autocomplete: "off", spellcheck: "false", ...attributes });
}
