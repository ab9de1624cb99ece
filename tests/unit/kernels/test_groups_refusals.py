"""What a snapshot cannot hold, and what it does about damage."""

from __future__ import annotations

import dataclasses
import signal
import sys
import types
from pathlib import Path

import pytest
import zstandard

from respawn_kernels.capture.engine import GroupsEngine
from respawn_kernels.checkpoint.chunks import decoded
from respawn_kernels.restore.report import WrongPython
from support.namespaces import capture, notebook, restore, round_trip


@pytest.mark.parametrize(
    "makes",
    [
        *(
            "zlib.compressobj()",
            "zlib.decompressobj()",
            "type(zlib.compressobj())",
            "[type(zlib.decompressobj())]",
        ),
        *("sqlite3.connect(':memory:').cursor()", "iter(re.finditer('a', 'aa'))", "os.scandir('/')"),
        *("(lambda: (yield))()", "select.poll()", "ssl.create_default_context()", "hashlib.sha256(b'a')"),
    ],
)
def test_an_object_whose_class_is_made_in_c_and_has_no_name_is_listed(makes: str, tmp_path: Path) -> None:
    code = f"import hashlib, os, re, select, sqlite3, ssl, zlib\nodd = {makes}\nkept = 1"
    manifest = capture(notebook(code), tmp_path)
    assert [item.name for item in manifest.unstored] == ["odd"]


def test_what_cannot_be_pickled_is_listed_with_type_reason_and_cell(tmp_path: Path) -> None:
    namespace = notebook(
        """
        import threading
        numbers = (n for n in range(3))
        kept = 1
        guard = threading.Lock()
        guard.acquire()
        inside = {"deep": [guard]}
        file = open("/dev/null")
        with open("/dev/null") as closed: pass
        also_kept = [kept]
        """
    )
    try:
        manifest = capture(namespace, tmp_path, cell=7, numbers=2, guard=5)
    finally:
        namespace["file"].close()
    told = {v.name: (v.type, v.cell, v.reason) for v in manifest.unstored}
    assert told.keys() == {"numbers", "guard", "inside", "file", "closed"}
    assert told["numbers"] == ("generator", 2, "cannot pickle 'generator' object")
    assert told["guard"] == ("_thread.lock", 5, "a lock that is held")
    assert told["inside"][0] == "dict"
    assert told["file"][2] == "an open file"
    assert told["closed"][2] == "a closed file"
    back, report = restore(manifest, tmp_path)
    assert back["also_kept"] == [1]
    assert report.restored == ["threading", "kept", "also_kept"]


def test_reason_of_any_exception_is_one_short_line(tmp_path: Path) -> None:
    namespace = notebook(
        """
        import fractions
        class Stubborn(fractions.Fraction):
            def __reduce__(self): raise OSError("no\\n" + "x" * 1000)
        stubborn = Stubborn()
        """
    )
    [told] = capture(namespace, tmp_path).unstored
    assert told.reason.startswith("OSError: no x")
    assert len(told.reason) <= 200
    assert "\n" not in told.reason


def test_variable_that_will_not_load_is_told_and_the_rest_comes_back(tmp_path: Path) -> None:
    module = types.ModuleType("gone_tomorrow")
    exec("class Thing:\n    def __init__(self): self.items = [1]", module.__dict__)
    sys.modules["gone_tomorrow"] = module
    try:
        namespace = notebook(
            """
            from gone_tomorrow import Thing
            before = [1, [2]]
            thing = Thing()
            shares = thing.items
            after = {"b": before, "more": [before[1]]}
            def f(): return before
            """
        )
        manifest = capture(namespace, tmp_path, thing=4)
    finally:
        del sys.modules["gone_tomorrow"]
    back, report = restore(manifest, tmp_path)
    reasons = {v.name: v.reason for v in report.failed}
    assert reasons.keys() == {"Thing", "thing", "shares"}
    assert "gone_tomorrow" in reasons["Thing"]
    assert "which could not be loaded" in reasons["shares"]
    assert back["after"]["b"] is back["before"]
    assert back["after"]["more"][0] is back["before"][1]
    assert back["f"]() is back["before"]


@pytest.mark.parametrize("form", ["gif", "tiff", "png"])
def test_a_picture_with_several_frames_in_a_file_is_listed_and_one_with_one_frame_is_stored(
    tmp_path: Path, form: str
) -> None:
    code = f"""
        from PIL import Image
        red, blue = Image.new("RGB", (4, 3), "red"), Image.new("RGB", (4, 3), "blue")
        red.save("{tmp_path}/many.{form}", save_all=True, append_images=[blue])
        red.save("{tmp_path}/one.{form}")
        many, one = Image.open("{tmp_path}/many.{form}"), Image.open("{tmp_path}/one.{form}")
        """
    manifest = capture(notebook(code), tmp_path)
    assert {v.name: v.reason for v in manifest.unstored} == {"many": "an open file with several pictures"}
    back, _ = restore(manifest, tmp_path)
    assert back["one"].convert("RGB").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("damage", ["flipped", "shortened", "emptied", "removed"])
