"""A process that answers orders: see `worker`."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from types import TracebackType
from typing import Any

from support.leaks import tolerate
from support.sources import ROOT

_TIME_LIMIT = 60.0


class Worker:
    """One process of `support.programs.worker`, started anew when it died or hung."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def ask(self, **order: Any) -> dict[str, Any]:
        """Give an order and return the answer.

        Raises:
            AssertionError: it raised, died, or did not answer in time; the message tells.
        """
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], _TIME_LIMIT)
        line = process.stdout.readline() if ready else ""
        if not line:
            status = process.poll()
            self._end()
            raise AssertionError(f"the process did not answer (status {status})")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer

    def _start(self) -> subprocess.Popen[str]:
        # A seed of its own for each: an order of a set or dict that hashing gives must not matter.
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.programs.worker", self._part],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        tolerate(self._process.pid)
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()
            self._process.kill()
            self._process.wait()
            self._process = None
