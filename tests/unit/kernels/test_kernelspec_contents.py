"""What a kernelspec says of its environment and of its program."""

from __future__ import annotations

from pathlib import Path

import pytest

from respawn_environments.kernelspec_contents import (
    command_of,
    interpreter_of,
    is_ipykernel,
    is_ipykernel_here,
    lock_of,
    ours,
    read,
    root_of,
)


@pytest.mark.parametrize(
    ("command", "anywhere", "here"),
    [
        ("/envs/a/bin/python -m ipykernel_launcher -f x", True, True),
        ("/envs/a/bin/python3.12 -Xfrozen_modules=off -m ipykernel_launcher -f x", True, True),
        ("docker run image python -m ipykernel_launcher -f x", True, False),
        ("/bin/python wrapper.py -m ipykernel_launcher -f x", True, False),
        ("/envs/a/bin/python /envs/a/lib/ipykernel_launcher.py -f x", True, False),
        ("R --slave -e IRkernel::main()", False, False),
        ("/envs/ipykernel/bin/R --slave -e IRkernel::main()", False, False),
        ("", False, False),
    ],
)
def test_only_a_kernel_of_this_machine_is_reached_by_sockets(
    command: str, anywhere: bool, here: bool
) -> None:
    assert (is_ipykernel(command.split()), is_ipykernel_here(command.split())) == (anywhere, here)


def test_the_command_of_a_build_starts_ipykernel_here() -> None:
    command = command_of("/envs/a/bin/python")
    assert is_ipykernel_here(command)
    assert interpreter_of({"argv": command}) == Path("/envs/a/bin/python")
    assert root_of({"argv": command}) == Path("/envs")


@pytest.mark.parametrize(
    "metadata", [None, {}, [], "x", {"respawn": None}, {"respawn": "yes"}, {"respawn": {}}]
)
def test_metadata_of_others_says_nothing_of_an_environment(metadata: object) -> None:
    assert (ours(metadata), lock_of(metadata)) == ({}, None)


@pytest.mark.parametrize("spec", [{}, {"argv": []}, {"argv": None}, {"argv": "python"}, {"argv": [7]}])
def test_a_kernelspec_without_a_command_starts_nothing(spec: dict[str, object]) -> None:
    assert (interpreter_of(spec), root_of(spec)) == (None, None)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "7"])
def test_a_kernelspec_that_cannot_be_read_says_nothing(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "kernel.json").write_text(text)
    assert read(tmp_path) == {}
