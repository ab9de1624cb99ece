"""No test here starts a server or a kernel: what does belongs in tests/integration."""

from support.no_servers import pytest_runtest_setup, pytest_runtest_teardown

__all__ = ["pytest_runtest_setup", "pytest_runtest_teardown"]
