"""People's servers and their jobs in containers, with PostgreSQL and the S3 gateway: the whole of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import nbformat
import psutil
import pytest
from playwright.sync_api import Page, expect

from respawn_jobs.api.service import Promotion, ResumeRequest, RunRequest
from respawn_jobs.model.runs import CellState, Run, RunState
from support import job_that_looks_around as looking
from support.browser import sign_in
from support.container_hub import ContainerHub
from support.containers import USER
from support.image_builds import needs_containers
from support.journey import ask_the_kernel, select
from support.notebooks import notebook, printed_by, text
from support.postgres import Postgres
from support.s3 import S3
from support.servers import Server
from support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(3600), needs_containers]
HOME = "/home/jovyan"
KERNEL = "respawn-base"
REFUSED = {401, 403, 404}
FAILS = (
    "prices = {'tea': 3, 'milk': 1}\nalso = prices",
    "total = sum(prices.values())\nprint(total)",
    "prices['coffee']",
    "prices['water'] = 0\nprint(total, also is prices, sorted(also))",
)
FIX = "prices.get('coffee', 0)"


def begin(hub: ContainerHub, user: str, name: str, cells: Sequence[str]) -> str:
    """Promote a notebook as from a user's home, run it, and return the run's id."""
    service = hub.service(user)
    source = text(notebook(*cells, kernel=KERNEL))
    service.promote(Promotion(name=name, notebook=source, directory=HOME))
    return service.run(RunRequest(job=name)).id


def ended(hub: ContainerHub, user: str, run: str) -> Run:
    service = hub.service(user)
    wait_for(lambda: service.show(run).run.state.final, 180, f"the end of {run}; see {hub.log}")
    return service.show(run).run


def printed(hub: ContainerHub, user: str, run: str) -> str:
    return printed_by(nbformat.reads(hub.service(user).notebook(run), as_version=4).cells[-1])


def done(hub: ContainerHub, user: str, name: str, cells: Sequence[str]) -> str:
    """Run a notebook to its end, and return what its last cell printed."""
    run = begin(hub, user, name, cells)
    found = ended(hub, user, run)
    assert found.state is RunState.SUCCEEDED, found.error
    return printed(hub, user, run)


def server(hub: ContainerHub, user: str) -> Server:
    """A user's interactive server, started where it does not run."""
    hub.token(user)
    assert hub.hub_api("POST", f"/users/{user}/server").status_code in (201, 202, 400)
    found = Server(hub, user)
    wait_for(lambda: found.call("GET", "api/status").status_code == 200, 120, f"the server of {user}")
    return found


def job_servers(hub: ContainerHub, user: str) -> list[str]:
    """The names of the containers that run a user's jobs."""
    return [name for name in hub.running(user) if "--respawn-" in name]


def test_jobs_run_in_containers_of_their_owners_beside_their_files(hub: ContainerHub) -> None:
    look = "import os, socket\nprint(os.getuid(), socket.gethostname(), os.getcwd())"
    for user in ("ada", "eve"):
        uid, host, directory = done(hub, user, "where", [look]).split()
        (name,) = job_servers(hub, user)
        assert (int(uid), directory) == (USER, HOME)
        assert hub.execute(name, "hostname").strip() == host
    assert done(hub, "ada", "writes", ["open('made.txt', 'w').write('by ada')\nprint()"]) == "\n"
    assert (hub.home("ada") / "made.txt").read_text() == "by ada"
    assert not (hub.home("eve") / "made.txt").exists()
    server(hub, "ada")
    interactive = f"{hub.prefix}-ada"
    assert hub.execute(interactive, "cat", f"{HOME}/made.txt") == "by ada"
    assert len(hub.networks()) == 2


def test_a_failed_run_is_debugged_in_the_servers_container_and_resumed_in_the_jobs(hub: ContainerHub) -> None:
    failed = ended(hub, "ada", begin(hub, "ada", "prices", FAILS))
    assert failed.error is not None
    assert failed.error.name == "KeyError"
    ada = server(hub, "ada")
    opened = ada.open(failed.id)[-1]
    assert opened["type"] == "open", opened
    asked = "prices, total, also is prices"
    assert evaluated(hub, ada, opened["path"], asked) == "({'tea': 3, 'milk': 1}, 4, True)"
    path = ada.home / opened["path"]
    fixed = nbformat.read(path, as_version=4)
    next(cell for cell in fixed.cells if cell.source == FAILS[2]).source = FIX
    nbformat.write(fixed, path)
    answer = ada.call("POST", "respawn/api/resume", json={"path": opened["path"]})
    assert answer.status_code == 201, answer.text
    check_resumed(hub, failed, answer.json()["run"]["id"])


