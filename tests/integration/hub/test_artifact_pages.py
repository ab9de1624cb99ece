"""What a run kept, on its page and in the API of a real hub: files to save, for who may read the run."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import httpx
import pandas as pd
import pytest

from respawn_jobs.api.service import Promotion, RunRequest
from respawn_jobs.blobs.artifact_parts import fetch_parts
from respawn_jobs.errors import Forbidden
from respawn_jobs.model.runs import Run, RunState
from respawn_jobs.remote.client import RemoteService
from support.hub import RunningHub
from support.notebooks import notebook, text

from .conftest import Visitor, ended

pytestmark = pytest.mark.integration
KEEPS = text(
    notebook(
        "import pandas as pd, pathlib, respawn",
        "respawn.save('prices', pd.DataFrame({'price': [1.5, 2.5]}))\n"
        "path = pathlib.Path('evil ü.html')\n"
        "path.write_text('<script>alert(1)</script>')\n"
        "respawn.save('page', path)",
    )
)


@pytest.fixture(scope="module")
def keeper(ada: RemoteService) -> Run:
    ada.promote(Promotion(name="keeps", notebook=KEEPS))
    run = ended(ada, ada.run(RunRequest(job="keeps")).id)
    assert run.state is RunState.SUCCEEDED, run.error
    return run


@pytest.mark.long
def test_the_page_lists_them_and_sends_files_to_save(sign_in: Callable[[str], Visitor], keeper: Run) -> None:
    ada = sign_in("ada")
    page = ada.get(f"runs/{keeper.id}").text
    assert "prices" in page
    assert "pandas.DataFrame, 2 × 1 table" in page
    assert f"runs/{keeper.id}/artifacts/prices?number=1" in page

    answer = ada.get(f"runs/{keeper.id}/artifacts/prices?number=1")
    assert pd.read_parquet(io.BytesIO(answer.content)).price.tolist() == [1.5, 2.5]
    assert answer.headers["content-disposition"].startswith('attachment; filename="prices.parquet"')
    evil = ada.get(f"runs/{keeper.id}/artifacts/page")
    assert evil.text == "<script>alert(1)</script>"
    assert evil.headers["content-type"] == "application/octet-stream"
    assert evil.headers["x-content-type-options"] == "nosniff"
    assert evil.headers["content-security-policy"].startswith("sandbox")
    disposition = evil.headers["content-disposition"]
    assert disposition == "attachment; filename=\"evil__.html\"; filename*=UTF-8''evil%20%C3%BC.html"
    assert ada.get(f"runs/{keeper.id}/artifacts/none").status_code == 404


@pytest.mark.long
def test_programs_list_and_fetch_them(
    hub: RunningHub, ada: RemoteService, keeper: Run, tmp_path: Path
) -> None:
    found = {one.name: one for one in ada.artifacts(keeper.id)}
    assert (found["page"].kind, found["prices"].kind) == ("file", "parquet")
    file = tmp_path / "prices.parquet"
    fetch_parts(found["prices"].parts, lambda digest: ada.blob(keeper.id, digest), file)
    assert pd.read_parquet(file).price.tolist() == [1.5, 2.5]


@pytest.mark.long
def test_nobody_else_gets_them(
    sign_in: Callable[[str], Visitor], hub: RunningHub, bob: RemoteService, keeper: Run
) -> None:
    with pytest.raises(Forbidden):
        bob.artifacts(keeper.id)
    assert sign_in("bob").get(f"runs/{keeper.id}/artifacts/prices").status_code == 403
    for path in ("artifacts", "artifacts/prices"):
        assert httpx.get(f"{hub.service_url}/api/v1/runs/{keeper.id}/{path}").status_code == 401
