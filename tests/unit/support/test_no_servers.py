"""The guard of tests/unit itself, tried on test files that start something."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import no_servers

pytest_plugins = ["pytester"]

SUPPORT = Path(__file__).parents[2]
BELONGS = "Tests that start a server or a kernel belong in tests/integration*"


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """An empty suite with the guard."""
    pytester.makeini(f"[pytest]\npythonpath = {SUPPORT}")
    pytester.makeconftest("from support.no_servers import pytest_runtest_setup, pytest_runtest_teardown")
    return pytester


def test_a_test_that_starts_a_server_or_a_kernel_fails_and_is_told_where_it_belongs(
    suite: pytest.Pytester,
) -> None:
    suite.makepyfile(
        """
        import socket, subprocess, sys, threading
        from http.server import BaseHTTPRequestHandler, HTTPServer

        import pytest

        @pytest.fixture(scope="session")
        def server():
            with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
                yield server

        def test_of_a_fixture(server):
            pass

        def test_in_a_thread():
            thread = threading.Thread(target=socket.create_server, args=(("127.0.0.1", 0),))
            thread.start()
            thread.join()

        @pytest.mark.parametrize("module", ["ipykernel_launcher", "respawn_hub", "respawn_jobs.runner.w"])
        def test_of_a_process(module):
            with pytest.raises(FileNotFoundError):
                subprocess.run(["/none/python", "-m", module])

        def test_of_a_program():
            with pytest.raises(FileNotFoundError):
                subprocess.run("/none/bin/postgres -D data".split())
        """
    )
    result = suite.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=6, errors=6)
    result.stdout.fnmatch_lines_random(
        [
            f"*::test_of_a_fixture binds a socket to ('127.0.0.1', 0). {BELONGS}",
            f"*::test_in_a_thread binds a socket to ('127.0.0.1', 0). {BELONGS}",
            f"*::test_of_a_process[[]ipykernel_launcher] starts * -m ipykernel_launcher. {BELONGS}",
            f"*::test_of_a_process[[]respawn_hub] starts /none/python -m respawn_hub. {BELONGS}",
            f"*::test_of_a_process[[]respawn_jobs.runner.w] starts * -m respawn_jobs.runner.w. {BELONGS}",
            f"*::test_of_a_program starts /none/bin/postgres -D data. {BELONGS}",
        ]
    )


@pytest.mark.long
def test_short_processes_and_sockets_that_nobody_connects_to_are_let_be(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import socket, subprocess, sys
        from support.ports import free_port

        def test_of_code():
            subprocess.run([sys.executable, "-c", "'ipykernel_launcher'"], check=True)

        def test_of_a_free_port():
            assert free_port()

        def test_of_a_socket_in_a_directory(tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind("here")
        """
    )
    suite.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=3)


@pytest.mark.long
def test_fixtures_of_other_suites_may_run_commands_as_they_end(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import subprocess
        import pytest

        @pytest.fixture(scope="session")
        def server():
            yield
            with pytest.raises(FileNotFoundError):
                subprocess.run("/none/bin/s3-server wipe".split())

        def test_of_another_suite(server):
            pass

        def test_that_is_the_last_of_the_worker():
            pass
        """
    )
    suite.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_the_guard_is_on_here() -> None:
    assert no_servers._started == []
