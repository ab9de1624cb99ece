"use strict";
// The next fires of the schedule that is being written, as the service computes them.
(() => {
  const form = document.getElementById("new-schedule");
  if (!form) return;
  const { cron, tz } = form.elements;
  const fires = document.getElementById("fires");
  if (!tz.value) tz.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  let timer;
  let latest = 0;

  function say(text, wrong) {
    fires.className = `small mb-3 text-break ${wrong ? "text-danger-emphasis" : ""}`;
    fires.textContent = text;
  }

  async function preview() {
    const mine = ++latest;
    if (!cron.value.trim() || !tz.value.trim()) return say("", false);
    const query = new URLSearchParams({ cron: cron.value.trim(), tz: tz.value.trim(), count: "4" });
    try {
      const answer = await respawn.fetch(`${respawn.prefix}api/schedules/preview?${query}`);
      const said = await answer.json();
      if (mine !== latest) return; // a newer question is on its way
      if (!answer.ok) return say(said.message, true);
      say("Next: ", false);
      const list = document.createElement("ol");
      list.className = "mb-0 ps-3";
      for (const when of said) {
        const item = document.createElement("li");
        item.textContent = inZone(when);
        list.append(item);
      }
      fires.append(list);
    } catch {
      if (mine === latest) say("The service does not answer; the schedule can still be sent.", true);
    }
  }

  function inZone(when) {
    return new Date(when).toLocaleString(undefined, {
      timeZone: tz.value.trim(), weekday: "short", day: "numeric", month: "short", year: "numeric",
      hour: "2-digit", minute: "2-digit", timeZoneName: "short",
    });
  }

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(preview, 250);
  });
  preview();
})();