@pytest.mark.browser
def test_a_failed_run_is_debugged_and_resumed_in_a_browser(page: Page, hub: ContainerHub) -> None:
    failed = ended(hub, "ada", begin(hub, "ada", "in-a-browser", FAILS))
    page.goto(f"{hub.service_url}/runs/{failed.id}")
    sign_in(page, "ada", hub.password)
    page.get_by_role("link", name="Debug", exact=True).click()
    page.wait_for_url("**/lab/**")
    cell = page.locator(".respawn-failing-cell")
    expect(cell).to_be_in_viewport()
    ask_the_kernel(page, "total + 1, also is prices", "(5, True)")
    select(page, cell)
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(FIX)
    page.keyboard.press("Control+Enter")
    expect(cell.locator(".jp-OutputArea-output")).to_contain_text("0")
    page.get_by_role("button", name="Resume…").click()
    plan = page.locator(".respawn-dialog").filter(has_text=f"Resume {failed.id}")
    plan.get_by_role("button", name="Resume").click()
    with page.context.expect_page() as following:
        page.locator(".respawn-open-run").click()
    head = following.value.locator("#run-head")
    expect(head).to_contain_text("succeeded", ignore_case=True)
    check_resumed(hub, failed, following.value.url.rstrip("/").rsplit("/", 1)[-1])


def check_resumed(hub: ContainerHub, failed: Run, run: str) -> None:
    """See that a run went on from the state of one that failed at its third cell."""
    resumed = ended(hub, "ada", run)
    assert resumed.state is RunState.SUCCEEDED, resumed.error
    assert resumed.origin == failed.id
    states = [cell.state for cell in hub.service("ada").show(run).cells]
    assert states == [CellState.REUSED, CellState.REUSED, CellState.EXECUTED, CellState.EXECUTED]
    assert printed(hub, "ada", run) == "4 True ['milk', 'tea', 'water']\n"


EVALUATES = """
import sys
from jupyter_client import BlockingKernelClient, find_connection_file
client = BlockingKernelClient(connection_file=find_connection_file("kernel-" + sys.argv[1] + ".json"))
client.load_connection_file()
client.start_channels()
client.wait_for_ready(timeout=60)
reply = client.execute_interactive("", silent=True, user_expressions={"value": sys.argv[2]}, timeout=60)
client.stop_channels()
print(reply["content"]["user_expressions"]["value"]["data"]["text/plain"])
"""


def evaluated(hub: ContainerHub, person: Server, path: str, expression: str) -> str:
    """The text of an expression's value in the kernel of a notebook: asked beside it, in its container."""
    command = ("python3", "-c", EVALUATES, person.kernel(path), expression)
    return hub.execute(f"{hub.prefix}-{person.user}", *command).strip()


def listening(processes: Sequence[int]) -> set[int]:
    """The TCP ports at which processes and their children listen."""
    family = [
        one
        for pid in processes
        for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
    ]
    return {
        found.laddr.port
        for process in family
        for found in process.net_connections(kind="tcp")
        if found.status == psutil.CONN_LISTEN
    }


def listening_in(hub: ContainerHub, container: str) -> set[int]:
    """The TCP ports at which something listens in a container."""
    lines = hub.execute(container, "cat", "/proc/net/tcp", "/proc/net/tcp6").splitlines()
    rows = [line.split() for line in lines if "local_address" not in line]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}


