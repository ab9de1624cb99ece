"""What is unpickled may be of any class of the notebook, however the reader finds it."""

from __future__ import annotations

import pytest

from respawn_jobs.dataflow import footprints

LOADING = [
    "new = Reader(io.BytesIO(kept)).load()",
    "reader = Reader(io.BytesIO(kept))\nnew = reader.load()",
    "new = pickle.Unpickler(io.BytesIO(kept)).load()",
    "new = pickle.loads(kept)",
]


@pytest.mark.parametrize("cell", LOADING)
def test_what_is_unpickled_may_be_of_any_class_of_the_notebook(cell):
    reader = """
import io, pickle
kept = pickle.dumps([1])
class Reader(pickle.Unpickler):
    def find_class(self, module, name):
        return super().find_class(module, name.title())
"""
    found = list(footprints([reader, "class Plan:\n    level = 3", cell]))
    assert found[-1].may_read("Plan")