def test_damaged_blob_costs_its_variable_alone_and_is_named(tmp_path: Path, damage: str) -> None:
    code = "import numpy as np; a = np.random.default_rng(0).random(100_000); b = 1; c = a[:5]"
    manifest = capture(notebook(code), tmp_path, cell=3)
    digest = max(manifest.blobs, key=lambda blob: blob.size).digest
    path = tmp_path / "blobs" / digest
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[5000] ^= 1
    path.unlink()
    if damage != "removed":
        path.write_bytes({"flipped": data, "shortened": data[:-1], "emptied": b""}[damage])
    back, report = restore(manifest, tmp_path)
    assert {lost.name for lost in report.failed} == {"a", "c"}
    assert back["b"] == 1
    for lost in report.failed:
        assert digest in lost.reason
        assert "a, c of the checkpoint after cell 3" in lost.reason


def test_blob_that_swells_beyond_what_the_manifest_says_is_refused() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(10_000_000))
    with pytest.raises(ValueError, match="10,000,000 bytes instead of 100"):
        decoded(memoryview(bomb), 100)


def test_variable_that_takes_too_long_is_given_up_and_the_rest_is_stored(tmp_path: Path) -> None:
    namespace = notebook(
        """
        import fractions, threading
        held = threading.Lock()
        held.acquire()
        class Waits(fractions.Fraction):
            def __reduce__(self):
                with held: return (int, ())
        waits, kept = Waits(), [1]
        """
    )
    (tmp_path / "blobs").mkdir()
    before = signal.getsignal(signal.SIGALRM)
    manifest = GroupsEngine().capture(
        namespace, 0, tmp_path, first_seen={}, execution_count=1, variable_seconds=0.1
    )
    assert "not pickled within 0.1 s" in {v.name: v.reason for v in manifest.unstored}["waits"]
    assert restore(manifest, tmp_path)[0]["kept"] == [1]
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[1] == 0, "the timer of the capture goes on"


def test_what_needs_a_class_that_cannot_be_stored_is_not_stored_either(tmp_path: Path) -> None:
    namespace = notebook(
        """
        class Holds:
            generator = (n for n in ())
        one = Holds()
        """
    )
    told = {v.name: v.reason for v in capture(namespace, tmp_path).unstored}
    assert told["one"] == f"needs Holds, which could not be stored: {told['Holds']}"


def test_checkpoint_of_another_python_is_refused(tmp_path: Path) -> None:
    manifest = dataclasses.replace(capture(notebook("a = 1"), tmp_path), python="3.5.0")
    with pytest.raises(WrongPython, match=r"Python 3\.5\.0"):
        restore(manifest, tmp_path)


def test_failed_capture_leaves_no_partial_files(tmp_path: Path) -> None:
    capture(notebook("g = (i for i in ()); big = b'x' * 200_000"), tmp_path)
    assert not [path for path in (tmp_path / "blobs").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (
            """
            space = {"__builtins__": {"len": lambda rows: "own"}}
            exec("def size(rows): return len(rows)", space)
            lost = space.pop("size")
            del space
            """,
            "a function that has other builtins than the notebook",
        ),
        (
            """
            import zoneinfo
            lost = zoneinfo.ZoneInfo("Europe/Paris")
            zoneinfo.ZoneInfo.clear_cache(only_keys=["Europe/Paris"])
            kept = zoneinfo.ZoneInfo("Europe/Rome")
            """,
            "a time zone from before the cache of zones was cleared",
        ),
        (
            """
            class Phoenix:
                def __del__(self): globals().setdefault("lost", self)
            once = Phoenix()
            del once
            """,
            "its __del__ was called already, and would be called once more",
        ),
        (
            """
            import io
            from PIL import Image
            frames = [Image.new("P", (2, 2), shade) for shade in (0, 1)]
            frames[1].putpalette([9, 9, 9] * 256)
            file = io.BytesIO()
            frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
            lost = Image.open(io.BytesIO(file.getvalue()))
            shown = lost.convert("RGB")
            del frames, file
            """,
            "an open file with several pictures",
        ),
    ],
    ids=["builtins", "zone", "finalized", "pictures"],
)
def test_what_would_be_something_else_is_named(tmp_path: Path, code: str, why: str) -> None:
    namespace = notebook(code)
    assert {item.name: item.reason for item in capture(namespace, tmp_path).unstored} == {"lost": why}
    namespace.clear()


def test_named_tuples_are_stored(tmp_path: Path) -> None:
    back = round_trip(
        "import collections; Pair = collections.namedtuple('Pair', 'a b'); one = Pair(1, 2)", tmp_path
    )
    assert back["Pair"](a=1, b=2) == back["one"]


def test_what_a_notebook_listens_to_is_listed_and_what_the_library_listens_to_is_stored(
    tmp_path: Path,
) -> None:
    pytest.importorskip("sqlalchemy")
    code = """
        import sqlalchemy as sa
        silent = sa.MetaData()
        sa.Table("days", silent, sa.Column("kind", sa.Enum("a", "b")))
        heard = sa.MetaData()
        sa.Table("days", heard, sa.Column("n", sa.Integer))
        def note(target, connection, **given): pass
        sa.event.listen(heard, "before_create", note)
        """
    manifest = capture(notebook(code), tmp_path)
    assert {item.name: "listener of before_create" in item.reason for item in manifest.unstored} == {
        "heard": True
    }
