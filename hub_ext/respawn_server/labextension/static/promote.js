// Promote: the saved notebook becomes a version of a job. What that does is told as the form is filled in.

import { ask, tellProblem } from "./ask.js";
import { element, pageLink, sentence } from "./dom.js";
import { promotionOutcome } from "./outcome_of_promotion.js";
import { promoteForm } from "./promote_form.js";
import { runNow } from "./run_now.js";
import { scheduleList } from "./schedules.js";

const PAUSE_MS = 300;

/** Show the form until it is promoted or given up. */
export async function promote(lab, api, panel) {
  try {
    await panel.context.save();
    const info = await inspected(lab, api, panel.context.path);
    if (info === null) return;
    const view = promotion(api, info, panel.context.path);
    await ask(lab, {
      title: "Promote to a job",
      node: view.node,
      accept: "Promote",
      focus: "input[name=name]",
      ready: view.follow,
      submit: view.submit,
    });
    view.close();
    if (view.done()) await promoted(lab, api, info, view.done());
  } catch (error) {
    await tellProblem(lab, "Promote", error);
  }
}

/** What the notebook would be as a job, asked for until it is told; null when that was given up. */
async function inspected(lab, api, path) {
  for (;;) {
    try {
      return await api.inspect(path);
    } catch (error) {
      if (error.code !== "unavailable") throw error;
      if (!(await tellProblem(lab, "Promote", error, { retry: true }))) return null;
    }
  }
}

/** The form with what it would do: `submit` promotes, and says false while the dialog is to stay. */
function promotion(api, info, path) {
  let setReady = () => {};
  let preview = null; // what the service said last, of whatever was typed then
  let seen = null; // the same while it is about the form as it is, and nothing would be refused
  let wrong = ""; // why the form as it was then would be refused
  let asked = 0;
  let timer = 0;
  let result = null;
  const outcome = promotionOutcome({ changed: () => check(), again: () => void look() });
  const schedules = scheduleList({ api, parameters: info.parameters, changed: () => void look() });
  const form = promoteForm(api, info, [outcome.node, schedules.node]);
  const unchanged = () => preview?.outcome === "unchanged";
  const idle = () => Boolean(seen) && unchanged() && form.saves() === null;
  const why = () => {
    if (!form.valid()) return form.wrong();
    return wrong || (seen && !outcome.settled() ? "Tick first what is asked above." : "");
  };
  const check = () => {
    const ready = Boolean(seen) && outcome.settled() && form.valid();
    setReady(ready, { label: (unchanged() && form.saves()) || "Promote", why: why(), idle: idle() });
  };

  const show = (answer) => {
    form.quiet();
    for (const { field, message } of answer.problems) form.tell(field, message);
    preview = answer.preview;
    form.carriedOf(answer.carried);
    wrong = answer.problems.map(({ message }) => sentence(message)).join(" ");
    if (answer.preview) {
      outcome.show(answer.preview);
      schedules.show(answer.preview.schedules, answer.preview);
      form.profilesOf(answer.preview.profiles || []);
      form.settingsOf(answer.preview.settings);
    } else {
      const named = answer.problems.map(({ field }) => form.labelOf(field)).filter(Boolean);
      outcome.refuse(`It cannot be promoted like this.${named.length ? ` To be corrected: ${[...new Set(named)].join(", ")}.` : ""}`);
      schedules.show([], null);
    }
    seen = answer.preview && answer.problems.length === 0 ? answer : null;
    check();
  };
  const look = async () => {
    window.clearTimeout(timer);
    const mine = (asked += 1);
    waits();
    try {
      const answer = await api.previewPromotion(form.request(path));
      // An answer to what is no longer typed must not be shown.
      if (mine === asked) show(answer);
    } catch (error) {
      if (mine !== asked) return false;
      preview = null;
      wrong = "What would happen is not known: try again above.";
      outcome.refuse(error.message, true);
      check();
      return false;
    }
    return true;
  };
  const waits = () => {
    seen = null;
    outcome.wait();
    check();
  };
  const typed = () => {
    window.clearTimeout(timer);
    asked += 1;
    waits();
    timer = window.setTimeout(look, PAUSE_MS);
  };
  const submit = async () => {
    try {
      const request = { ...form.request(path), seen: preview.current ?? 0, agreed: outcome.agreed() };
      const answer = await api.promote(request);
      result = { ...answer, job: preview.job, saved: !unchanged() ? null : request.settings ? "its settings are saved" : "it has the schedule" };
      return true;
    } catch (error) {
      // Somebody else may have changed the job meanwhile: what happens now is another thing, and said.
      const answered = await look();
      if (!answered && error.code === "unavailable") return false;
      const { field, parameter } = error.fields || {};
      if (parameter) form.tell(`value of ${parameter}`, error.message);
      else if (["name", "namespace", "kernel", "cron", "tz", "carry"].includes(field)) form.tell(field, error.message);
      else outcome.tell(error.message);
      return false;
    }
  };
  return {
    node: form.node,
    submit,
    done: () => result,
    follow: (set) => {
      setReady = set;
      form.follow(typed, check);
      void look();
    },
    close: () => {
      asked += 1;
      window.clearTimeout(timer);
      form.close();
      schedules.close();
    },
  };
}

/** The environment.toml that was written for what the kernel has beside its lock, and what to do with it. */
function proposed({ path, text }) {
  return element(
    "section",
    { class: "respawn-proposal", "aria-label": "Proposed environment" },
    element("p", {}, "What the kernel has beside its lock is not in the job's runs. An environment with it was written as a proposal to ", element("code", {}, path), "."),
    element("details", {}, element("summary", {}, "environment.toml"), element("pre", { tabindex: "0" }, text)),
    element("p", {}, "Look through it, then lock and build it, and promote the notebook with its kernel."),
  );
}

async function promoted(lab, api, info, { version, schedule, url, job, saved, proposal }) {
  const what = saved === null ? ` has version ${version.number}.` : `: version ${version.number} has this notebook already; ${saved}.`;
  const when = schedule ? ` It runs at ${schedule.cron} (${schedule.tz}).` : "";
  const node = element(
    "div",
    { class: "respawn-body" },
    element("p", {}, element("strong", {}, job), what, when),
    url ? element("p", {}, pageLink(url, "Open the job's page", { class: "respawn-open-job" })) : null,
    proposal ? proposed(proposal) : null,
    runNow(api, { job: version.job, version: version.number, parameters: info.parameters }),
  );
  await ask(lab, { title: saved === null ? "Promoted" : "Saved", node, accept: null });
}
