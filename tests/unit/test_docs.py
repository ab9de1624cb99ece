"""The documentation names only what is there: files, commands, options, routes, settings."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from support.routes import routes
from support.sources import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = ROOT / "docs" / "reference"


def command_lines(page: Path) -> Iterator[list[str]]:
    """Yield the `respawn …` lines of a page's code blocks, split into words, comments left out."""
    for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and "=" not in words[0] and words[0].rpartition("/")[2] == "respawn":
                yield words[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_in_a_page_exists(page: Path) -> None:
    from respawn_jobs.cli.commands import respawn

    for name, *words in command_lines(page):
        command = respawn.commands[name]
        while isinstance(command, click.Group) and words:
            word, *words = words
            name, command = f"{name} {word}", command.commands[word]
        known = {option for parameter in command.params for option in parameter.opts}
        used = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}
        assert used <= known, f"respawn {name}: {used - known}"


def test_the_reference_lists_every_command_under_the_heading_of_its_block() -> None:
    from respawn_jobs.cli.commands import respawn
    from respawn_jobs.cli.common.blocks import BlockGroup

    assert isinstance(respawn, BlockGroup)
    page = (REFERENCE / "command.md").read_text()
    parts = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    listed = {
        block: list(dict.fromkeys(re.findall(r"^\| `([a-z]+)", parts[block], re.MULTILINE)))
        for block in respawn.blocks
    }
    assert listed == respawn.blocks


def test_the_reference_lists_every_command_of_a_group() -> None:
    from respawn_jobs.cli.commands import respawn

    page = (REFERENCE / "command.md").read_text()
    listed = set(re.findall(r"`([a-z]+ [a-z-]+)[ `]", page))
    groups = {name: group for name, group in respawn.commands.items() if isinstance(group, click.Group)}
    assert groups
    every = {f"{name} {command}" for name, group in groups.items() for command in group.commands}
    assert every <= listed


def test_the_reference_lists_every_route_for_people() -> None:
    answered = [
        f"{method} {path.removeprefix('/').replace('{schedule}', '{id}')}"
        for method, path in routes()
        if path.startswith("/api/")
    ]
    told = re.findall(r"^\| `([A-Z]+ api/[^`?]*)", (REFERENCE / "api.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(answered)


def test_the_reference_tells_every_setting_of_the_service() -> None:
    from respawn_hub.startup.settings import Settings

    text = (REFERENCE / "configuration.md").read_text()
    by_configure = {"data", "db_url", "blobs_url"}
    for name in Settings.model_fields:
        assert (f"`{name}`" if name in by_configure else f"`RESPAWN_{name.upper()}`") in text, name


def test_the_reference_tells_the_versions_of_the_libraries_that_draw_outputs() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    told = re.findall(
        r"^\| `([a-z@/.-]+)` \| ([\d.]+) \|", (REFERENCE / "outputs.md").read_text(), re.MULTILINE
    )
    assert len(told) > 5
    assert {name: packages[f"node_modules/{name}"]["version"] for name, _ in told} == dict(told)


def test_the_reference_tells_every_option_of_configure() -> None:
    import inspect

    from respawn_hub.hub_config.configuration import configure

    text = (REFERENCE / "configuration.md").read_text()
    options = list(inspect.signature(configure).parameters)[1:]
    assert not [name for name in options if f"| `{name}` |" not in text]
