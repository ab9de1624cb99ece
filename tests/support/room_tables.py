"""The tables of docs/architecture.md: of rooms with their faces, and of modules that lie in no room.

PYTHONPATH=tests python -m support.room_tables     prints them, to be put into the page
"""

from __future__ import annotations

import ast

from support.faces import ALL, FACES
from support.rooms import ROOMS
from support.sources import PARTS, Module, modules


def room_table(part: str) -> str:
    """Return the table of a package's rooms: the name, the docstring's first line, and the face of each."""
    lines = [f"| `{part}` | what it is | its face |", "| --- | --- | --- |"]
    for module in modules(part):
        room = module.name.partition(".")[2]
        if module.path.name == "__init__.py" and room and "migrations" not in room:
            lines.append(f"| `{room}` | {_first(module)} | {_face(part, room)} |")
    return "\n".join(lines)


def module_table(part: str) -> str:
    """Return the table of a package's modules that lie in no room: all of them where it has none."""
    lines = [f"| `{part}` | what it is |", "| --- | --- |"]
    for module in sorted(modules(part), key=lambda module: module.name):
        name = module.name.partition(".")[2]
        if name and (part not in ROOMS or ("." not in name and module.path.name != "__init__.py")):
            lines.append(f"| `{name}` | {_first(module)} |")
    return "\n".join(lines)


def _first(module: Module) -> str:
    return (ast.get_docstring(module.tree) or "").partition("\n\n")[0].replace("\n", " ")


def _face(part: str, room: str) -> str:
    face = FACES[part][room]
    if face is ALL:
        return "all of it"
    names = sorted(room if name == "." else name for name in face)
    return ", ".join(f"`{name}`" for name in names) or "–"


if __name__ == "__main__":
    print("\n\n".join([*map(room_table, ROOMS), *map(module_table, PARTS)]))
