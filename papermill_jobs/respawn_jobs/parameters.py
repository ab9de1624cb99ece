"""Typed parameters: read from the `parameters` cell, and the values of a run checked against them.

Reading is papermill's own inspection. Its line pattern sees neither a bare annotation (`rows: int`) nor an
expression with a second `=`, so names, annotations and defaults of Python cells are read from the syntax
tree as well, where the cell parses. Nothing of the cell is ever executed.
"""

from __future__ import annotations

import ast
import difflib
import io
import json
import re
import tokenize
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from respawn_jobs.errors import InvalidInput
from respawn_jobs.models import Parameter
from respawn_jobs.notebooks import TAG_PARAMETERS, cell_tags, code_cells
from respawn_jobs.parameter_types import (
    ANYTHING,
    Kind,
    Names,
    annotated,
    default_value,
    inferred,
    names_of,
    read,
    spelled,
)
from respawn_jobs.redact import GONE
from respawn_jobs.secret_parameters import MARKS, is_secret
from respawn_kernels.digest import digest_of
from respawn_kernels.syntax import tree_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

_LONGEST_CELL = 100_000
"""Characters of a tagged cell: reading it takes time for each."""
MAX_BYTES = 100_000
"""Of all parameters of a run, as JSON in UTF-8."""
_BLANKS = re.compile(r"[ \t\f\v]{9,}")
_IPYTHON_LINE = re.compile(r"^[ \t]*[%!].*$|^.*\?[ \t]*$", re.MULTILINE)
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}
_SPELLED = {
    "date": "a date such as 2026-01-31",
    "datetime": "a date and time such as 2026-01-31T06:00",
    "time": "a time such as 06:00",
    "decimal": "a number",
    "path": "a path",
}
_LITERAL_TYPES = {
    "int": "int", "float": "float", "str": "str", "bool": "bool",
    "list": "list", "tuple": "list", "set": "list", "dict": "dict",
}  # fmt: skip
_WORDS = {"true": True, "false": False, "none": None, "null": None}


def inspectable(language: str) -> bool:
    """Tell whether papermill can read the parameters of a notebook in this language."""
    return language.lower() == "python"


def inspect(notebook: NotebookNode, kernel: str, language: str) -> list[Parameter]:
    """Return the parameters that the notebook declares, in their order; none without a tagged cell.

    A language that papermill cannot inspect gives none as well: ask `inspectable`.

    Raises `InvalidInput` for a tagged cell that is longer than a hundred thousand characters.
    """
    cell = _tagged(notebook)
    if cell is None or not inspectable(language):
        return []
    if len(cell.source) > _LONGEST_CELL:
        raise InvalidInput(
            f"the cell tagged `{TAG_PARAMETERS}` has {len(cell.source):,} characters, and {_LONGEST_CELL:,} "
            "are read; keep the parameters alone in it and move the rest to a cell of its own"
        )
    return [_parameter(found) for found in _found_in(notebook, cell, kernel, language)]


def kinds(notebook: NotebookNode) -> dict[str, Kind]:
    """Return what each parameter of a Python notebook takes; nothing for a cell that cannot be read."""
    cell = _tagged(notebook)
    if cell is None or len(cell.source) > _LONGEST_CELL or tree_of(cell.source) is None:
        return {}
    return {found.name: found.kind for found in _found_in(notebook, cell, "python3", "python")}


@dataclass(frozen=True)
class _Found:
    """An assignment of the `parameters` cell."""

    name: str
    kind: Kind
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
        said = annotation is not None or (commented is not None and commented.annotated)
        declared[name] = _Found(name, kind, said, default, source, value, help_text)
    return list(declared.values())


def _names(notebook: NotebookNode, tagged: NotebookNode) -> Names:
    """Return what names stand for in the tagged cell, by the cells down to it."""
    sources, room = [], _LONGEST_CELL
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
    said = seen.inferred_type_name not in (None, "None", "NoneType")
    kind = spelled(seen.inferred_type_name, Names()) if said else ANYTHING
    return _Found(seen.name, replace(kind, maker=""), said, None, seen.default, help=seen.help)


