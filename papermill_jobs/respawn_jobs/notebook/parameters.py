"""Typed parameters: what the `parameters` cell of a notebook declares.

Reading is papermill's own inspection. Its line pattern sees neither a bare annotation (`rows: int`) nor an
expression with a second `=`, so names, annotations and defaults of Python cells are read from the syntax
tree as well, where the cell parses. Nothing of the cell is ever executed.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.jobs import Parameter
from respawn_jobs.notebook.document import TAG_PARAMETERS, cell_tags, code_cells
from respawn_jobs.notebook.parameter_types import (
    ANYTHING,
    Names,
    ParameterKind,
    annotated,
    default_value,
    inferred,
    names_of,
    spelled,
)
from respawn_jobs.notebook.secret_parameters import MARKS, is_secret
from respawn_jobs.redact import GONE
from respawn_kernels.cell_code.syntax import tree_of
from respawn_kernels.counting import how_many

if TYPE_CHECKING:
    from nbformat import NotebookNode

_MAX_CELL_LENGTH = 100_000
"""Characters of a tagged cell: reading it takes time for each."""
_BLANKS = re.compile(r"[ \t\f\v]{9,}")
_IPYTHON_LINE = re.compile(r"^[ \t]*[%!].*$|^.*\?[ \t]*$", re.MULTILINE)
_LITERAL_TYPES = {
    "int": "int", "float": "float", "str": "str", "bool": "bool",
    "list": "list", "tuple": "list", "set": "list", "dict": "dict",
}  # fmt: skip


def inspectable(language: str) -> bool:
    """Return whether papermill can read the parameters of a notebook in this language."""
    return language.lower() == "python"


def inspect(notebook: NotebookNode, kernel: str, language: str) -> list[Parameter]:
    """Return the parameters that the notebook declares, in their order; none without a tagged cell.

    A language that papermill cannot inspect gives none as well: ask `inspectable`.

    Args:
        notebook: with at most one cell that counts, the first tagged `parameters`.
        kernel: name of the kernelspec, by which papermill looks for a translator first.
        language: the kernel's language, by which papermill looks for one else.

    Raises:
        InvalidInput: the tagged cell is longer than a hundred thousand characters.
    """
    cell = _tagged(notebook)
    if cell is None or not inspectable(language):
        return []
    if len(cell.source) > _MAX_CELL_LENGTH:
        raise InvalidInput(
            f"the cell tagged `{TAG_PARAMETERS}` has {how_many(len(cell.source), 'character')}, "
            f"and {_MAX_CELL_LENGTH:,} are read; keep the parameters alone in it and move the rest to a cell "
            "of its own"
        )
    return [_parameter(found) for found in _found_in(notebook, cell, kernel, language)]


def kinds(notebook: NotebookNode) -> dict[str, ParameterKind]:
    """Return what each parameter of a Python notebook takes; nothing for a cell that cannot be read."""
    cell = _tagged(notebook)
    if cell is None or len(cell.source) > _MAX_CELL_LENGTH or tree_of(cell.source) is None:
        return {}
    return {found.name: found.kind for found in _found_in(notebook, cell, "python3", "python")}


@dataclass(frozen=True)
class _Found:
    """An assignment of the `parameters` cell."""

    name: str
    kind: ParameterKind
    annotated: bool
    default: ast.expr | None
    """None where there is none, and where the cell does not parse."""
    default_source: str
    json_default: Any = None
    """The default of a type that JSON lacks, as text."""
    help: str = ""


def _tagged(notebook: NotebookNode) -> NotebookNode | None:
    return next((cell for _, cell in code_cells(notebook) if TAG_PARAMETERS in cell_tags(cell)), None)


def _found_in(notebook: NotebookNode, cell: NotebookNode, kernel: str, language: str) -> list[_Found]:
    tree = tree_of(cell.source)
    seen = {} if tree and "type:" not in cell.source else _seen_by_papermill(cell, kernel, language)
    if tree is None:
        return list(seen.values())
    names = _names(notebook, cell)
    declared: dict[str, _Found] = {}
    for name, annotation, default, source, help_text in _assignments(tree, cell.source):
        commented = seen.get(name)
        try:
            kind = annotated(annotation, names) if annotation is not None else ANYTHING
            if annotation is None and commented is not None and commented.annotated:
                kind = commented.kind
            elif annotation is None and default is not None:
                kind = inferred(default, names)
            value = default_value(default, kind, names) if default is not None else None
        except (RecursionError, MemoryError):
            kind, value = ANYTHING, None
        if kind.maker and isinstance(default, ast.Constant) and isinstance(default.value, str):
            kind = replace(kind, maker="")  # the notebook itself takes it for text
        is_annotated = annotation is not None or (commented is not None and commented.annotated)
        declared[name] = _Found(name, kind, is_annotated, default, source, value, help_text)
    return list(declared.values())


def _names(notebook: NotebookNode, tagged: NotebookNode) -> Names:
    """Return what names stand for in the tagged cell, by the cells down to it."""
    sources, room = [], _MAX_CELL_LENGTH
    for _, cell in code_cells(notebook):
        room -= len(cell.source)
        if room < 0 and cell is not tagged:
            break
        sources.append(cell.source if cell is tagged else _IPYTHON_LINE.sub("", cell.source))
        if cell is tagged:
            break
    return names_of(sources)


def _seen_by_papermill(cell: NotebookNode, kernel: str, language: str) -> dict[str, _Found]:
    """Return what papermill's pattern makes of each line.

    The time that the pattern takes grows with the third power of a run of blanks.
    """
    from papermill.translators import papermill_translators

    short = {**cell, "source": _BLANKS.sub(" " * 8, cell.source)}
    return {
        seen.name: _as_found(seen)
        for seen in papermill_translators.find_translator(kernel, language).inspect(short)
    }


def _as_found(seen: Any) -> _Found:
    is_annotated = seen.inferred_type_name not in (None, "None", "NoneType")
    kind = spelled(seen.inferred_type_name, Names()) if is_annotated else ANYTHING
    return _Found(seen.name, replace(kind, maker=""), is_annotated, None, seen.default, help=seen.help)


def _assignments(
    tree: ast.Module, source: str
) -> list[tuple[str, ast.expr | None, ast.expr | None, str, str]]:
    """Return (name, annotation, default, its source, help) of a cell's plain top-level assignments."""
    found: list[tuple[str, ast.expr | None, ast.expr | None, str, str]] = []
    comments, lines = _comments(source), _lines(source)
    for node in tree.body:
        # papermill's pattern skips a bare annotation and gives its comment to the parameter above it.
        places = range(node.end_lineno or node.lineno, node.lineno - 1, -1)
        comment = next((comments[line] for line in places if line in comments), "")
        if isinstance(node, ast.Assign):
            value = _text(lines, node.value)
            found += [
                (target.id, None, node.value, value, comment)
                for target in node.targets
                if isinstance(target, ast.Name)
            ]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            default = _text(lines, node.value) if node.value else ""
            found.append((node.target.id, node.annotation, node.value, default, comment))
    return found


