"""Jobs of real accounts of the system: each runs as its owner, and reaches what its owner does."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.model.runs import RunState
from support.hub import RunningHub, running_hub
from support.leaks import tolerate
from support.notebooks import notebook, printed_by, text
from support.sources import ROOT
from support.waiting import wait_for

SYSTEM_PYTHON = Path("/usr/bin/python3")
"""An interpreter that all accounts may execute; the one of the tests may lie in a home that is closed."""
SOURCES = [ROOT / part for part in ("hub_ext", "kernels", "papermill_jobs", "widgets")]


def _same_python() -> bool:
    if not SYSTEM_PYTHON.exists():
        return False
    command = [SYSTEM_PYTHON, "-c", "import sys; print(*sys.version_info[:2])"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return told == [str(part) for part in sys.version_info[:2]]


pytestmark = [
    pytest.mark.integration,
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes accounts, and starts servers as them"),
    pytest.mark.skipif(not _same_python(), reason="the system's Python cannot use the packages of the tests"),
]


@pytest.fixture(scope="module")
def accounts() -> Iterator[list[str]]:
    """Two accounts with homes of their own, which are removed again."""
    names = [f"respawn-{secrets.token_hex(4)}-{end}" for end in ("a", "b")]
    homes = Path(tempfile.mkdtemp(prefix="respawn-homes-"))
    homes.chmod(0o755)
    for name in names:
        subprocess.run(["useradd", "--create-home", "--base-dir", homes, name], check=True)
        (homes / name).chmod(0o700)
    try:
        yield names
    finally:
        for name in names:
            subprocess.run(["userdel", name], check=True)
        shutil.rmtree(homes)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, accounts: list[str]) -> Iterator[RunningHub]:
    shared = Path(tempfile.mkdtemp(prefix="respawn-kernels-"))
    shared.chmod(0o755)
    kernel = shared / "kernels" / "python3"
    kernel.mkdir(parents=True)
    argv = [str(SYSTEM_PYTHON), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    document = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(document))
    servers = {
        "PYTHONPATH": os.pathsep.join(map(str, [*SOURCES, *site.getsitepackages()])),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "JUPYTER_PATH": str(shared),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with running_hub(
        tmp_path_factory.mktemp("hub"),
        users=accounts,
        executor="hub",
        job_server_command=[str(SYSTEM_PYTHON), "-m", "respawn_server.job_server"],
        server_environment=servers,
        extra='c.JupyterHub.spawner_class = "localprocess"\nc.Spawner.args = []',
    ) as running:
        tolerate(running.process.pid)
        yield running
    shutil.rmtree(shared)


LOOKS = """\
import json, os
reached = []
for name in {targets!r}:
    try:
        with open(name, 'rb') as file:
            file.read(1)
        reached.append(name)
    except OSError:
        pass
secret = sorted(name for name in os.environ if 'TOKEN' in name or 'NONCE' in name)
print(json.dumps([os.getuid(), os.getcwd(), reached, secret]))
"""


def looked(hub: RunningHub, user: str, targets: list[str]) -> tuple[int, str, list[str], list[str]]:
    """What a job of a user sees: as whom it runs, where, which files it can read, which tokens it has."""
    service = hub.service(user)
    home = pwd.getpwnam(user).pw_dir
    source = text(notebook(LOOKS.format(targets=targets)))
    service.promote(Promotion(name="looks", notebook=source, directory=home))
    run = service.run(RunRequest(job="looks")).id
    wait_for(lambda: service.show(run).run.state.final, 150, f"the end of {run}; see {hub.log}")
    done = service.show(run).run
    assert done.state is RunState.SUCCEEDED, done.error
    printed = printed_by(nbformat.reads(service.notebook(run), as_version=4).cells[-1])
    uid, directory, reached, secret = json.loads(printed)
    return uid, directory, reached, secret


def test_a_job_runs_as_its_owner_and_reaches_nothing_of_others(hub: RunningHub, accounts: list[str]) -> None:
    ada, eve = accounts
    diary = Path(pwd.getpwnam(ada).pw_dir) / "diary.txt"
    diary.write_text("dear diary")
    os.chown(diary, pwd.getpwnam(ada).pw_uid, -1)

    uid, directory, reached, secret = looked(hub, ada, [str(diary)])
    assert uid == pwd.getpwnam(ada).pw_uid
    assert directory == pwd.getpwnam(ada).pw_dir
    assert reached == [str(diary)]
    assert secret == []

    (server,) = hub.hub_api("GET", f"/users/{ada}").json()["servers"]
    private = [
        diary,
        hub.data / "respawn.db",
        hub.directory / "hub.sqlite",
        hub.directory / "cookie_secret",
        *(path for path in hub.data.rglob("*") if path.is_file()),
        f"/proc/{hub.service_process().pid}/environ",
        f"/proc/{hub.server_process(ada, server).pid}/environ",
        *Path(pwd.getpwnam(ada).pw_dir).rglob("*"),
    ]
    uid, _, reached, secret = looked(hub, eve, [str(path) for path in private])
    assert uid == pwd.getpwnam(eve).pw_uid
    assert reached == []
    assert secret == []
