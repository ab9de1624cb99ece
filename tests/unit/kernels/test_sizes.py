"""Sizes as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from respawn_environments.definition import Resources
from respawn_hub.startup.settings import Settings
from respawn_jobs.model.limits import KernelLimits
from respawn_kernels.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("800M", 800 << 20), ("8G", 8 << 30), ("8GB", 8 << 30), ("1.5 gib", 3 << 29), ("7", 7), ("7 B", 7)],
)
def test_all_units_are_powers_of_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "G", "-1G", "1 X", "9" * 400, "9" * 400 + "G", "999999999999T", "1e9", "inf"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size, such as 800M or 8G"):
        parse_size(text)


def test_settings_and_environments_read_them_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPAWN_KERNEL_MEMORY", "2GB")
    monkeypatch.setenv("RESPAWN_MAX_KERNEL_DISK", "20 GiB")
    monkeypatch.setenv("RESPAWN_QUOTA_STORED", "5G")
    settings = Settings(data=tmp_path)
    assert settings.kernel_limits == KernelLimits(memory_bytes=2 << 30)
    assert settings.max_kernel_limits == KernelLimits(disk_bytes=20 << 30)
    assert settings.quota_stored == 5 << 30
    assert Resources(memory="2GB", disk="20 GiB").model_dump(exclude_none=True) == {
        "memory": 2 << 30,
        "disk": 20 << 30,
    }


@pytest.mark.parametrize("text", ["4096", "much", "9" * 400])
def test_a_setting_that_is_no_size_or_too_small_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("RESPAWN_KERNEL_MEMORY", text)
    with pytest.raises(ValidationError, match="kernel_memory"):
        Settings(data=tmp_path)
