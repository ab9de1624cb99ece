"""A group of commands whose help shows them in headed blocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click


class BlockGroup(click.Group):
    """A group in which each command belongs to one block; the help has them in the order of adding."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Make a group without blocks; see `click.Group`."""
        super().__init__(*arguments, **options)
        self.blocks: dict[str, list[str]] = {}

    def add_block(self, heading: str, commands: Iterable[click.Command]) -> None:
        """Add commands under a heading.

        Raises:
            ValueError: a command has no name, or the group has one of that name.
        """
        names = self.blocks.setdefault(heading, [])
        for command in commands:
            if command.name is None or command.name in self.commands:
                raise ValueError(f"a second command {command.name!r} in a group")
            self.add_command(command)
            names.append(command.name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, block by block."""
        return [name for names in self.blocks.values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each block; names have the same width in all, so that what they do lines up."""
        widest = max(map(len, self.commands), default=0)
        limit = formatter.width - 6 - widest
        for heading, names in self.blocks.items():
            rows = [(name.ljust(widest), self.commands[name].get_short_help_str(limit)) for name in names]
            with formatter.section(heading):
                formatter.write_dl(rows)
