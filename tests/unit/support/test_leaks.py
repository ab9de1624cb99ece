"""The leak fixture itself, tried on test files that leak."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SUPPORT = Path(__file__).parents[2]


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """An empty suite with the leak fixture, whose grace is short."""
    pytester.makeini(f"[pytest]\npythonpath = {SUPPORT}")
    pytester.makeconftest(
        "from support import leaks\nfrom support.leaks import no_leaks\nleaks.GRACE_SECONDS = 0.1"
    )
    return pytester


def test_a_process_left_behind_fails_the_test_and_is_named(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import subprocess, sys, atexit

        def test_leaks():
            child = subprocess.Popen(["sleep", "60"])
            atexit.register(child.kill)
        """
    )
    result = suite.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*left behind by this test: process *sleep 60*"])


@pytest.mark.long
def test_a_thread_and_an_open_temporary_file_left_behind_are_named(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import atexit, threading
        kept, over = [], threading.Event()

        def test_leaks(tmp_path):
            worker = threading.Thread(target=over.wait, name="leaking", args=(2,))
            worker.start()
            kept.append((tmp_path / "open.txt").open("w"))
        """
    )
    result = suite.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*thread leaking; open file *open.txt*"])


@pytest.mark.long
def test_a_server_of_the_module_may_live_on(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import subprocess, pytest

        @pytest.fixture(scope="module")
        def server():
            child = subprocess.Popen(["sleep", "60"])
            yield child
            child.kill()
            child.wait()

        def test_first(server):
            assert server.poll() is None

        def test_second(server):
            assert server.poll() is None
        """
    )
    suite.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)
