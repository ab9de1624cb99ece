"""papermill's other ways to give parameters, on the command line of `respawn run`."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import click
import pytest

from respawn_jobs.cli.common.parameter_sources import Values


def values(typed: tuple[tuple[str, str], ...] = (), **options: Any) -> Values:
    given = {"encoded": (), "files": (), "texts": (), "raw": ()} | options
    return Values.taken_from(given, typed)


def test_a_later_source_wins_in_papermills_order(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("b: file\nc: file\nd: file\ne: file\n")
    (tmp_path / "two.json").write_text('{"c": "second file", "d": [1]}')
    given = values(
        encoded=(base64.b64encode(b"{a: encoded, b: encoded}").decode(),),
        files=(str(tmp_path / "one.yaml"), str(tmp_path / "two.json")),
        texts=("{d: text, e: text, f: 2020-01-02}", ""),
        raw=(("e", "7"),),
    )
    assert given.together({"d": 4, "e": 5}) == {
        "a": "encoded", "b": "file", "c": "second file", "d": 4, "e": "7", "f": "2020-01-02",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"texts": ("[1, 2]",)}, "mapping"),
        ({"texts": ("{1: 2}",)}, "mapping"),
        ({"texts": ("a: [",)}, "not YAML"),
        ({"texts": ("!!python/object/apply:os.getcwd []",)}, "not YAML"),
        ({"encoded": ("not base64!",)}, "base64"),
        ({"files": ("/no/such/file.yaml",)}, "/no/such/file.yaml"),
    ],
)
def test_what_is_no_mapping_is_refused_naming_where_it_came_from(options: dict[str, Any], named: str) -> None:
    with pytest.raises(click.BadParameter, match=named):
        values(**options)
