"""Imports point one way: hub, server and widgets → jobs → kernels; nothing goes in circles."""

from __future__ import annotations

import ast
import subprocess
from collections import Counter
from graphlib import CycleError, TopologicalSorter

import pytest

from support.faces import ALL, FACES, MAX_FACE
from support.room_tables import module_table, room_table
from support.rooms import ROOMS
from support.sources import PARTS, ROOT, Module, modules

ARROWS: dict[str, set[str]] = {
    "respawn_hub": {"respawn_jobs", "respawn_kernels"},
    "respawn_server": {"respawn_environments", "respawn_jobs", "respawn_kernels"},
    "respawn_widgets": {"respawn_jobs", "respawn_kernels"},
    "respawn_jobs": {"respawn_environments", "respawn_kernels"},
    "respawn_environments": {"respawn_kernels"},
    "respawn_kernels": set(),
    "respawn": {"respawn_kernels", "respawn_widgets"},
}


def test_every_part_has_its_arrows() -> None:
    assert ARROWS.keys() == PARTS.keys()
    for part in PARTS:
        assert modules(part), part


@pytest.mark.parametrize("part", PARTS)
def test_part_imports_only_what_its_arrows_allow(part: str) -> None:
    wrong = [
        f"{module.name} imports {name}"
        for module in modules(part)
        for name in sorted(module.imports())
        if (other := name.partition(".")[0]) in PARTS and other != part and other not in ARROWS[part]
    ]
    assert not wrong


CHECKED: tuple[str, ...] = ("respawn_hub", "respawn_jobs", "respawn_kernels")
"""The packages whose rooms keep to their table."""
EXTENSIONS = {("respawn_kernels", "respawn_kernels.debug.magics")}
"""What a root imports when IPython loads it as an extension (`%load_ext respawn_kernels`)."""
LARGEST_ROOM = 20
MAX_FILE_LINES = 400
LONG_FILES = {"papermill_jobs/respawn_jobs/store/migrations/versions/v0001_first_tables.py"}
"""All tables in the order in which a database needs them."""
PAGE = ROOT / "docs" / "architecture.md"


def _room(module: Module) -> str:
    """Return the room that a module lies in: its package, without the name of the part."""
    name = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
    return name.partition(".")[2]


@pytest.mark.parametrize("part", CHECKED)
def test_rooms_import_only_what_their_arrows_allow(part: str) -> None:
    found = {module.name: module for module in modules(part)}
    wrong = [
        f"{module.name} imports {name}"
        for module in found.values()
        for name in sorted(module.imported_modules(found))
        if _room(found[name]) not in {_room(module), *ROOMS[part][_room(module)]}
        and (module.name, name) not in EXTENSIONS
    ]
    assert not wrong


@pytest.mark.parametrize("part", CHECKED)
def test_every_room_has_its_arrows_and_says_what_it_is(part: str) -> None:
    rooms = {_room(module): module for module in modules(part)}
    assert rooms.keys() == ROOMS[part].keys()
    assert all(ast.get_docstring(m.tree) for m in modules(part) if m.path.name == "__init__.py")


@pytest.mark.parametrize("part", sorted(PARTS.keys() - {"respawn"}))
def test_the_page_of_the_architecture_has_each_module_without_a_room(part: str) -> None:
    shown = set(PAGE.read_text().splitlines())
    missing = [line for line in module_table(part).splitlines() if line not in shown]
    assert not missing, "put what `python -m support.room_tables` prints into the page"


@pytest.mark.parametrize("part", ROOMS)
def test_the_page_of_the_architecture_has_the_rooms_as_they_call_themselves(part: str) -> None:
    shown = set(PAGE.read_text().splitlines())
    missing = [line for line in room_table(part).splitlines() if line not in shown]
    assert not missing, "put what `python -m support.room_tables` prints into the page"


@pytest.mark.parametrize("part", FACES)
def test_a_room_is_seen_by_its_face_alone_and_a_face_has_nothing_that_nobody_sees(part: str) -> None:
    found = {module.name: module for module in modules(part)}
    seen: dict[str, set[str]] = {room: set() for room in FACES[part]}
    for module in (module for other in PARTS for module in modules(other)):
        for name in module.imported_modules(found):
            room = _room(found[name])
            if room and (module.part != part or _room(module) != room):
                seen[room].add(name.rpartition(".")[2] if found[name].path.name != "__init__.py" else ".")
    faces = {room: face for room, face in FACES[part].items() if face is not ALL}
    assert {room: seen[room] for room in faces} == faces
    assert FACES[part].keys() == ROOMS[part].keys() - {""}
    assert all(len(face) <= MAX_FACE for face in faces.values())


@pytest.mark.parametrize("part", ROOMS)
def test_arrows_between_rooms_go_in_no_circle(part: str) -> None:
    try:
        list(TopologicalSorter(ROOMS[part]).static_order())
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


@pytest.mark.parametrize("part", PARTS)
def test_no_room_is_too_full_to_be_found_through(part: str) -> None:
    found = (module for module in modules(part) if module.path.name != "__init__.py")
    rooms = Counter(_room(module) for module in found if "migrations" not in module.name)
    assert not {room: size for room, size in rooms.items() if size > LARGEST_ROOM}


def test_no_file_is_too_long_to_be_one_idea() -> None:
    named = subprocess.run(["git", "ls-files", "-z", "*.py"], cwd=ROOT, check=True, capture_output=True)
    paths = [ROOT / name for name in named.stdout.decode().split("\0") if name and name not in LONG_FILES]
    lengths = {path: path.read_text().count("\n") for path in paths if path.exists()}
    assert lengths
    assert not {path: length for path, length in lengths.items() if length > MAX_FILE_LINES}


def test_tests_wait_for_conditions_and_sleep_in_one_place_alone() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}, line {node.lineno}"
        for path in (ROOT / "tests").rglob("*.py")
        if path != ROOT / "tests" / "support" / "waiting.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep"
    ]
    assert not wrong


def test_class_names_are_unique_in_the_tree() -> None:
    named = [
        (node.name, module.name)
        for part in PARTS
        for module in modules(part)
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    times = Counter(name for name, _ in named)
    assert not sorted(f"{name} in {module}" for name, module in named if times[name] > 1)


@pytest.mark.parametrize("part", PARTS)
def test_loading_a_part_never_goes_in_a_circle(part: str) -> None:
    found = {module.name: module for module in modules(part)}
    graph = {name: module.imported_modules(found, when_loaded=True) for name, module in found.items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_tests_and_tools_are_not_imported_by_the_product() -> None:
    wrong = [
        f"{module.name} imports {name}"
        for part in PARTS
        for module in modules(part)
        for name in module.imports()
        if name.partition(".")[0] in {"tests", "support", "benchmarks", "examples", "pytest"}
    ]
    assert not wrong


def test_no_source_root_is_a_package() -> None:
    """A bare `kernels` package would break the Hugging Face one in users' environments."""
    packages = [path.parent.name for path in ROOT.glob("*/__init__.py")]
    assert not packages


def test_kernels_fork_by_what_passes_over_handlers_of_others() -> None:
    wrong = [
        f"{module.name}, line {node.lineno}"
        for module in modules("respawn_kernels")
        if module.name != "respawn_kernels.host.forking"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.fork", "os.forkpty", "posix.fork")
    ]
    assert not wrong, "call respawn_kernels.host.forking.fork: a handler of the notebook must not hear of it"
