r"""Stories: small independent pieces of notebooks, and the files that hold them.

A file holds the stories of one kind. Its lines mean:

    @ name | flag flag     a story begins; flags: `opaque`, `once`, `py312`, `lost` (papermill alone keeps it)
    %%                     the next cell of the story; `# tags: a b` as its first line gives it tags
    ? expression           an observation, made at the notebook's end
    ! old -> new           an edit of the first cell that has `old`; `\n` is a new line
    # …                    before the first story: what the file is about

Everything else is a line of a cell. Names that begin with `q_` are made the story's own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PLACE = Path(__file__).parent
_OWN = re.compile(r"\bq_")
_WORD = re.compile(r"\w+")
_HEAVY = frozenset(
    [
        "sklearn",
        "scipy",
        "statsmodels",
        "patsy",
        "lightgbm",
        "dask",
        "matplotlib",
        "networkx",
        "nltk",
        "torch",
        "PIL",
    ]
)
_TABLES = frozenset(["pandas", "polars", "numpy", "pyarrow", "joblib", "pd", "np", "pl"])
_TIED = re.compile(
    r"\byield\b|\biter\(|\bmap\(lambda|\bzip\(|iterrows|itertools|weakref|sqlite3|threading|asyncio"
    r"|Thread|socket|Popen|compressobj|hashlib|Mock|Pool|Lock|queue\.|shared_memory|memmap|mmap|selectors|nditer"
    r"|open\('q_lines|q_f = open|register_at_fork|contextvars|ExitStack|scandir|zipfile|TemporaryDirectory"
    r"|ctypes|memoryview|np\.load|stdout|create_function|_ArrayFunction|np\.median"
)
_MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


@dataclass(frozen=True)
class Story:
    """One independent piece of a notebook."""

    kind: str
    name: str
    cells: tuple[str, ...]
    observations: tuple[str, ...] = ()
    edits: tuple[tuple[str, str], ...] = ()
    flags: frozenset[str] = frozenset()
    prefix: str = "q_"

    @property
    def title(self) -> str:
        """Return what the story is called, with its kind."""
        return f"{self.kind}: {self.name}"

    @property
    def family(self) -> str:
        """Return which libraries it loads: none, those for tables, or many."""
        words = set(_WORD.findall("\n".join(self.cells)))
        return "many" if words & _HEAVY else "tables" if words & _TABLES else "none"

    @property
    def tied(self) -> bool:
        """Return whether it may hold what no state can: then a retry starts over and proves little."""
        return _TIED.search("\n".join(self.cells)) is not None

    def named(self, prefix: str) -> Story:
        """Return the story with names of its own."""

        def own(text: str) -> str:
            return _OWN.sub(prefix, text)

        return Story(
            self.kind,
            self.name,
            tuple(map(own, self.cells)),
            tuple(map(own, self.observations)),
            tuple((own(old), own(new)) for old, new in self.edits),
            self.flags,
            prefix,
        )

    def edited(self, edit: tuple[str, str]) -> Story:
        """Return the story after one of its edits."""
        cells = list(self.cells)
        place = self.edit_place(edit)
        cells[place] = cells[place].replace(edit[0], edit[1], 1)
        return Story(self.kind, self.name, tuple(cells), self.observations, (), self.flags, self.prefix)

    def edit_place(self, edit: tuple[str, str]) -> int:
        """Return which of its cells an edit changes."""
        return next(place for place, cell in enumerate(self.cells) if edit[0] in cell)

    def names(self) -> list[str]:
        """Return the names with the story's prefix that its cells bind, in order."""
        found: dict[str, None] = {}
        for cell in (*self.cells, *(new for _, new in self.edits)):
            for name in _bound(cell):
                if name.startswith(self.prefix):
                    found[name] = None
        return list(found)


@dataclass
class _Draft:
    name: str
    flags: frozenset[str]
    cells: list[list[str]] = field(default_factory=lambda: [[]])
    observations: list[str] = field(default_factory=list)
    edits: list[tuple[str, str]] = field(default_factory=list)

    def finish(self, kind: str) -> Story:
        cells = tuple("\n".join(lines).strip("\n") for lines in self.cells)
        story = Story(kind, self.name, cells, tuple(self.observations), tuple(self.edits), self.flags)
        for old, new in self.edits:
            if not any(old in cell for cell in cells):
                raise ValueError(f"{story.title}: no cell has {old!r}, which the edit to {new!r} replaces")
        return story


def read(path: Path) -> Iterator[Story]:
    """Read the stories of a file.

    Raises:
        ValueError: an edit finds no cell; it names the story.
    """
    kind = path.stem.replace("_", " ")
    draft: _Draft | None = None
    for line in path.read_text().splitlines():
        if line.startswith("@ "):
            if draft is not None:
                yield draft.finish(kind)
            name, _, flags = line[2:].partition(" | ")
            draft = _Draft(name.strip(), frozenset(flags.split()))
        elif draft is None:
            continue
        elif line == "%%":
            draft.cells.append([])
        elif line.startswith("? "):
            draft.observations.append(line[2:])
        elif line.startswith("! ") and " -> " in line:
            old, _, new = line[2:].partition(" -> ")
            draft.edits.append((old.replace("\\n", "\n"), new.replace("\\n", "\n")))
        else:
            draft.cells[-1].append(line)
    if draft is not None:
        yield draft.finish(kind)


def library() -> list[Story]:
    """Return the stories of all kinds, in the order of their files."""
    return [story for path in sorted((PLACE / "snippets").glob("*.txt")) for story in read(path)]


def hostile() -> list[Story]:
    """Return the notebooks that were made by hand to break a resume."""
    return [story for path in sorted((PLACE / "hostile").glob("*.txt")) for story in read(path)]


def _bound(cell: str) -> Iterator[str]:
    try:
        tree = ast.parse(cell)
    except SyntaxError:
        try:
            tree = ast.parse(_MAGIC.sub("pass", cell))
        except SyntaxError:
            return
    for node in _outside_functions(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.Global):
            yield from node.names


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Walk over what binds names of the module; `global` statements are looked for everywhere."""
    for child in ast.iter_child_nodes(node):
        yield child
        if isinstance(
            child,
            (
                ast.FunctionDef,
                ast.AsyncFunctionDef,
                ast.ClassDef,
                ast.Lambda,
                ast.ListComp,
                ast.GeneratorExp,
                ast.SetComp,
                ast.DictComp,
            ),
        ):
            yield from (one for one in ast.walk(child) if isinstance(one, ast.Global))
        else:
            yield from _outside_functions(child)