def check(declared: list[Parameter], given: dict[str, Any]) -> dict[str, Any]:
    """Return `given` when it fits what is declared, dates and their like in one spelling.

    Raises `InvalidInput` naming the parameter and what was expected, for an unknown name, a wrong type, a
    value that is none of the choices or is not JSON, or a required one that is missing.
    """
    by_name = {parameter.name: parameter for parameter in declared}
    checked: dict[str, Any] = {}
    check_json(given)
    for name, value in given.items():
        if name not in by_name:
            raise InvalidInput(_unknown(name, list(by_name)), parameter=name, known=list(by_name))
        checked[name] = _checked(by_name[name], value)
    for parameter in declared:
        if parameter.required and parameter.name not in given:
            wanted = f" (expected {_expected(parameter)})" if parameter.type or parameter.choices else ""
            raise InvalidInput(
                f"parameter {parameter.name!r} is required and was not given{wanted}",
                parameter=parameter.name,
            )
    return checked


def check_json(given: dict[str, Any]) -> None:
    """Raise `InvalidInput` unless names and values can be kept as JSON in UTF-8, in `MAX_BYTES` together.

    The bound is there because lists and pages show the parameters of each run.
    """
    total = 0
    for name, value in given.items():
        size = _json_size(name, value)
        total += size
        if total > MAX_BYTES:
            raise InvalidInput(
                f"parameter {name[:80]!r} has {size} bytes, and all together may have {MAX_BYTES}: keep what "
                "is larger in a file or an object store, and give its place",
                parameter=name[:80],
            )


