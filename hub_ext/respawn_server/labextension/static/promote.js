// Promote: the saved notebook becomes a version of a job. What that does is told as the form is filled in.

import { ask, tellProblem } from "./ask.js";
import { element, pageLink } from "./dom.js";
import { promotionOutcome } from "./outcome_of_promotion.js";
import { promoteForm } from "./promote_form.js";
import { runNow } from "./run_now.js";
import { scheduleList } from "./schedules.js";

const PAUSE_MS = 300;

/** Show the form until it is promoted or given up. */
export async function promote(lab, api, panel) {
  try {
    await panel.context.save();
    const info = await api.inspect(panel.context.path);
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

/** The form with what it would do: `submit` promotes, and says false while the dialog is to stay. */
function promotion(api, info, path) {
  let setReady = () => {};
  let seen = null; // what the service said of the form as it is; null while it has not answered
  let asked = 0;
  let timer = 0;
  let result = null;
  const outcome = promotionOutcome({ changed: () => check(), again: () => void look() });
  const schedules = scheduleList({ api, parameters: info.parameters, changed: () => void look() });
  const form = promoteForm(api, info, [outcome.node, schedules.node]);
  const idle = () => seen?.preview.outcome === "unchanged" && !form.saves();
  const label = () => (idle() ? "Close" : seen?.preview.outcome === "unchanged" ? "Save settings" : "Promote");
  const check = () => setReady(Boolean(seen) && outcome.settled() && form.valid(), label());

  const show = (answer) => {
    form.quiet();
    for (const { field, message } of answer.problems) form.tell(field, message);
    if (answer.preview) {
      outcome.show(answer.preview);
      schedules.show(answer.preview.schedules, answer.preview.job);
      form.settingsOf(answer.preview.settings);
    } else {
      outcome.refuse(answer.problems.some(({ field }) => field === "") ? "" : "It cannot be promoted like this: see below.");
      schedules.show([], "");
    }
    seen = answer.preview && answer.problems.length === 0 ? answer : null;
    check();
  };
  const look = async () => {
    window.clearTimeout(timer);
    const mine = (asked += 1);
    seen = null;
    outcome.wait();
    check();
    try {
      const answer = await api.previewPromotion(form.request(path));
      // An answer to what is no longer typed must not be shown.
      if (mine === asked) show(answer);
    } catch (error) {
      if (mine !== asked) return;
      outcome.refuse(error.message, true);
      check();
    }
  };
  const typed = () => {
    window.clearTimeout(timer);
    asked += 1;
    seen = null;
    outcome.wait();
    check();
    timer = window.setTimeout(look, PAUSE_MS);
  };
  const submit = async () => {
    if (idle()) return true;
    try {
      const preview = seen.preview;
      const request = { ...form.request(path), seen: preview.current ?? 0, agreed: outcome.agreed() };
      result = { ...(await api.promote(request)), job: preview.job };
      return true;
    } catch (error) {
      // Somebody else may have changed the job meanwhile: what happens now is another thing, and said.
      await look();
      const { field, parameter } = error.fields || {};
      if (parameter) form.tell(`value of ${parameter}`, error.message);
      else if (["name", "namespace", "kernel", "cron", "tz"].includes(field)) form.tell(field, error.message);
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

async function promoted(lab, api, info, { version, schedule, url, job, new: fresh }) {
  const what = fresh ? ` has version ${version.number}.` : `: version ${version.number} has this notebook already; its settings are saved.`;
  const when = schedule ? ` It runs at ${schedule.cron} (${schedule.tz}).` : "";
  const node = element(
    "div",
    { class: "respawn-body" },
    element("p", {}, element("strong", {}, job), what, when),
    url ? element("p", {}, pageLink(url, "Open the job's page", { class: "respawn-open-job" })) : null,
    runNow(api, { job: version.job, version: version.number, parameters: info.parameters }),
  );
  await ask(lab, { title: fresh ? "Promoted" : "Saved", node, accept: null });
}
