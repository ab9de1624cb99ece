"""The service's processes compile no grammars when they read a notebook for the first time."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.grammars import compiled_grammars

BEGUN = """
from contextlib import suppress
from respawn_hub import __main__ as service
from respawn_hub.runners import process as runner_process
with suppress(ValueError):
    {call}
import nbformat
"""


@pytest.mark.parametrize("call", ["service.main()", "runner_process.main(['without its arguments'])"])
def test_reading_a_notebook_compiles_no_grammars(call: str, tmp_path: Path) -> None:
    assert not compiled_grammars(BEGUN.format(call=call), tmp_path)


def test_another_program_compiles_them(tmp_path: Path) -> None:
    assert compiled_grammars("import nbformat", tmp_path)
