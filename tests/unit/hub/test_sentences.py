"""Messages as sentences: words get their capital, and what has a spelling of its own keeps it."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respawn_hub.pages.templating import sentence
from respawn_jobs.ids import new_id
from support.sources import PARTS, ROOT, modules

_SCRIPT = ROOT / "hub_ext/respawn_server/labextension/static/dom.js"
_REFS = st.from_regex(r"(user|team)/[a-z0-9][a-z0-9._-]{0,9}/[a-z][a-z0-9._-]{0,9}", fullmatch=True)
_FILES = st.from_regex(r"[a-z]{1,9}\.(ipynb|py|json|db)", fullmatch=True)
_IDS = st.sampled_from(["run", "sch", "bkf", "att", "rep"]).map(new_id)
_NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,9}", fullmatch=True)
_LED = _REFS | _FILES | _IDS | _NAMES.map(lambda name: f"'{name}'") | _NAMES.map(lambda name: f"`{name}`")
_PERSON = re.compile(
    r"^\{(\w+\.)*(actor|person|created_by|by|owner|user)(\.name)?\} |^\{self\.name\} (may|is) "
)


@given(led=_LED, rest=st.sampled_from([" is not here", ": look again", ", version 3", " has moved."]))
def test_an_id_a_reference_a_file_or_a_quoted_name_stays_as_it_is_written(led: str, rest: str) -> None:
    assert sentence(f"{led}{rest}").startswith(led)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("cell 3 reads rows", "Cell 3 reads rows."),
        ("user/ada/x has no version 3", "user/ada/x has no version 3."),
        ("run-4f has ended!", "run-4f has ended!"),
        ("you (ada) may not edit jobs in team/a", "You (ada) may not edit jobs in team/a."),
        ("parameter 'rows' is no number", "Parameter 'rows' is no number."),
        ("nothing", "Nothing."),
        ("somebody's run, which ended", "Somebody's run, which ended."),
    ],
)
def test_a_message_becomes_a_sentence(message: str, shown: str) -> None:
    assert sentence(message) == shown


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_jupyterlab_makes_the_same_sentences(tmp_path: Path) -> None:
    messages = [
        "cell 3 reads rows",
        "user/ada/x is there",
        "run-4f has ended!",
        "report.ipynb: no",
        "'a' is",
        "no",
    ]
    (tmp_path / "dom.mjs").write_text(_SCRIPT.read_text())
    code = f"import {{ sentence }} from './dom.mjs'; console.log({messages!r}.map(sentence).join('|'))"
    done = subprocess.run(
        ["node", "--input-type=module", "-e", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().split("|") == [sentence(message) for message in messages]


@pytest.mark.parametrize("part", PARTS)
def test_no_refusal_begins_with_a_persons_bare_name(part: str) -> None:
    """A name alone looks like a word: `ada may not` would be shown as `Ada may not`."""
    wrong = [
        f"{module.name}, line {node.lineno}"
        for module in modules(part)
        for raised in ast.walk(module.tree)
        if isinstance(raised, ast.Raise)
        for node in ast.walk(raised)
        if isinstance(node, ast.JoinedStr) and _PERSON.match(ast.unparse(node)[2:])
    ]
    assert not wrong
