"""Which names a sequence of Python cells reads that something before it must have made.

Read from the syntax tree, nothing is executed. A function's body counts when the function is read (called,
passed on), not when it is defined, and functions that earlier cells defined count in the same way. What it
cannot see: names read through `globals()`, strings of code, and the methods of objects that were made before.
A name that is assigned on some path counts as assigned. Where it cannot tell what code does, as with most
magics, every word counts as read: better one question too many.
"""

from __future__ import annotations

import ast
import keyword
import re
import symtable

from respawn_jobs.dataflow.interpreter.ipython_source import LOOK, parsed
from respawn_jobs.dataflow.interpreter.trace import Opaque

_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_EXPANDED = re.compile(r"\{[^{}]*\}|\$\w+")
"""What IPython puts into a shell line from the namespace."""
_ASSIGNS_ELSEWHERE = re.compile(r"^\s*%timeit\b", re.MULTILINE)
_RUNS_AS_IT_IS = ("%%time", "%%capture", "%%prun", "%time", "%prun")
"""Magics that run Python in the namespace, so that what it assigns is there afterwards."""
_OTHER_LANGUAGES = (
    *("%%bash", "%%sh", "%%script", "%%cmd", "%%perl", "%%ruby", "%%html", "%%HTML", "%%svg", "%%SVG"),
    *("%%javascript", "%%js", "%%latex", "%%markdown", "%%writefile", "%%file"),
)
"""Cell magics whose body the kernel neither runs nor fills in."""
_TOO_MUCH = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What the compiler says to code that is wrong or nested too deeply."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Reads(ast.NodeVisitor):
    """Follows cells in the order in which they run, remembering what they assign and define."""

    def __init__(self) -> None:
        self._assigned: set[str] = set()
        self._bodies: dict[str, set[str]] = {}
        self._found: set[str] = set()

    def define(self, source: str) -> None:
        """Learn the functions and classes of a cell that does not run again."""
        tree = _parsed(source)
        for node in tree.body if tree else []:
            if isinstance(node, _Function | ast.ClassDef):
                self._bodies[node.name] = _globals_of(node)
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self._bodies.pop(target.id, None)
                        if isinstance(node.value, ast.Lambda):
                            self._bodies[target.id] = _globals_of(node)

    def cell(self, source: str) -> set[str]:
        """Follow the next cell and return the names that it reads from before the sequence.

        A cell that is no Python reads every word in it.
        """
        self._found = set()
        assigned = set(self._assigned)
        tree = _parsed(source)
        try:
            if tree is not None:
                self.visit(tree)
        except _TOO_MUCH:
            tree = None
        magic = source.split(maxsplit=1)[0] if source.strip() else ""
        if tree is None or (magic.startswith("%%") and magic not in _RUNS_AS_IT_IS):
            self._assigned = assigned
        if tree is None:
            for name in _IDENTIFIER.findall(source):
                self._read(name)
        return self._found

    def _read(self, name: str) -> None:
        waiting, seen = [name], set[str]()
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            if current not in self._assigned:
                self._found.add(current)
            waiting += self._bodies.get(current, ())

    def _assign(self, name: str) -> None:
        self._assigned.add(name)
        self._bodies.pop(name, None)

    def visit_Name(self, node: ast.Name) -> None:
        """Count a name as read or assigned."""
        if isinstance(node.ctx, ast.Store):
            self._assign(node.id)
        elif not node.id.startswith("%"):  # a magic
            self._read(node.id)

    def visit_Call(self, node: ast.Call) -> None:
        """Pass over magics that only describe what a name stands for."""
        if not (isinstance(node.func, ast.Name) and node.func.id == f"%{LOOK}"):
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        """See the value before the targets; a lambda with a name is a function."""
        self._value(node.value)
        for target in node.targets:
            self.visit(target)
            if isinstance(node.value, ast.Lambda) and isinstance(target, ast.Name):
                self._bodies[target.id] = _globals_of(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """See the value before the target; a bare annotation assigns nothing."""
        if node.value is not None:
            self._value(node.value)
            self.visit(node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """See that the target is read as well."""
        if isinstance(node.target, ast.Name):
            self._read(node.target.id)
        self.visit(node.value)
        self.visit(node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """See the value before the target."""
        self.visit(node.value)
        self.visit(node.target)

    def visit_For(self, node: ast.For) -> None:
        """See the iterable before the target."""
        for part in (node.iter, node.target, *node.body, *node.orelse):
            self.visit(part)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Remember the body for when the function is read; decorators and defaults are read now."""
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """As for other functions."""
        self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Run the body in a scope of its own; methods are read when the class is."""
        for part in (*node.decorator_list, *node.bases, *(given.value for given in node.keywords)):
            self.visit(part)
        assigned, bodies = set(self._assigned), dict(self._bodies)
        for statement in node.body:
            self.visit(statement)
        self._assigned, self._bodies = assigned, bodies
        self._assign(node.name)
        self._bodies[node.name] = _globals_of(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Count a lambda without a name as called at once."""
        for name in _globals_of(ast.Expr(node)):
            self._read(name)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        """Give the loop's names their own scope."""
        self._comprehension(node.generators, [node.elt])

    def visit_SetComp(self, node: ast.SetComp) -> None:
        """Give the loop's names their own scope."""
        self._comprehension(node.generators, [node.elt])

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        """Give the loop's names their own scope; count it as consumed at once."""
        self._comprehension(node.generators, [node.elt])

    def visit_DictComp(self, node: ast.DictComp) -> None:
        """Give the loop's names their own scope."""
        self._comprehension(node.generators, [node.key, node.value])

    def visit_alias(self, node: ast.alias) -> None:
        """Count what an import binds."""
        self._assign(node.asname or node.name.partition(".")[0])

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        """Count the name of a caught exception as assigned."""
        if node.name:
            self._assign(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        """Count what a pattern captures."""
        if node.name:
            self._assign(node.name)
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        """Count what a pattern captures."""
        if node.name:
            self._assign(node.name)

    def _value(self, node: ast.expr) -> None:
        if not isinstance(node, ast.Lambda):
            self.visit(node)

    def _function(self, node: _Function) -> None:
        arguments = node.args
        now = [*node.decorator_list, *arguments.defaults, *(d for d in arguments.kw_defaults if d)]
        for part in now:
            self.visit(part)
        self._assign(node.name)
        self._bodies[node.name] = _globals_of(node)

    def _comprehension(self, generators: list[ast.comprehension], parts: list[ast.expr]) -> None:
        assigned, bodies = set(self._assigned), dict(self._bodies)
        for generator in generators:
            self.visit(generator.iter)
            self.visit(generator.target)
            for condition in generator.ifs:
                self.visit(condition)
        for part in parts:
            self.visit(part)
        self._assigned, self._bodies = assigned, bodies


def _parsed(source: str) -> ast.Module | None:
    """Parse a cell, with what its magics and shell lines read in their place; None when it is no Python."""
    if not _ASSIGNS_ELSEWHERE.search(source):
        try:
            return parsed(source)
        except Opaque:
            pass
    lines = source.strip().splitlines()
    if lines and lines[0].startswith("%%"):
        magic, _, options = lines[0].partition(" ")
        lines = [_words(options), *([] if magic in _OTHER_LANGUAGES else lines[1:])]
    return _tree("\n".join(_without_magic(line) for line in lines))


def _tree(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except _TOO_MUCH:
        return None


def _without_magic(line: str) -> str:
    """Return Python that reads what a line with a magic reads; a line of Python as it is."""
    stripped = line.lstrip()
    indent = line[: len(line) - len(stripped)]
    assigned = re.match(r"([\w\s,]+=)\s*([!%].*)", stripped)
    if assigned is not None:
        return f"{indent}{assigned[1]} {_words(_filled_in(assigned[2]))}"
    if stripped.startswith("?"):
        return f"{indent}pass"
    if stripped.startswith(("%", "!")):
        magic, _, rest = stripped.partition(" ")
        if magic in _RUNS_AS_IT_IS and _tree(rest) is not None:
            return indent + (rest.strip() or "pass")
        return indent + _words(_filled_in(stripped))
    return line if not stripped.endswith("?") or "#" in stripped else f"{indent}pass"


def _filled_in(command: str) -> str:
    return command if command.startswith("%") else " ".join(_EXPANDED.findall(command))


def _words(text: str) -> str:
    """Return a tuple, as Python, of all names in a text."""
    names = [name for name in _IDENTIFIER.findall(text) if not keyword.iskeyword(name)]
    return f"({' '.join(f'{name},' for name in names)})"


def _globals_of(node: ast.stmt) -> set[str]:
    """Return the global names that the functions inside a statement read."""
    names: set[str] = set()
    try:
        waiting = symtable.symtable(ast.unparse(node), "<cell>", "exec").get_children()
    except _TOO_MUCH:
        return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    while waiting:
        table = waiting.pop()
        names |= {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
        waiting += table.get_children()
    return names