def _lines(source: str) -> list[bytes]:
    """Return the lines as the parser counts them."""
    return source.replace("\r\n", "\n").replace("\r", "\n").encode(errors="replace").split(b"\n")


def _text(lines: list[bytes], node: ast.expr) -> str:
    """Return the source of an expression; `ast.get_source_segment` would read the whole cell each time."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    some = lines[first : last + 1]
    some[-1] = some[-1][: node.end_col_offset]
    some[0] = some[0][node.col_offset :]
    return b"\n".join(some).decode(errors="replace")


def _comments(source: str) -> dict[int, str]:
    """Return the comment of each line that has one, without its hash."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").rstrip() for t in tokens if t.type == tokenize.COMMENT}


def _parameter(found: _Found) -> Parameter:
    """Return an assignment as what the notebook declares."""
    kind, source = found.kind, found.default_source
    type_name = kind.type
    try:
        literal = ast.literal_eval(source) if source else None
        default = json.loads(json.dumps(literal, allow_nan=False))
        known = bool(source)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        literal, default, known = None, found.json_default, found.json_default is not None
    if not found.annotated and literal is not None:
        type_name = _LITERAL_TYPES.get(type(literal).__name__)
    required = not source or (known and default is None and found.annotated and not kind.nullable)
    secret = is_secret(found.name, type_name, found.help)
    return Parameter(
        name=found.name,
        type=type_name,
        choices=list(kind.choices),
        items=kind.items.type if kind.items else None,
        default=None if secret else default,
        default_source=GONE if secret and source else source,
        required=required,
        nullable=kind.nullable or (known and default is None and not required),
        secret=secret,
        help=MARKS.sub("", found.help).strip(),
    )
