"""Cells as Python: what IPython makes of magics and shell lines, as far as it is known."""

from __future__ import annotations

import ast
import re

from respawn_jobs.analysis.machine import Opaque

_TOO_MUCH = (SyntaxError, ValueError, RecursionError, MemoryError)
_RUNNING = ("%time", "%timeit", "%prun")
_QUIET = frozenset(
    [
        "matplotlib",
        "pylab_quiet",
        "config",
        "history",
        "who",
        "whos",
        "pinfo",
        "pdoc",
        "psource",
        "lsmagic",
        "quickref",
        "page",
    ]
)
"""Line magics that change at most options of libraries."""
_RUNNING_CELLS = ("%%time", "%%prun", "%%capture")
_OTHER_LANGUAGES = (
    *("%%bash", "%%sh", "%%script", "%%cmd", "%%perl", "%%ruby", "%%html", "%%HTML", "%%svg", "%%SVG"),
    *("%%javascript", "%%js", "%%latex", "%%markdown", "%%writefile", "%%file"),
)
_EXPANDED = re.compile(r"\{([^{}]*)\}|\$(\w+)")
_NAME = re.compile(r"[^\W\d]\w*")


def parsed(source: str) -> ast.Module:
    """Return a cell's syntax tree.

    Raises:
        Opaque: it is no Python, or holds a magic that may do anything.
    """
    try:
        return ast.parse(source)
    except _TOO_MUCH:
        pass
    lines = source.strip().splitlines()
    if lines and lines[0].startswith("%%"):
        lines = _cell_magic(lines)
    try:
        return ast.parse("\n".join(_line(line) for line in lines))
    except _TOO_MUCH as error:
        raise Opaque("it is not Python") from error


def _cell_magic(lines: list[str]) -> list[str]:
    magic, _, options = lines[0].partition(" ")
    if magic in _RUNNING_CELLS:
        kept = [word for word in options.split() if _NAME.fullmatch(word)] if magic == "%%capture" else []
        return [*(f"{name} = object()" for name in kept), *lines[1:]]
    if magic in _OTHER_LANGUAGES:
        if any(option in options for option in ("--out", "--err", "--proc", "--bg")):
            raise Opaque(f"it uses {magic}")
        return [_shell("\n".join(lines), "")]
    raise Opaque(f"it uses {magic}")


def _line(line: str) -> str:
    stripped = line.lstrip()
    indent = line[: len(line) - len(stripped)]
    assigned = re.match(r"([\w\s,]+)=\s*(!.*)$", stripped)
    if assigned is not None:
        names = assigned[1].strip()
        return f"{indent}{_shell(assigned[2], '')}; {names} = ''.split()"
    if stripped.startswith("!"):
        return _shell(stripped, indent)
    if stripped.startswith("%"):
        magic, _, rest = stripped.partition(" ")
        if magic in _RUNNING:
            rest = re.sub(r"^(-\w+\s+(\d+\s+)?)*", "", rest.strip())
            # What %timeit assigns stays inside it; assuming more is safe.
            return f"{indent}if __name__: {rest}" if rest else f"{indent}pass"
        if magic.lstrip("%") == "matplotlib":
            return f"{indent}pass"
        if magic.lstrip("%") in _QUIET:
            return f"{indent}pass"
        raise Opaque(f"it uses {magic}")
    if stripped.startswith("?") or (stripped.endswith("?") and "#" not in stripped):
        return f"{indent}pass"
    return line


def _shell(command: str, indent: str) -> str:
    """Return Python that reads what a command line is filled in with; a command changes files at most."""
    if re.search(r"\b(pip|conda|mamba|uv)\b", command):
        raise Opaque("it installs packages")
    names = [name for pair in _EXPANDED.findall(command) for name in _NAME.findall(pair[0] or pair[1])]
    return f"{indent}str(({' '.join(f'{name},' for name in names)}))"
