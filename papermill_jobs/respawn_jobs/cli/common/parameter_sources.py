"""papermill's other ways to give parameters: as raw text, as YAML, in a file, encoded.

As with papermill a later source wins: encoded YAML, files, YAML, then `-p`, then `-r`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add papermill's `-r`, `-y`, `-f` and `-b` to a command that has `-p`; see `Values`."""
    for option in (
        click.option(
            "-b", "--parameters_base64", "encoded", multiple=True, metavar="TEXT", help="Base64 of -y's YAML."
        ),
        click.option(
            "-f",
            "--parameters_file",
            "files",
            multiple=True,
            metavar="FILE",
            help="YAML or JSON file of parameters.",
        ),
        click.option(
            "-y",
            "--parameters_yaml",
            "texts",
            multiple=True,
            metavar="YAML",
            help="A YAML mapping of parameters.",
        ),
        click.option(
            "-r",
            "--parameters_raw",
            "raw",
            nargs=2,
            multiple=True,
            metavar="NAME VALUE",
            help="A parameter that stays text; repeatable.",
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True)
class Values:
    """The parameters of one command line, by how they were given."""

    typed: tuple[tuple[str, str], ...]
    """From `-p`: read by what the notebook declares."""
    yaml: dict[str, Any]
    raw: dict[str, str]

    @classmethod
    def taken_from(cls, options: dict[str, Any], typed: tuple[tuple[str, str], ...]) -> Values:
        """Take the values of `source_options` out of a command's options; `typed` are those of `-p`.

        Raises `click.BadParameter` for what is no YAML mapping, or cannot be read or decoded.
        """
        given: dict[str, Any] = {}
        for text in options.pop("encoded"):
            try:
                given |= _mapping(base64.b64decode(text, validate=True).decode(), "--parameters_base64")
            except (binascii.Error, UnicodeDecodeError) as error:
                raise click.BadParameter(f"--parameters_base64 is not base64 of text: {error}") from error
        for path in options.pop("files"):
            try:
                with open(path, encoding="utf-8") as file:  # noqa: PTH123  `/dev/stdin` too
                    given |= _mapping(file.read(), path)
            except (OSError, UnicodeDecodeError) as error:
                raise click.BadParameter(f"{path!r} cannot be read: {error}") from error
        for text in options.pop("texts"):
            given |= _mapping(text, "--parameters_yaml")
        return cls(typed, given, dict(options.pop("raw")))

    def together(self, read: dict[str, Any]) -> dict[str, Any]:
        """Return all values; `read` are those of `-p`, read by what the notebook declares."""
        return {**self.yaml, **read, **self.raw}


def _mapping(text: str, where: str) -> dict[str, Any]:
    import yaml
    from papermill.iorw import NoDatesSafeLoader  # dates stay text, as in papermill

    try:
        found = yaml.load(text, Loader=NoDatesSafeLoader)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise click.BadParameter(f"{where} is not YAML: {' '.join(str(error).split())}") from error
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise click.BadParameter(f"{where} is not a mapping of names to values")
    return found
