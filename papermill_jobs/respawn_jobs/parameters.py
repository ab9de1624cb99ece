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
from typing import TYPE_CHECKING, Any

from respawn_jobs.errors import InvalidInput
from respawn_jobs.models import Parameter
from respawn_jobs.notebooks import TAG_PARAMETERS, cell_tags, code_cells
from respawn_kernels.digest import digest_of
from respawn_kernels.syntax import tree_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

_LONGEST_CELL = 100_000
"""Characters of a tagged cell: reading it takes time for each."""
_BLANKS = re.compile(r"[ \t\f\v]{9,}")
_TYPES = {
    "int": "int", "integer": "int",
    "float": "float", "double": "float",
    "str": "str", "string": "str",
    "bool": "bool", "boolean": "bool",
    "list": "list", "tuple": "list", "set": "list", "sequence": "list",
    "dict": "dict", "mapping": "dict",
}  # fmt: skip
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}


def inspectable(language: str) -> bool:
    """Tell whether papermill can read the parameters of a notebook in this language."""
    return language.lower() == "python"


def inspect(notebook: NotebookNode, kernel: str, language: str) -> list[Parameter]:
    """Return the parameters that the notebook declares, in their order; none without a tagged cell.

    A language that papermill cannot inspect gives none as well: ask `inspectable`.

    Raises `InvalidInput` for a tagged cell that is longer than a hundred thousand characters.
    """
    cell = next((cell for _, cell in code_cells(notebook) if TAG_PARAMETERS in cell_tags(cell)), None)
    if cell is None or not inspectable(language):
        return []
    if len(cell.source) > _LONGEST_CELL:
        raise InvalidInput(
            f"the cell tagged `{TAG_PARAMETERS}` has {len(cell.source):,} characters, and {_LONGEST_CELL:,} "
            "are read; keep the parameters alone in it and move the rest to a cell of its own"
        )
    tree = tree_of(cell.source)
    found = {} if tree and "type:" not in cell.source else _seen_by_papermill(cell, kernel, language)
    if tree is None:
        return list(found.values())
    declared: dict[str, Parameter] = {}
    for name, annotation, default, help_text in _assignments(tree, cell.source):
        papermill_view = found.get(name)
        kind = annotation or (papermill_view.type if papermill_view else None)
        declared[name] = _declared(name, kind, default, help_text)
    return list(declared.values())


def _seen_by_papermill(cell: NotebookNode, kernel: str, language: str) -> dict[str, Parameter]:
    """Return what papermill's pattern makes of each line.

    The time that the pattern takes grows with the third power of a run of blanks.
    """
    from papermill.translators import papermill_translators

    short = {**cell, "source": _BLANKS.sub(" " * 8, cell.source)}
    return {
        seen.name: _declared(seen.name, seen.inferred_type_name, seen.default, seen.help)
        for seen in papermill_translators.find_translator(kernel, language).inspect(short)
    }


def check(declared: list[Parameter], given: dict[str, Any]) -> dict[str, Any]:
    """Return `given` when it fits what is declared.

    Raises `InvalidInput` naming the parameter and what was expected, for an unknown name, a wrong type, a
    value that is not JSON, or a required one that is missing.
    """
    by_name = {parameter.name: parameter for parameter in declared}
    for name, value in given.items():
        check_json(name, value)
        if name not in by_name:
            raise InvalidInput(_unknown(name, list(by_name)), parameter=name, known=list(by_name))
        _check_type(by_name[name], value)
    for parameter in declared:
        if parameter.required and parameter.name not in given:
            wanted = f" (expected {parameter.type})" if parameter.type else ""
            raise InvalidInput(
                f"parameter {parameter.name!r} is required and was not given{wanted}",
                parameter=parameter.name,
            )
    return dict(given)


def check_json(name: str, value: Any) -> None:
    """Raise `InvalidInput` unless the name and the value can be kept as JSON in UTF-8."""
    try:
        json.dumps({name: value}, allow_nan=False, ensure_ascii=False).encode()
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
    """Return the value that `text` means for parameter `name` on a command line.

    Text for a declared `str` stays as it is; any other is read as papermill's `-p` reads it: true, false,
    none, whole numbers, floats, and else text; lists and dicts where declared, as JSON or Python literals.
    """
    parameter = next((parameter for parameter in declared if parameter.name == name), None)
    kind = parameter.type if parameter else None
    if kind == "str":
        return text
    if kind in ("list", "dict"):
        return _container(name, kind, text)
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _container(name: str, kind: str, text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return list(value) if isinstance(value, tuple) else value
    raise InvalidInput(f"parameter {name!r}: expected {kind}, got the text {text!r}", parameter=name)


def _assignments(tree: ast.Module, source: str) -> list[tuple[str, str | None, str, str]]:
    """Return (name, annotation, source of the default, help) of a cell's plain top-level assignments."""
    found: list[tuple[str, str | None, str, str]] = []
    comments, lines = _comments(source), _lines(source)
    for node in tree.body:
        # papermill's pattern skips a bare annotation and gives its comment to the parameter above it.
        places = range(node.end_lineno or node.lineno, node.lineno - 1, -1)
        told = next((comments[line] for line in places if line in comments), "")
        if isinstance(node, ast.Assign):
            value = _text(lines, node.value)
            found += [
                (target.id, None, value, told) for target in node.targets if isinstance(target, ast.Name)
            ]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            default = _text(lines, node.value) if node.value else ""
            found.append((node.target.id, ast.unparse(node.annotation), default, told))
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


def _declared(name: str, annotation: str | None, default_source: str, help_text: str) -> Parameter:
    annotation = None if annotation in (None, "None", "NoneType") else annotation
    optional = annotation is not None and _is_optional(annotation)
    kind = _normal_type(annotation) if annotation else None
    try:
        literal = ast.literal_eval(default_source) if default_source else None
        default = json.loads(json.dumps(literal, allow_nan=False))
        known = bool(default_source)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        default, known = None, False
    if annotation is None and known and default is not None:
        kind = _normal_type(type(literal).__name__)
    bare = not default_source
    required = bare or (known and default is None and annotation is not None and not optional)
    return Parameter(
        name=name,
        type=kind,
        default=default,
        default_source=default_source,
        required=required,
        nullable=optional or (known and default is None and not required),
        help=help_text,
    )


def _is_optional(annotation: str) -> bool:
    text = annotation.strip("\"' ").replace(" ", "")
    return "Optional[" in text or "None" in text.split("|") or ",None" in text or text == "Any"


def _normal_type(annotation: str) -> str | None:
    """Return int, float, str, bool, list or dict for a spelled type; None when it is another or several."""
    text = annotation.strip("\"' ").replace(" ", "").removeprefix("typing.")
    if text.startswith("Optional[") and text.endswith("]"):
        text = text.removeprefix("Optional[").removesuffix("]")
    choices = [choice for choice in text.split("|") if choice != "None"] if "[" not in text else [text]
    if "[" in text and text.endswith("|None"):
        choices = [text.removesuffix("|None")]
    if len(choices) != 1:
        return None
    return _TYPES.get(choices[0].partition("[")[0].lower())


def _check_type(parameter: Parameter, value: Any) -> None:
    expected = parameter.type
    if expected is None or (value is None and parameter.nullable):
        return
    if isinstance(value, _PYTHON_TYPES[expected]) and (expected == "bool" or not isinstance(value, bool)):
        return
    raise InvalidInput(
        f"parameter {parameter.name!r}: expected {expected}, got {_kind_of(value)} {_short(value)}",
        parameter=parameter.name,
        expected=expected,
        got=_kind_of(value),
    )


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
