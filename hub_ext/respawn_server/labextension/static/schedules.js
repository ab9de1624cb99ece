// The schedules that a job has: each can be changed, paused and removed. What is done here takes effect at once.

import { button, element, problemBox } from "./dom.js";
import { parameterControl, typed } from "./parameters.js";
import { scheduleFields, shownTime } from "./schedule.js";

/**
 * @param {{api, parameters: Object[], changed: () => void}} options the parameters that the notebook declares; `changed`
 *   is called when a schedule is no longer what it was
 * @returns {{node, show: (schedules: Object[], preview: ?Object) => void, close}}
 */
export function scheduleList({ api, parameters, changed }) {
  const list = element("ul", { class: "respawn-schedules" });
  const versions = element("p", { tabindex: "-1" });
  const node = element(
    "fieldset",
    { hidden: true },
    element("legend", {}, "Schedules of the job"),
    versions,
    list,
  );
  let shown = "";
  let acted = "";
  let closers = [];
  const close = () => {
    for (const one of closers) one();
    closers = [];
  };
  const show = (schedules, preview) => {
    node.hidden = schedules.length === 0;
    const job = preview?.job;
    const which = preview?.outcome === "unchanged" ? `They run version ${preview.current}` : `They will run version ${preview?.version}`;
    versions.textContent = `${which}. Changes to them take effect at once.`;
    const text = JSON.stringify([schedules, job]);
    // An open editor stays while nothing else has changed.
    if (text === shown) return;
    shown = text;
    close();
    const one = (schedule) => scheduleItem({ api, parameters, schedule, job, changed: () => { acted = schedule.id; changed(); }, onClose: (end) => closers.push(end) });
    const within = node.contains(document.activeElement) || acted;
    list.replaceChildren(...schedules.map(one));
    // What had the focus is gone: it goes on from the same schedule, or from the list where that is gone too.
    const next = list.querySelector(`[data-schedule="${acted}"] button`) || (schedules.length ? versions : node.closest("form")?.querySelector("input"));
    if (within) next?.focus();
    acted = "";
  };
  return { node, show, close };
}

function scheduleItem({ api, parameters, schedule, job, changed, onClose }) {
  const problem = element("div", {});
  const editor = element("div", {});
  const buttons = element("span", { class: "respawn-schedule-buttons" });
  const change = async (what) => {
    for (const one of buttons.children) one.disabled = true;
    try {
      await api.changeSchedule({ schedule: schedule.id, job, ...what });
      changed();
      return true;
    } catch (error) {
      problem.replaceChildren(problemBox(error.message));
      return false;
    } finally {
      for (const one of buttons.children) one.disabled = false;
    }
  };
  const name = `${schedule.cron} in ${schedule.tz}`;
  const remove = button("Remove", () => {
    if (remove.dataset.sure) void change({ remove: true });
    else {
      remove.dataset.sure = "yes";
      remove.textContent = "Remove for good";
    }
  }, { "aria-label": `Remove the schedule ${name}` });
  remove.addEventListener("blur", () => {
    delete remove.dataset.sure;
    remove.textContent = "Remove";
  });
  const edit = button("Edit", () => {
    if (editor.childElementCount) return;
    const { node, close } = scheduleEditor({ api, parameters, schedule, save: change, cancel: () => editor.replaceChildren() });
    onClose(close);
    editor.replaceChildren(node);
    node.querySelector("input")?.focus();
  }, { "aria-label": `Edit the schedule ${name}` });
  const pause = button(schedule.paused ? "Go on" : "Pause", () => void change({ paused: !schedule.paused }), {
    "aria-label": `${schedule.paused ? "Let go on" : "Pause"} the schedule ${name}`,
  });
  buttons.append(edit, pause, remove);
  return element("li", { "data-schedule": schedule.id }, element("span", { class: "respawn-schedule-text" }, ...described(schedule)), buttons, problem, editor);
}

function described(schedule) {
  const values = Object.entries(schedule.parameters).map(([name, value]) => `${name} = ${typed(value)}`);
  const next = schedule.paused
    ? "paused"
    : schedule.next_due
      ? `next ${shownTime(schedule.next_due, schedule.tz)}`
      : "no next time";
  return [element("code", {}, schedule.cron), ` ${schedule.tz} · ${next}`, values.length ? ` · ${values.join(", ")}` : ""];
}

function scheduleEditor({ api, parameters, schedule, save, cancel }) {
  const fields = scheduleFields(api, schedule, { optional: false });
  // The service shows no secrets, so it cannot be given them back.
  const secret = parameters.some((one) => one.secret && one.name in schedule.parameters);
  const controls = (secret ? [] : parameters).map((parameter) => {
    const given = parameter.name in schedule.parameters;
    const value = given ? typed(schedule.parameters[parameter.name]) : "";
    return [parameter.name, parameterControl(parameter, { value, "aria-label": `Value of ${parameter.name} in this schedule` })];
  });
  const accept = button("Save schedule", () => void saved(), { class: "jp-mod-styled jp-mod-accept respawn-button" });
  const saved = async () => {
    accept.disabled = true;
    const filled = controls.filter(([, control]) => control.value !== "").map(([key, control]) => [key, control.value]);
    const done = await save({ ...fields.value(), parameters: secret || !controls.length ? null : Object.fromEntries(filled) });
    if (!done) accept.disabled = !fields.valid();
  };
  fields.follow(() => {
    accept.disabled = !fields.valid();
  });
  accept.disabled = true;
  const labelled = ([name, control]) => element("label", { class: "respawn-field" }, element("span", {}, name), control);
  for (const [, control] of controls) control.addEventListener("input", () => (accept.disabled = !fields.valid()));
  const node = element(
    "div",
    { class: "respawn-editor", "data-respawn-own-enter": true },
    fields.node,
    secret ? element("p", {}, "It has secret values: to change its parameters, remove it and add it again.") : null,
    controls.length ? element("div", { class: "respawn-pair" }, ...controls.map(labelled)) : null,
    element("div", { class: "respawn-schedule-buttons" }, accept, button("Leave as it is", () => {
      fields.close();
      cancel();
    })),
  );
  return { node, close: fields.close };
}
