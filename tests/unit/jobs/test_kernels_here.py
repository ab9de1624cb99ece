"""The kernels of a job server: what is told of them, and when."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from respawn_jobs.executors.kernels_here import KernelNews, kernels_here
from respawn_jobs.model.kernels import ServerKernel
from support.played_hub import PlayedSeconds

PYTHON = ServerKernel(name="python3", display_name="Python 3", language="python", lock="b" * 64)


def test_a_kernelspec_that_says_what_cannot_be_told_keeps_no_other_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, about in (("odd", {"resources": {"memory": "a lot", "cpus": 2}}), ("x" * 200, {})):
        (tmp_path / "kernels" / name).mkdir(parents=True)
        spec = {"argv": ["x"], "display_name": "y" * 400, "language": "R", "metadata": {"respawn": about}}
        (tmp_path / "kernels" / name / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    found = {one.name: one for one in kernels_here()}
    assert {"odd", "python3"} <= found.keys()
    assert found["odd"].resources == {"cpus": 2}
    assert len(found["odd"].display_name) == 255


def test_news_of_kernels_are_told_once_and_again_when_they_are_others() -> None:
    clock, there = PlayedSeconds(), [PYTHON]
    news = KernelNews(lambda: list(there), clock)
    assert news.news() == [PYTHON]
    clock.now += 60
    assert news.news() == [PYTHON], "nobody has it yet"
    news.took([PYTHON])
    clock.now += 60
    assert news.news() is None
    there.append(PYTHON.model_copy(update={"name": "ir"}))
    assert news.news() is None, "it was looked a moment ago"
    clock.now += timedelta(seconds=31).total_seconds()
    assert news.news() == there
