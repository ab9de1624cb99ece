"""An environment as a container image: really built; then a run fails in it, is debugged, resumed there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from respawn_environments.containers.image import ImageOptions, make_image
from respawn_environments.own_wheel import OwnWheel
from respawn_environments.shipped import source_of
from support.containers import USER, shared
from support.image_builds import PYTHON, VARIABLES, WORK, BuiltImage, needs_containers
from support.interpreters import ROOT
from support.notebooks import notebook, text

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(3600), needs_containers]
CELLS = (
    "loans = {'ada': [1, 2], 'bob': [3]}\nalso = loans['ada']",
    "class Total:\n    def __init__(self, of):\n        self.of = of\ntotal = Total(also)",
    "print(sum(total.of) / 0)",
    "total.of.append(4)\nprint(loans['ada'], total.of is also)",
)
FIXED = (*CELLS[:2], "print(sum(total.of) / 2)", CELLS[3])
RESTORED = """
import sys
import nbformat
from jupyter_client.manager import start_new_kernel
first = next(cell for cell in nbformat.read("debug.ipynb", 4).cells if cell.cell_type == "code")
manager, client = start_new_kernel(kernel_name=sys.argv[1])
for code in (first.source, "print('here', loans, total.of is also is loans['ada'])"):
    shown = []
    client.execute_interactive(code, timeout=120, output_hook=lambda said: shown.append(said["content"]))
print("".join(said.get("text", "") for said in shown))
client.stop_channels()
manager.shutdown_kernel(now=True)
"""


def test_the_image_has_the_environment_of_this_machine(built: BuiltImage) -> None:
    inspected = json.loads(built.containers.podman("image", "inspect", built.image.tag).stdout)[0]
    assert inspected["Labels"]["respawn.hash"] == built.here.lock == built.image.hash
    assert inspected["Labels"]["respawn.environment"] == "base"
    assert inspected["Labels"]["respawn.version"] == OwnWheel.of_this_code().version
    told = built.containers.run(built.image.tag, "respawn", "kernels", "list", "--environments", "--json")
    (found,) = json.loads(told)
    assert (found["hash"], found["name"]) == (built.here.lock, "base")
    checked = built.containers.run(built.image.tag, "respawn", "kernels", "check", "--no-audit", "--json")
    assert "differ" not in checked


def test_the_image_runs_as_an_account_without_rights(built: BuiltImage) -> None:
    script = "import os; print(os.getuid(), os.access(os.environ['RESPAWN_ENVIRONMENTS'], os.W_OK))"
    assert built.containers.run(built.image.tag, "python3", "-c", script) == f"{USER} False\n"


def test_a_run_fails_in_one_container_and_is_debugged_and_resumed_in_others(
    built: BuiltImage, tmp_path: Path
) -> None:
    work = shared(tmp_path / "work")
    (work / "loans.ipynb").write_text(text(notebook(*CELLS, kernel="respawn-base")))
    (work / "fixed.ipynb").write_text(text(notebook(*FIXED, kernel="respawn-base")))
    failed = built.respawn(work, "run", "loans.ipynb", status=1)
    assert failed["error"]["name"] == "ZeroDivisionError"
    built.respawn(work, "debug", failed["run"], "-o", "debug.ipynb")
    shown = built.containers.run(
        built.image.tag,
        *("sh", "-c", f"cd {WORK} && exec python - respawn-base"),
        volumes={work: WORK},
        variables=VARIABLES,
        script=RESTORED,
    )
    assert "here {'ada': [1, 2], 'bob': [3]} True" in shown
    done = built.respawn(work, "resume", failed["run"], "--notebook", "fixed.ipynb")
    assert done["state"] == "succeeded"
    assert [cell["state"] for cell in done["cells"]] == ["reused", "reused", "executed", "executed"]
    place = work / Path(done["notebook"]).relative_to(WORK)
    outputs = [cell["outputs"] for cell in json.loads(place.read_text())["cells"]]
    assert outputs[2][0]["text"] == ["1.5\n"]
    assert outputs[3][0]["text"] == ["[1, 2, 4] True\n"]


def test_a_second_build_gives_the_same_bytes(built: BuiltImage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**built.containers.variables, "BUILDAH_LAYERS": "false"}.items():
        monkeypatch.setenv(name, value)
    options = ImageOptions(wheel=built.wheel, python=PYTHON, tag="localhost/respawn-base:again")
    make_image(source_of("base", ROOT / "images"), options, root=Path(os.devnull), progress=print)
    names = (built.image.tag, options.tag or "")
    first, second = (
        json.loads(built.containers.podman("image", "inspect", name).stdout)[0]["RootFS"]["Layers"]
        for name in names
    )
    assert first == second
