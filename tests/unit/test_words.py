"""Words of our own that the field has other words for: gone from code, tests and documentation."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache

import pytest

from support.sources import PARTS, ROOT, modules

GONE = {
    r"\b[oO]ccasions?\b": "trigger event",
    r"\blogical_at\b|\btrigger_key\b|\bmissed_most\b": "logical_date, idempotency_key, max_missed",
    r"\brun_ends\b": "run_outbox",
    r"\bSpentRow\b": "TombstoneRow",
    r"\bDrained\b": "Preempted",
    r"\bhanded on\b|\bhands? (it |them |runs )on\b|(\b|_)hand(ed)?_on(\b|_)": "requeue, carry over",
    r"(?<![a-zA-Z])[mM]end(s|ed|ing)?(?![a-zA-Z])": "fix, fixed",
    r"\b(_?waits|side_effects|hidden_state)\.(told|said)\b": "delivered, describe_cell, label_of",
    r"\bKnowledge\.|\"knowledge\"|\bsession\.touched\b": "IncrementalBaseline, write_set",
    r"\bbootstrap import .*\blend\b|\bcancellable_wait import .*\bWaits\b": "link_packages, CancellableWait",
    r"\brerun[-_]?[mM]akers\b": "rerun_producers",
    r"\b[tT]ouched_names\b|\bTouched\b": "write set",
    r"\bPatience\b|\b_?PATIENCE\w*|\bpatience\b": "time limit",
    r"\bLANE\b|\bLane\b|\blane_of\b": "queue partition",
    r"\bcondemn\w*": "mark",
    r"\bobituary\b|\blast_words\b": "exit reason, log tail",
    r"\b_?(MOST|LEAST|LONGEST|SHORTEST|FEWEST)_\w+": "MAX_, MIN_",
    r"\bWish\b": "CheckpointMode",
    r"\b[mM]enaces?\b|\bharms_in_all\b": "fault injector",
    r"respawn_due": "respawn_logical_date",
    r"\bRunEndRow\b": "the outbox",
    r"\b(After|AfterJob|Watch|Watched)Row\b": "DependencyRow, SensorRow",
    r"\bunfollow\b|\bpause_following\b|\bunwatch\b": "remove_dependency, remove_sensor",
    r"\bchaos[./]verdict\b": "checker",
    r"\bsay_present\b|\breplica\.places\b": "report_replica, slots",
    r"\bruns?\.turned\b|\b(row|part|[pP]lan|planned|resume)\.said\b": "state_revision, detail, warnings",
    r"\bledger\.take\(|\bLimitRequest\([^)]*\bmost=": "claim_runs, max_running",
    r"-> After\b|\bAfter \| None|\btriggers\.after\b|\bafter_(id|jobs)\b|\baft-|after/remove": "dependency",
    r"\bservice\.follow\b|\.follow\(Dependency|\bcheck_rule\b": "set_dependency, check_fixed_parameters",
    r"\bnext_look\b|\bwatch_id\b|\bwch-|\.watches\b|\bSensedObjectRow\b": "sensor, poke",
    r"\ba (job's )?watch(,|;|\.| that| is)": "sensor",
    r"\bwaits_for\b|\bUpstreamOutcome\b": "trigger_rule",
    r"\btold_here\b|\bsupport\.telling\b|\btells_all\b|\bis_told\b": "notifying, is_complete, is_kept",
    r"\b(is|was|were|are) told to (end|stop)\b": "asked to end, by a signal",
}
"""What is looked for, and the word that stands in its place."""
_ELSEWHERE = re.compile(r"CHANGELOG\.md$|\.lock$|package-lock\.json$|tests/unit/test_words\.py$|\.png$")


@cache
def pages() -> dict[str, str]:
    """Return the texts of the repository, by their names."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.splitlines() if not _ELSEWHERE.search(name)]
    return {name: (ROOT / name).read_text(errors="replace") for name in names if (ROOT / name).is_file()}


@pytest.mark.parametrize("pattern", GONE)
def test_the_fields_word_is_used(pattern: str) -> None:
    found = [
        f"{name}: {match.group()}" for name, text in pages().items() for match in re.finditer(pattern, text)
    ]
    assert not found, f"say it with {GONE[pattern]}"


NO_TERMS = {"told", "_told", "Told", "said", "_said", "Said"}
"""Names that say nothing of what they hold: a message, a report, a status, a detail, a warning."""


def _named(tree: ast.AST) -> set[str]:
    """Return the names that a module gives to variables, parameters, functions, classes and attributes."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
    return found


@pytest.mark.parametrize("part", PARTS)
def test_names_say_what_they_hold(part: str) -> None:
    assert not {module.name: found for module in modules(part) if (found := _named(module.tree) & NO_TERMS)}


def test_names_of_the_tests_support_say_what_they_hold() -> None:
    paths = sorted((ROOT / "tests" / "support").rglob("*.py"))
    assert paths
    assert not {
        path.name: found for path in paths if (found := _named(ast.parse(path.read_text())) & NO_TERMS)
    }