def variable(hub: ContainerHub, container: str, name: str) -> str:
    """A variable of the first process of a container that has it, as root sees it."""
    text = hub.execute(container, "sh", "-c", "cat /proc/1/environ | tr '\\0' '\\n'")
    return next(line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{name}="))


def test_a_hostile_job_reaches_nothing_that_is_not_its_owners(
    hub: ContainerHub, postgres: Postgres, s3_server: S3
) -> None:
    secret_of_ada = "what only ada knows, 7f3a"
    run = begin(
        hub, "ada", "keeps", [f"print({secret_of_ada.encode().hex()!r})\nanswer = 42", "print(answer)"]
    )
    assert ended(hub, "ada", run).state is RunState.SUCCEEDED
    ada = server(hub, "ada")
    diary = hub.home("ada") / "diary-of-ada.txt"
    diary.write_text(secret_of_ada)
    diary.chmod(0o644)  # no rights of files are what keeps eve off
    kernel = ada.call("POST", "api/kernels", json={"name": KERNEL}).json()["id"]
    find = f"find /home /tmp -name 'kernel-{kernel}.json' -exec cat {{}} +"
    connection = json.loads(hub.execute(f"{hub.prefix}-ada", "sh", "-c", find))

    containers = hub.running("ada")
    tokens = [variable(hub, name, "JUPYTERHUB_API_TOKEN") for name in containers]
    service = hub.service_process()
    database = hub.process_variable(service, "RESPAWN_DB_URL")
    keys = (hub.directory / "cookie_secret").read_text().strip(), connection["key"]
    own = listening([hub.process.pid, postgres.process.pid]) | {int(s3_server.endpoint.rpartition(":")[2])}
    gateways = {hub.gateway(user) for user in ("ada", "eve")} if hub.running("eve") else {hub.gateway("ada")}
    of_ada = [(ip, port) for name, ip in containers.items() for port in listening_in(hub, name)]
    wanted = looking.Wanted(
        files=[
            f"{HOME}/{diary.name}",
            *map(str, (diary, hub.directory / "cookie_secret", hub.directory / "jupyterhub.sqlite")),
            *(str(path) for path in hub.data.rglob("*") if path.is_file()),
            str(postgres.directory / "data" / "PG_VERSION"),
            *(f"/proc/{process.pid}/environ" for process in (service, psutil.Process(hub.process.pid))),
        ],
        texts=[
            secret_of_ada,
            database,
            s3_server.env["AWS_SECRET_ACCESS_KEY"],
            hub.process_variable(service, "JUPYTERHUB_API_TOKEN"),
            *keys,
            *tokens,
        ],
        ports=[(host, port) for host in (hub.address, *gateways) for port in sorted(own)] + of_ada,
        addresses=[
            f"{hub.service_url}/api/v1/runs/{run}",
            f"{hub.service_url}/api/v1/runs/{run}/notebook",
            f"{hub.service_url}/api/v1/jobs/user%2Fada%2Fkeeps",
            f"{hub.url}/hub/api/users/ada",
            f"{hub.url}/user/ada/api/contents",
            f"{hub.url}/user/ada/api/kernels",
            *(f"{hub.service_url}/job-servers/{name}/orders" for name in hub.job_servers("ada")),
        ],
    )
    open_to_all = {(hub.address, port) for port in hub.ports}
    assert open_to_all < set(wanted.ports)
    looked = {
        user: looking.found_in(done(hub, user, "looks-around", looking.cells(wanted)))
        for user in ("ada", "eve")
    }

    # To ada's own job they are there: the notebook looks in the right way, and at the right things.
    mine = looked["ada"]
    assert mine.files == [f"{HOME}/{diary.name}"]
    assert {f"{HOME}/{diary.name}", "/proc/1/environ"} <= set(mine.texts)
    assert set(mine.tokens) <= set(tokens)
    assert mine.tokens
    assert {(ip, 8888) for ip in containers.values()} <= set(mine.reached)
    assert all(200 in mine.answers[address] for address in wanted.addresses[:3])

    theirs = looked["eve"]
    assert theirs.uid == USER
    assert theirs.host not in {mine.host}
    assert theirs.files == []
    assert theirs.texts == []
    assert theirs.sockets == []
    assert [name for name in theirs.variables if "TOKEN" in name or "NONCE" in name or "AWS" in name] == []
    assert [one for one in theirs.suspicious if not one.startswith((f"{HOME}/", "/tmp/", "/run/user/"))] == []
    assert set(theirs.reached) == open_to_all
    assert {status for found in theirs.answers.values() for status in found} <= REFUSED
    assert {hub.owner_of(token) for token in theirs.tokens} == {"eve"}


def test_a_job_that_is_killed_with_its_container_goes_on_in_another(hub: ContainerHub) -> None:
    cells = ["a = 1", "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.05)", "print(a)"]
    run = begin(hub, "eve", "killed", cells)
    wait_for(
        lambda: any(cell.state is CellState.EXECUTED for cell in hub.service("eve").show(run).cells),
        120,
        f"the first cell; see {hub.log}",
    )
    (name,) = job_servers(hub, "eve")
    hub.kill_container(name)
    assert ended(hub, "eve", run).state is RunState.LOST
    (hub.home("eve") / "go").touch()
    resumed = ended(hub, "eve", hub.service("eve").resume(run, ResumeRequest()).id)
    assert resumed.state is RunState.SUCCEEDED, resumed.error
    assert name not in hub.left()


def test_container_and_network_go_with_the_last_server(hub: ContainerHub) -> None:
    done(hub, "kim", "short", ["print(1)"])
    server(hub, "kim")
    (job_server,) = job_servers(hub, "kim")
    network = f"{hub.prefix}-kim"
    (name,) = hub.job_servers("kim")
    stopped = hub.hub_api("DELETE", f"/users/kim/servers/{name}", json={"remove": True})
    assert stopped.status_code in (202, 204)
    wait_for(lambda: job_server not in hub.left(), 60, "the end of the job server's container")
    assert network in hub.networks()  # the other server is on it
    assert hub.hub_api("DELETE", "/users/kim/server").status_code in (202, 204)
    wait_for(lambda: not [name for name in hub.left() if name.startswith(network)], 60, "the end of all")
    assert (hub.home("kim")).exists()
