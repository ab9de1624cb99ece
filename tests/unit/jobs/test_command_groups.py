"""The command in groups: what its help shows, what each group does on an embedded store, what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from respawn_jobs.cli.commands import respawn as program
from respawn_jobs.cli.entry import run_command
from support.notebooks import notebook, text

BLOCKS = {
    "Run": (
        "run promote jobs job settings profiles versions diff runs show logs cancel files artifacts fetch "
        "pin export import remove usage"
    ),
    "Fix": "why debug resume restart retry",
    "Automate": "schedule dependency hook sensor backfill limit",
    "Administer": "kernels admin audit",
}
GROUPS = {name: group for name, group in program.commands.items() if isinstance(group, click.Group)}


@pytest.fixture
def respawn(command):
    """A store with two jobs; `report` has a parameter."""
    for name in ("report", "orders"):
        Path(f"{name}.ipynb").write_text(text(notebook("a = rows", parameters="rows: int = 1")))
        assert command("promote", f"{name}.ipynb", "--name", name)[0] == 0
    return command


@pytest.fixture
def document(respawn):
    """Return the JSON document of a command that succeeds."""

    def document(*words):
        status, out, err = respawn(*words, "--json")
        assert status == 0, out + err
        return json.loads(out)

    return document


def sections(shown: str) -> dict[str, list[str]]:
    """Return the commands that a help text names, by the headings that they stand under."""
    found = re.findall(r"^(\w+):\n((?:  .*\n)+)", shown, re.MULTILINE)
    return {heading: re.findall(r"^  ([a-z-]+) ", lines, re.MULTILINE) for heading, lines in found}


def test_the_help_shows_every_command_in_exactly_one_of_four_blocks(command) -> None:
    status, out, _ = command("--help")
    shown = sections(out)
    del shown["Options"]
    assert status == 0
    assert shown == {heading: names.split() for heading, names in BLOCKS.items()}
    named = [name for names in shown.values() for name in names]
    assert sorted(named) == sorted(program.commands)


def test_what_a_command_does_is_told_whole_on_a_narrow_terminal(command, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = command("--help")[1]
    assert "..." not in out.partition("Run:")[2]
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("name", GROUPS)
def test_the_help_of_a_group_names_its_commands(command, name: str) -> None:
    status, out, _ = command(name, "--help")
    assert status == 0
    assert sections(out)["Commands"] == sorted(GROUPS[name].commands)


def test_no_help_needs_heavy_imports() -> None:
    heavy = "{'papermill', 'nbformat', 'sqlalchemy', 'rich', 'pydantic', 'jupyter_client'}"
    code = "import sys; from respawn_jobs.cli.entry import run_command\n"
    code += f"for name in {list(GROUPS)}: run_command([name, '--help'])\n"
    code += f"print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


OLD = (
    "schedule report --cron '0 3 * * *'", "schedule report", "schedule report --pause {schedule}",
    "schedule report --unpause {schedule}", "schedule report --remove {schedule}",
    "schedule report --change {schedule} --cron '0 4 * * *'", "after report --on orders", "after report",
    "after orders --remove", "graph", "hook report", "hook report --accept rows", "hook report --list",
    "hook report --remove {hook}", "watch report --prefix incoming", "watch report", "limits",
    "limits user ada --most 2", "backfill report --from 2026-01-01 --to 2026-01-02 --every day",
    "backfill report", "backfill report --stop {backfill}", "replicas", "gc",
)  # fmt: skip


@pytest.fixture
def made(document) -> dict[str, str]:
    """One trigger of each kind, by its kind."""
    schedule = document("schedule", "add", "report", "--cron", "0 2 * * *")["schedule"]["id"]
    document("dependency", "set", "orders", "--on", "report")
    hook = document("hook", "add", "report")["hook"]["id"]
    backfill = document("backfill", "start", "report", "--from", "2026-01-01", "--to", "2026-01-02")["id"]
    return {"schedule": schedule, "hook": hook, "backfill": backfill}


def test_an_old_form_is_refused_and_changes_nothing(document, respawn, made) -> None:
    def everything():
        return [
            document(*words.split())
            for words in (
                "schedule list report", "dependency show report", "dependency show orders",
                "hook list report", "sensor list report", "limit list", "backfill list report", "audit list",
            )
        ]  # fmt: skip

    before = everything()
    for form in OLD:
        words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", form.format(**made))]
        status, out, err = respawn(*words)
        assert (status, out) == (2, ""), form
        assert re.search("No such command|Missing argument", err), form
    assert everything() == before


def test_a_schedule_is_listed_paused_resumed_changed_and_removed(document, respawn) -> None:
    assert respawn("schedule", "list", "report")[1].endswith("/report has no schedule\n")
    add = ("schedule", "add", "report", "--cron", "30 3 * * *", "-p", "rows", "5")
    made = document(*add)["schedule"]
    assert document("schedule", "list", "report") == {"schedules": [made]}
    (paused,) = document("schedule", "pause", "report", made["id"])["schedules"]
    assert (paused["paused"], paused["next_due"]) == (True, None)
    (resumed,) = document("schedule", "resume", "report", made["id"])["schedules"]
    assert (resumed["paused"], resumed["next_due"] is None) == (False, False)
    missed = ("--missed", "all", "--max-missed", "7")
    (changed,) = document("schedule", "change", "report", made["id"], "--tz", "Europe/Berlin", *missed)[
        "schedules"
    ]
    assert (changed["tz"], changed["cron"], changed["max_missed"]) == ("Europe/Berlin", "30 3 * * *", 7)
    assert changed["parameters"] == {"rows": 5}
    assert document("schedule", "remove", "report", made["id"]) == {"schedules": []}


def test_a_schedule_of_another_job_is_not_touched(document, respawn) -> None:
    made = document("schedule", "add", "report", "--cron", "30 3 * * *")["schedule"]
    for words in (("pause",), ("resume",), ("remove",), ("change", "--cron", "0 4 * * *")):
        status, _, err = respawn("schedule", words[0], "orders", made["id"], *words[1:])
        assert status == 2
        assert f"/orders has no schedule {made['id']}; it has none" in err
    assert document("schedule", "list", "report") == {"schedules": [made]}


def test_a_dependency_is_set_shown_paused_resumed_and_removed(document, respawn) -> None:
    assert document("dependency", "show", "report") == {"dependency": None}
    assert (
        respawn("dependency", "show", "report")[1] == "report has no dependency: it runs after no other job\n"
    )
    status, out, err = respawn("dependency", "set", "report", "--on", "orders", "--take", "rows=orders:run")
    assert (status, "only a hub acts on this" in err) == (0, True)
    assert "when all of these have succeeded, once for each logical date:" in out
    assert document("dependency", "pause", "report")["dependency"]["paused"] is True
    assert document("dependency", "resume", "report")["dependency"]["paused"] is False
    tree = respawn("dependency", "graph")[1]
    assert 0 < tree.index("/orders") < tree.index("/report")
    assert document("dependency", "remove", "report") == {"dependency": None}
    status, _, err = respawn("dependency", "pause", "report")
    assert (status, "/report runs after no other job" in err) == (2, True)


def test_a_hook_is_added_listed_rotated_and_removed(document, respawn) -> None:
    assert respawn("hook", "list", "report")[1] == "report has no webhook\n"
    made = document("hook", "add", "report", "--accept", "rows")
    assert document("hook", "list", "report") == {"hooks": [made["hook"]]}
    assert document("hook", "rotate", "report", made["hook"]["id"])["secret"] != made["secret"]
    status, _, err = respawn("hook", "rotate", "orders", made["hook"]["id"])
    assert (status, "orders has no webhook" in err) == (2, True)
    assert document("hook", "remove", "report", made["hook"]["id"]) == {"hooks": []}


def test_sensors_need_an_inbox_and_are_called_so(respawn) -> None:
    assert respawn("sensor", "list", "report")[1] == "report has no sensor\n"
    status, _, err = respawn("sensor", "add", "report", "--prefix", "incoming")
    assert (status, "there is no inbox" in err) == (2, True)
    status, _, err = respawn("sensor", "remove", "report", "sen-x")
    assert (status, "report has no sensor sen-x; it has none" in err) == (2, True)


def test_limits_are_set_listed_and_removed(document, respawn) -> None:
    assert respawn("limit", "list")[1] == "no limits are set\n"
    document("limit", "set", "user", "*", "20")
    (limit,) = document("limit", "set", "queue", "gpu", "2")
    assert (limit["kind"], limit["name"], limit["max_running"]) == ("queue", "gpu", 2)
    assert [one["name"] for one in document("limit", "list")] == ["gpu", "*"]
    assert document("limit", "list", "queue", "gpu") == [limit]
    assert respawn("limit", "list", "queue", "cpu")[1] == "no such limit is set\n"
    assert [one["name"] for one in document("limit", "remove", "queue", "gpu")] == ["*"]


def test_kernels_are_listed(document, respawn, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    (tmp_path / "kernels" / "zzz").mkdir(parents=True)
    spec = {"argv": ["x"], "display_name": "[bold]My own", "language": "R"}
    (tmp_path / "kernels" / "zzz" / "kernel.json").write_text(json.dumps(spec))
    expected = {"name": "zzz", "display_name": "[bold]My own", "language": "r"}
    assert expected in document("kernels", "list")
    assert re.search(r"^zzz +r +\[bold\]My own", respawn("kernels", "list")[1], re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("schedule add report", "--cron"),
        ("schedule preview report --tz UTC", "--cron"),
        ("schedule change report sch-x", "say what to change"),
        ("schedule change report sch-x --max-missed 3", "belongs to --missed all"),
        ("schedule change report sch-x --missed skip --max-missed 3", "belongs to --missed all"),
        ("schedule pause report", "SCHEDULE"),
        ("dependency set report", "--on"),
        ("dependency set report --any", "--on"),
        ("dependency set report --on orders --tz UTC", "--tz belongs to --period"),
        ("dependency set report --on orders --period due --tz UTC", "--tz belongs to --period"),
        ("dependency set report --on orders --take rows", "is not of the form"),
        ("dependency set report --on orders --take rows=orders:run --take rows=orders:state", "'rows' more"),
        ("hook rotate report", "HOOK"),
        ("hook list report --accept rows", "--accept"),
        ("sensor add report --parameter rows", "--prefix"),
        ("backfill start report --cron 0", "say what to run"),
        ("backfill show", "BACKFILL"),
        ("limit set queue gpu", "'N'"),
        ("limit set queue gpu -1", "-1"),
        ("limit set queue gpu 100001", "is more than 100000"),
        ("limit set moon gpu 2", "moon"),
        ("limit remove queue", "NAME"),
        ("admin gc --remove", "--remove belongs to --orphans"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_changes(respawn, document, words: str, says: str) -> None:
    before = document("audit", "list")
    status, out, _ = respawn(*words.split(), "--json")
    told = json.loads(out)
    assert (status, told["error"]) == (2, "usage")
    assert says in told["message"]
    assert document("audit", "list") == before


def test_more_than_a_request_may_hold_is_refused_in_words(respawn, document) -> None:
    many = [word for number in range(101) for word in ("--accept", f"p{number}")]
    status, out, err = respawn("hook", "add", "report", *many, "--json")
    told = json.loads(out)
    assert (status, told["error"], err) == (2, "invalid_input", "")
    assert told["message"] == "`accepts` must have at most 100 items"
    assert document("hook", "list", "report") == {"hooks": []}


def test_ids_of_long_lists_are_whole_on_a_narrow_terminal(document, made, monkeypatch, capsys) -> None:
    for hour in range(30):
        document("schedule", "add", "report", "--cron", f"{hour} 4 * * 1-5", "--tz", "Europe/Berlin")
    schedules = [one["id"] for one in document("schedule", "list", "report")["schedules"]]
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    for words, ids in (
        (["schedule", "list", "report"], schedules),
        (["backfill", "list", "report"], [made["backfill"]]),
    ):
        assert run_command(words) == 0
        lines = click.unstyle(capsys.readouterr().out).splitlines()
        assert [line.split()[0] for line in lines if line.startswith(ids[0][:4])] == ids
        assert max(map(len, lines)) <= 80
