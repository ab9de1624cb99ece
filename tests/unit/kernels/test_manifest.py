"""A manifest comes from a kernel that anybody may have written: nothing in it is taken on trust."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from respawn_kernels.checkpoint.manifest import Blob, Manifest, StoredVariable, UnstoredVariable

MANIFEST = Manifest(
    cell=3,
    python="3.11.2",
    cwd="/tmp",
    execution_count=4,
    variables=[StoredVariable(name="a", type="int", description="1", size=None, cell=2)],
    unstored=[UnstoredVariable(name="gen", type="generator", reason="no", cell=None)],
    blobs=[Blob(digest="ab" * 32, size=0)],
    payload={"path": [], "written": 0},
)


def test_manifest_comes_back():
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"cell": "3"}, "manifest.cell"),
        ({"cell": True}, "manifest.cell"),
        ({"cell": -1}, "manifest.cell"),
        ({"cell": 1.0}, "manifest.cell"),
        ({"cwd": None}, "manifest.cwd"),
        ({"variables": {}}, "manifest.variables"),
        ({"variables": [3]}, r"variables\[0\]"),
        ({"variables": [{"name": "a"}]}, r"variables\[0\].type"),
        ({"unstored": [{"name": 1, "type": "t", "reason": "r"}]}, r"unstored\[0\].name"),
        ({"blobs": [{"digest": "../evil", "size": 1}]}, r"blobs\[0\].digest"),
        ({"blobs": [{"digest": "AB" * 32, "size": 1}]}, r"blobs\[0\].digest"),
        ({"blobs": [{"digest": "ab" * 32, "size": -1}]}, r"blobs\[0\].size"),
        ({"payload": []}, "manifest.payload"),
        ({"seconds": "long"}, "manifest.seconds"),
        ({"more": 1}, "manifest.more"),
        ({"hash_seed": "1; rm"}, "manifest.hash_seed"),
        ({"hash_seed": 7}, "manifest.hash_seed"),
        ({"format": 2}, "format 2"),
        ({"format": True}, "format True"),
    ],
)
def test_wrong_field_is_named(change, names):
    with pytest.raises(ValueError, match=names):
        Manifest.from_json(json.dumps(json.loads(MANIFEST.to_json()) | change))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "[" * 100_000])
def test_what_is_no_manifest_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"manifest|format|Expecting"):
        Manifest.from_json(text)


def test_missing_field_is_named():
    document = json.loads(MANIFEST.to_json())
    del document["python"]
    with pytest.raises(ValueError, match="python is missing"):
        Manifest.from_json(json.dumps(document))


def test_names_are_in_the_order_of_the_namespace():
    named = replace(
        MANIFEST,
        variables=[StoredVariable(name, "int", "1", None) for name in "bd"],
        unstored=[
            UnstoredVariable("#random", "session", "no"),
            UnstoredVariable("e", "generator", "no", place=4),
            UnstoredVariable("a", "generator", "no", place=0),
            UnstoredVariable("c", "generator", "no", place=2),
        ],
    )
    assert named.names() == ["a", "b", "c", "d", "e"]
