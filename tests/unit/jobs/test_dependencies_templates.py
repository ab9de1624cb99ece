"""A template that is filled may lead, through a function, to every name of the notebook."""

from __future__ import annotations

import pytest

from respawn_jobs.dataflow import Footprint, footprints


def last(*cells: str) -> Footprint:
    return footprints(["items = [3, 1, 2]", *cells])[-1]


@pytest.mark.parametrize(
    "cell",
    [
        "new = '{0.__globals__[scale]} a day'.format(any_function)",
        "new = template.format(any_function)",
        "new = template.format_map({'f': any_function})",
    ],
)
def test_a_template_may_lead_through_a_function_to_every_name(cell):
    made = "template = '{0.__globals__[scale]} a day' if items else ''\ndef any_function(): return None"
    assert last(made, "scale = 2", cell).may_read("scale")


def test_a_template_that_is_filled_with_data_reads_them_alone():
    assert not last("template = str(items)", "scale = 2", "new = template.format(items, 1)").may_read("scale")