def _json_size(name: str, value: Any) -> int:
    try:
        return len(json.dumps({name: value}, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        reason = "it holds half a character" if isinstance(error, UnicodeEncodeError) else str(error)
        raise InvalidInput(
            f"parameter {name!r} has a value that is not JSON: {reason}",
            parameter=name.encode(errors="replace").decode(),
        ) from error


def changed_parameters(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the names whose values differ; `1`, `1.0` and `True` do."""
    return [name for name in sorted({*before, *after}) if not _same(name, before, after)]


def _same(name: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
    return name in before and name in after and _canonical(before[name]) == _canonical(after[name])


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def parameters_hash(values: dict[str, Any]) -> str:
    """Return the hash that tells whether a run's parameters are the same."""
    return digest_of(json.dumps(values, sort_keys=True, ensure_ascii=False).encode(errors="replace"))


def parse(declared: list[Parameter], name: str, text: str) -> Any:
    """Return the value that `text` means for parameter `name` on a command line or in a form.

    Text for a declared `str` stays as it is, except that `None` is null where null may be given. What has
    choices is one of them. Any other is read as papermill's `-p` reads it: true, false, none, whole numbers,
    floats, and else text; lists and dicts where declared, as JSON or Python literals.
    """
    parameter = next((parameter for parameter in declared if parameter.name == name), None)
    kind = parameter.type if parameter else None
    if parameter is not None and parameter.nullable and text.strip().lower() in ("none", "null"):
        return None
    if parameter is not None and parameter.choices:
        return next((choice for choice in parameter.choices if _typed(choice) == text), text)
    if kind == "str" or kind in _SPELLED:
        return text
    if kind in ("list", "dict"):
        return _container(name, kind, text)
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for number in (int, float):
        try:
            value = number(text)
        except ValueError:
            continue
        return float(value) if kind == "float" else value
    return text


def _typed(choice: Any) -> str:
    """Return a choice as a person types it."""
    return choice if isinstance(choice, str) else str(choice)


def _container(name: str, kind: str, text: str) -> Any:
    for read_text in (json.loads, ast.literal_eval):
        try:
            value = read_text(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return list(value) if isinstance(value, tuple | set) else value
    raise InvalidInput(f"parameter {name!r}: expected {kind}, got the text {_short(text)}", parameter=name)


def _assignments(
    tree: ast.Module, source: str
) -> list[tuple[str, ast.expr | None, ast.expr | None, str, str]]:
    """Return (name, annotation, default, its source, help) of a cell's plain top-level assignments."""
    found: list[tuple[str, ast.expr | None, ast.expr | None, str, str]] = []
    comments, lines = _comments(source), _lines(source)
    for node in tree.body:
        # papermill's pattern skips a bare annotation and gives its comment to the parameter above it.
        places = range(node.end_lineno or node.lineno, node.lineno - 1, -1)
        told = next((comments[line] for line in places if line in comments), "")
        if isinstance(node, ast.Assign):
            value = _text(lines, node.value)
            found += [
                (target.id, None, node.value, value, told)
                for target in node.targets
                if isinstance(target, ast.Name)
            ]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            default = _text(lines, node.value) if node.value else ""
            found.append((node.target.id, node.annotation, node.value, default, told))
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


def _checked(parameter: Parameter, value: Any) -> Any:
    """Return a value as it is kept. Raises `InvalidInput` for one that does not fit."""
    if value is None and parameter.nullable:
        return value
    if parameter.secret and value == GONE:
        raise InvalidInput(
            f"parameter {parameter.name!r} is secret, and its value is not kept here; give it again",
            parameter=parameter.name,
        )
    if parameter.choices:
        if not any(_canonical(value) == _canonical(choice) for choice in parameter.choices):
            raise _misfit(parameter, value)
        return value
    if parameter.type in _SPELLED:
        try:
            return read(parameter.type, value)
        except (ValueError, TypeError) as error:
            raise _misfit(parameter, value) from error
    if parameter.type is not None and not _is_a(parameter.type, value):
        raise _misfit(parameter, value)
    if parameter.type == "list" and parameter.items is not None:
        return [_item(parameter, at, item) for at, item in enumerate(value)]
    return value


def _item(parameter: Parameter, at: int, value: Any) -> Any:
    kind = str(parameter.items)
    try:
        if kind in _SPELLED:
            return read(kind, value)
    except (ValueError, TypeError):
        pass
    else:
        if _is_a(kind, value):
            return value
    raise InvalidInput(
        f"parameter {parameter.name!r}, item {at}: expected {_SPELLED.get(kind, kind)}, "
        f"got {_got(parameter, value)}",
        parameter=parameter.name,
        expected=kind,
        got=_kind_of(value),
    )


def _is_a(kind: str, value: Any) -> bool:
    return isinstance(value, _PYTHON_TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))


def _misfit(parameter: Parameter, value: Any) -> InvalidInput:
    return InvalidInput(
        f"parameter {parameter.name!r}: expected {_expected(parameter)}, got {_got(parameter, value)}",
        parameter=parameter.name,
        expected=_expected(parameter),
        got=_kind_of(value),
    )


def _expected(parameter: Parameter) -> str:
    """Return what a parameter takes, in words."""
    words = _SPELLED.get(parameter.type or "", parameter.type or "a value")
    if parameter.choices:
        words = f"one of {', '.join(map(_typed, parameter.choices))}"
    return f"{words}, or None" if parameter.nullable and parameter.choices else words


def _got(parameter: Parameter, value: Any) -> str:
    if value is None:
        return "None"
    return f"{_kind_of(value)} {GONE if parameter.secret else _short(value)}"


def _kind_of(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:59] + "…"


def _unknown(name: str, known: list[str]) -> str:
    if not known:
        return f"unknown parameter {name!r}: the notebook declares none (tag a cell `{TAG_PARAMETERS}`)"
    close = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {', '.join(close)}?" if close else f"it has {', '.join(known)}"
    return f"unknown parameter {name!r}: {hint}"
