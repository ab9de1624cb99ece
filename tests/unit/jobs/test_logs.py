"""Lines of the log say what they are about, in both forms, and hold no secret."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from respawn_jobs import logs

RUN, ATTEMPT = "run-7k3v9x0m2q", "att-7k3v9x0m2q"
log = logging.getLogger("respawn_jobs.tests")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], io.StringIO]]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("httpx", "apprise")}
    monkeypatch.setattr(logs, "_of_process", {})

    def configure(form: str) -> io.StringIO:
        stream = io.StringIO()
        logs.configure(form, stream=stream)
        return stream

    yield configure
    root.handlers[:], root.level = handlers, level
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_carries_what_the_block_is_about(written) -> None:
    stream = written("json")
    logs.always(replica="rep-0000000000")
    with logs.about(run=RUN, job="user/ada/report"), logs.about(attempt=ATTEMPT):
        log.info("it goes %s", "on")
    log.info("and is over")
    inside, after = lines(stream)
    assert inside | {"time": ""} == {
        "time": "", "level": "INFO", "logger": "respawn_jobs.tests", "message": "it goes on",
        "run": RUN, "attempt": ATTEMPT, "job": "user/ada/report", "replica": "rep-0000000000",
    }  # fmt: skip
    assert "run" not in after
    assert after["replica"] == "rep-0000000000"


def test_what_a_line_is_about_is_read_from_the_ids_that_it_names(written) -> None:
    stream = written("json")
    log.info("%s starts as %s", RUN, ATTEMPT)
    log.info("due: %s, %s", RUN, "run-0000000000")
    one, two = lines(stream)
    assert (one["run"], one["attempt"]) == (RUN, ATTEMPT)
    assert "run" not in two


def test_threads_do_not_mix_what_they_are_about(written) -> None:
    stream = written("json")
    with logs.about(run=RUN):
        thread = threading.Thread(target=lambda: log.info("elsewhere"))
        thread.start()
        thread.join()
    assert "run" not in lines(stream)[0]


def test_a_text_line_tells_briefly_what_the_message_does_not(written) -> None:
    stream = written("text")
    with logs.about(run=RUN, attempt=ATTEMPT):
        log.info("%s is slow", RUN)
    assert stream.getvalue().endswith(f"respawn_jobs.tests] ({ATTEMPT}) {RUN} is slow\n")


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_logged_not_even_in_a_traceback(written, form: str) -> None:
    stream = written(form)
    try:
        open("postgresql://ada:hunter2@db/missing")  # noqa: PTH123, SIM115
    except OSError:
        log.exception("Authorization: Bearer hunter2hunter2")
    assert "hunter2" not in stream.getvalue()
    assert "Traceback" in stream.getvalue()


def test_an_unknown_form_is_told_and_text_is_used(written) -> None:
    assert "is text or json, not 'xml'" in written("xml").getvalue()


def test_a_line_whose_arguments_do_not_fit_ends_nothing(written, capsys) -> None:
    written("json")
    log.info("%d things", "many")
    assert "Logging error" in capsys.readouterr().err
