"""Cells as Python: what IPython makes of magics and shell lines, as far as that is known.

IPython's own transformation tells what is a magic and what lies in a text. What it makes of them are calls
of the shell; these become calls of names that start with `%`, which `magics` executes, or the code that a
magic runs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any, cast

from respawn_jobs.dataflow.interpreter.trace import Opaque

_TOO_MUCH = (SyntaxError, ValueError, RecursionError, MemoryError)
_RUNNING = frozenset(["time", "timeit", "prun"])
"""Magics that run Python in the namespace."""
_QUIET = frozenset(["lsmagic", "quickref", "page", "pwd", "pylab_quiet"])
"""Line magics that change nothing and depend on nothing that cells share."""
_LOOKING = frozenset(["pinfo", "pinfo2", "pdoc", "psource", "pfile", "pdef"])
LOOK = "look"
"""What a magic that only describes an object becomes a call of, after the `%`."""
_SETTING = frozenset(["config", "precision", "pprint", "xmode", "colors", "matplotlib"])
_FILES = frozenset(["ls", "ll", "cat", "mkdir", "rmdir", "rm", "cp", "mv", "sx", "system"])
"""Line magics that are commands of the shell."""
_LANGUAGES = frozenset(["bash", "sh", "script", "cmd", "perl", "ruby"])
_SHOWN = frozenset(["html", "HTML", "svg", "SVG", "javascript", "js", "latex", "markdown"])
_EXPANDED = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})|\$\{?(\w+)")
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
    from IPython.core.inputtransformer2 import TransformerManager  # slow to import, and few cells need it

    try:
        manager: Any = TransformerManager
        tree = _Magics().visit(ast.parse(manager().transform_cell(source)))
        return cast(ast.Module, ast.fix_missing_locations(tree))
    except _TOO_MUCH as error:
        raise Opaque("it is not Python") from error


class _Magics(ast.NodeTransformer):
    """Puts Python in the place of calls of the shell."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        """Translate a magic or a command that stands alone."""
        called = _shell_call(node.value)
        if called is None:
            return self.generic_visit(node)
        method, arguments = called
        if method == "run_line_magic":
            return _line_magic(arguments[0], arguments[1])
        if method == "run_cell_magic":
            return _cell_magic(*arguments)
        return [ast.Expr(_command(arguments[0]))]

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Translate a magic or a command whose result is used."""
        called = _shell_call(node)
        if called is None:
            return self.generic_visit(node)
        method, arguments = called
        if method in ("system", "getoutput"):
            return _command(arguments[0])
        found = _line_magic(arguments[0], arguments[1]) if method == "run_line_magic" else []
        if len(found) == 1 and isinstance(found[0], ast.Expr):
            return found[0].value
        raise Opaque(f"it uses what %{arguments[0]} gives")


def _shell_call(node: ast.expr) -> tuple[str, list[str]] | None:
    """Return the method and the arguments of a call that IPython's transformation has made."""
    if not (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Call)
        and isinstance(node.func.value.func, ast.Name)
        and node.func.value.func.id == "get_ipython"
        and node.func.attr in ("run_line_magic", "run_cell_magic", "system", "getoutput")
    ):
        return None
    texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    needed = {"run_line_magic": 2, "run_cell_magic": 3}.get(node.func.attr, 1)
    return (node.func.attr, texts) if len(texts) == len(node.args) == needed else None


def _special(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(f"%{name}", ast.Load()), list(arguments), [])


def _line_magic(name: str, line: str) -> list[ast.stmt]:
    if name in _RUNNING:
        return _run(re.sub(r"^(-\w+\s+(\d+\s+)?)*", "", line.strip()), perhaps=True)
    if name in _QUIET:
        return [ast.Pass()]
    if name in _LOOKING:
        return [ast.Expr(_special(LOOK, _names(line)))]
    if name in _FILES:
        return [ast.Expr(_command(f"{name} {line}"))]
    if name in ("cd", "pushd", "popd", "env", "set_env") or name in _SETTING:
        language = _LANGUAGE_OF_STATE.get(name, "config")
        return [ast.Expr(_special(language, ast.Constant(f"{name} {line}"), *_filled_in(line)))]
    if name in ("who", "whos", "who_ls"):
        return [ast.Expr(_special("who"))]
    raise Opaque(f"it uses %{name}")


_LANGUAGE_OF_STATE = {
    "cd": "cd",
    "pushd": "cd",
    "popd": "cd",
    "env": "env",
    "set_env": "env",
}


def _cell_magic(name: str, line: str, body: str) -> list[ast.stmt]:
    if name in ("time", "prun", "capture"):
        words = [word for word in line.split() if _NAME.fullmatch(word)] if name == "capture" else []
        made = [
            ast.Assign([ast.Name(word, ast.Store())], ast.Call(ast.Name("object", ast.Load()), [], []))
            for word in words
        ]
        first = _run(line, perhaps=False) if name == "time" and _is_code(line) else []
        return [*made, *first, *_run(body, perhaps=False)]
    if name in ("writefile", "file"):
        append, path = line.strip().startswith("-a"), line.strip().removeprefix("-a").strip()
        filled = _filled_in(path)
        where = [] if filled else [ast.Constant(path.strip("'\""))]
        return [ast.Expr(_special("appendfile" if append else "writefile", *where, *filled))]
    if name in _SHOWN:
        return [ast.Expr(_special("show", *_filled_in(line)))]
    if name in _LANGUAGES:
        if any(option in line for option in ("--out", "--err", "--proc", "--bg")):
            raise Opaque(f"it uses %%{name}")
        return [ast.Expr(_command(f"{line}\n{body}", fill=line))]
    raise Opaque(f"it uses %%{name}")


def _is_code(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith("-")


def _run(code: str, *, perhaps: bool) -> list[ast.stmt]:
    """Return the statements of code that a magic runs; with `perhaps`, they may not be run for sure."""
    statements = parsed(code).body
    if not statements:
        return [ast.Pass()]
    return [ast.If(ast.Name("__name__", ast.Load()), statements, [])] if perhaps else statements


def _command(command: str, fill: str | None = None) -> ast.expr:
    """Return Python that does what a command of the shell may do to what cells share."""
    if re.search(r"\b(pip|conda|mamba|uv)\b", command):
        raise Opaque("it installs packages")
    return _special("shell", *_filled_in(command if fill is None else fill))


def _filled_in(text: str) -> Sequence[ast.expr]:
    """Return the expressions that IPython fills a text in with."""
    found: list[ast.expr] = []
    for expression, name in _EXPANDED.findall(text):
        try:
            found.append(ast.parse((name or expression).partition(":")[0].strip(), mode="eval").body)
        except _TOO_MUCH:
            found.append(_names(expression))
    return found


def _names(text: str) -> ast.expr:
    return ast.Tuple([ast.Name(name, ast.Load()) for name in _NAME.findall(text)], ast.Load())
