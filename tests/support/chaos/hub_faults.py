"""A real hub whose hub, service and proxy are killed one after the other, and what must hold after each.

Whoever looks after the hub (systemd, say) starts it again as soon as it has ended. After each fault a person
signs in with a fresh browser; what was queued before the fault starts once.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.errors import RespawnError
from respawn_jobs.model.runs import RunDetail, RunState
from support.hub import RunningHub, running_hub
from support.notebooks import notebook, text
from support.processes import command_of
from support.waiting import moment, wait_for

FAULTS = ("hub", "service", "both", "proxy")
SIGN_IN_SECONDS = 30.0
_NOTICED = timedelta(seconds=2)
_QUEUED = 3
"""Runs that are queued before each fault; one at a time executes."""
_MARK = "import time\nwith open(path, 'a') as f:\n    f.write(name + '\\n')\ntime.sleep(0.5)"


@dataclass
class Report:
    """What was seen in one story."""

    seed: int
    order: tuple[str, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    """From each fault to the first sign-in that succeeded."""
    restarts: int = 0
    """How often the hub was started after the first time."""
    runs: int = 0
    waited: int = 0
    """How many of them no runner had begun when their fault came."""
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line with all figures."""
        took = ", ".join(f"{fault} {seconds:.1f} s" for fault, seconds in self.seconds.items())
        counts = f"{self.runs} runs ({self.waited} queued at the fault), {self.restarts} restarts of the hub"
        return f"seed {self.seed}: {took}; {counts}; wrong: {self.wrong or 'nothing'}"


def order_of(seed: int) -> tuple[str, ...]:
    """Return the order of the faults in the story of a seed."""
    return tuple(random.Random(seed).sample(FAULTS, len(FAULTS)))


def play(seed: int, directory: Path, faults: tuple[str, ...] = FAULTS) -> Report:
    """Play one story in an empty directory, with all `faults` or those that are given."""
    report = Report(seed, tuple(fault for fault in order_of(seed) if fault in faults))
    with running_hub(directory, users=("ada",), service_environment={"RESPAWN_MAX_RUNNING": "1"}) as hub:
        story = _Story(hub, report, random.Random(seed))
        story.prepare()
        for fault in report.order:
            story.suffer(fault)
        story.check()
    return report


class _Story:
    def __init__(self, hub: RunningHub, report: Report, chance: random.Random) -> None:
        self._hub = hub
        self._report = report
        self._chance = chance
        self._marks = hub.directory / "marks"
        self._ada = hub.service("ada")
        self._faults: dict[str, datetime] = {}
        """Each run, and when the fault before which it was queued was over."""

    def prepare(self) -> None:
        source = notebook("path = ''\nname = ''", _MARK, tags={0: ["parameters"]})
        self._ada.promote(Promotion(name="mark", notebook=text(source)))

    def suffer(self, fault: str) -> None:
        """Queue some runs, do one fault, and wait until all is well again."""
        runs = [self._queue(fault, number) for number in range(_QUEUED)]
        moment(self._chance, 2.0)
        self._kill(fault)
        # A service whose hub was killed sees that a moment later, and may begin a run until then.
        self._faults |= dict.fromkeys(runs, datetime.now(UTC) + _NOTICED)
        began = time.monotonic()
        wait_for(
            lambda: self._signed_in(began), SIGN_IN_SECONDS * 3, f"a sign-in after {fault}", interval=0.2
        )
        self._report.seconds[fault] = time.monotonic() - began
        wait_for(lambda: self._ended(runs), 120, f"the end of the runs queued before {fault}", interval=0.2)

    def _queue(self, fault: str, number: int) -> str:
        given = {"path": str(self._marks), "name": f"{fault}-{number}"}
        return self._ada.run(RunRequest(job="mark", parameters=given)).id

    def _kill(self, fault: str) -> None:
        faults: dict[str, Callable[[], None]] = {
            "hub": self._hub.kill,
            "service": lambda: self._hub.service_process().kill(),
            "proxy": lambda: self._proxy().kill(),
        }
        for one in self._chance.sample(("hub", "service"), 2) if fault == "both" else (fault,):
            if one == "service" and self._hub.process.poll() is not None:
                for service in self._services():  # it may have seen by now that its hub is gone
                    service.kill()
            else:
                faults[one]()

    def _proxy(self) -> psutil.Process:
        family = psutil.Process(self._hub.process.pid).children(recursive=True)
        return next(
            one for one in family if any("configurable-http-proxy" in word for word in command_of(one))
        )

    def _services(self) -> list[psutil.Process]:
        """Return the services of this hub that live, whoever their parent is."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                ours = process.cmdline()[-2:] == ["-m", "respawn_hub"]
                if ours and process.environ().get("RESPAWN_DATA") == str(self._hub.data):
                    found.append(process)
        return found

    def _signed_in(self, began: float) -> bool:
        """Do what systemd does with a hub that has ended; then tell whether a new browser gets a page."""
        if self._hub.process.poll() is not None:
            self._hub.start_again()
            self._report.restarts += 1
        with suppress(httpx.HTTPError):
            return sign_in(self._hub, "ada")
        return False

    def _show(self, run: str) -> RunDetail:
        return self._ada.show(run)

    def _ended(self, runs: list[str]) -> bool:
        with suppress(RespawnError):
            return all(self._show(run).run.state.final for run in runs)
        return False

    def check(self) -> None:
        """Compare what ran with what was queued."""
        begun = Counter(self._marks.read_text().split())
        self._report.runs = len(self._faults)
        for run, fault in self._faults.items():
            detail = self._show(run)
            name, state = str(detail.run.parameters["name"]), detail.run.state
            claimed = [attempt.started_at for attempt in detail.attempts if attempt.started_at is not None]
            text = f"{run} ({name}) is {state.value} and began {begun[name]} times in {len(claimed)} attempts"
            waited = all(at > fault for at in claimed)
            self._report.waited += waited
            if waited and (state, begun[name], len(claimed)) != (RunState.SUCCEEDED, 1, 1):
                self._report.wrong.append(f"{text}, although none had begun at the fault")
            if state not in (RunState.SUCCEEDED, RunState.LOST) or begun[name] > len(claimed):
                self._report.wrong.append(text)
        if self._report.waited == 0:
            self._report.wrong.append("no run was queued at a fault, so nothing is proven of those")
        services = self._services()
        if len(services) != 1:
            self._report.wrong.append(f"{len(services)} services run")
        slow = {fault: took for fault, took in self._report.seconds.items() if took > SIGN_IN_SECONDS}
        if slow:
            self._report.wrong.append(f"sign-in took longer than {SIGN_IN_SECONDS:.0f} s: {slow}")


def sign_in(hub: RunningHub, user: str) -> bool:
    """Sign a person in with a new browser; tell whether the page of their jobs is there in the end."""
    headers = {"Accept": "text/html", "Sec-Fetch-Dest": "document"}
    with httpx.Client(headers=headers, follow_redirects=True, timeout=5) as browser:
        page = browser.get(f"{hub.service_url}/")
        xsrf = re.search(r'name="_xsrf"\s+value="([^"]+)"', page.text)
        if xsrf is None:
            return False
        form = {"username": user, "password": hub.password, "_xsrf": xsrf.group(1)}
        landed = browser.post(str(page.url), data=form)
        return landed.status_code == 200 and str(landed.url).startswith(f"{hub.service_url}/")
