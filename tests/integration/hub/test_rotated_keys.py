"""Keys that are rotated under a service at work, on a real hub: who is signed in stays so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from respawn_jobs.ledger import Ledger
from support.hub import RunningHub, running_hub
from support.lonely import answering_hub, start_service
from support.waiting import wait_for

from .conftest import Visitor

pytestmark = pytest.mark.integration


def _command(data: Path, *words: str) -> Any:
    """Return the JSON document of the real command, on the machine of the service."""
    env = {**os.environ, "RESPAWN_DATA": str(data)}
    command = [Path(sys.executable).with_name("respawn"), *words, "--json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.long
def test_a_session_and_a_form_outlive_the_rotation_and_end_at_once_after_a_theft(
    hub: RunningHub, sign_in: Callable[[str], Visitor], ada: object
) -> None:
    visitor = sign_in("ada")
    form = re.search(r'name="_form_token" value="([^"]+)"', visitor.get().text)
    assert form

    def asked() -> int:
        return visitor.get(follow_redirects=False).status_code

    assert asked() == 200
    _command(hub.data, "admin", "rotate-key", "cookies")
    assert asked() == 200, "the old key's session is still accepted"
    _command(hub.data, "admin", "rotate-key", "cookies", "--keep", "0")
    assert asked() == 302, "sent to sign in"
    assert visitor.get().status_code == 200, "by the hub, which knows the browser, without a question"
    assert asked() == 200
    answer = visitor.client.post(f"{hub.service_url}/sign-out", data={"_form_token": form.group(1)})
    assert answer.status_code == 403, "nor is a form accepted any more"
    assert _command(hub.data, "audit", "verify")["fault"] is None


@pytest.mark.long
def test_people_sign_in_while_hub_and_replica_have_different_tokens(tmp_path: Path) -> None:
    data, old = tmp_path / "replica", "the-token-before"
    Ledger.embedded(data).close()
    new = _command(data, "admin", "rotate-key", "hub-token")["token"]
    # A hub that starts waits half a minute for a service that does not answer yet.
    stand_in = ExitStack()
    origin = f"http://127.0.0.1:{stand_in.enter_context(answering_hub())}"
    service = {
        "name": "second", "url": origin, "api_token": new, "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": ["custom:respawn:edit"],
    }  # fmt: skip
    roles = [{"name": "user", "scopes": ["self", "access:services!service=second"]}]
    extra = f"c.JupyterHub.services.append({service!r})"
    with stand_in, running_hub(tmp_path / "hub", users=("ada",), roles=roles, extra=extra) as hub:
        stand_in.close()
        asked = httpx.get(f"{hub.url}/hub/api/user", headers={"Authorization": f"token {old}"})
        assert asked.status_code == 403, "the hub knows the old token no more"
        replica = start_service(
            data, 0, log=tmp_path / "replica.log",
            JUPYTERHUB_API_TOKEN=old, JUPYTERHUB_API_URL=f"{hub.url}/hub/api", JUPYTERHUB_SERVICE_URL=origin,
            JUPYTERHUB_CLIENT_ID="service-second", JUPYTERHUB_SERVICE_NAME="second",
            JUPYTERHUB_SERVICE_PREFIX="/services/second/",
        )  # fmt: skip
        address = f"{hub.url}/services/second"
        try:
            wait_for(lambda: httpx.get(f"{address}/api/v1/health").status_code == 200, 60, "the replica")
            visitor = Visitor(SimpleNamespace(service_url=address, password=hub.password), "ada")
            visitor.client.close()
        finally:
            replica.process.terminate()
            replica.process.wait(30)
    assert visitor.landed.status_code == 200
    assert "/services/second" in str(visitor.landed.url)
    assert "/services/second/sign-out" in visitor.landed.text
