"""Images of environments: what is refused before anything is built, and what the builder is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from respawn_environments.containers import image as images
from respawn_environments.containers.builders import BUILDERS, ImagePlan, find_builder
from respawn_environments.containers.context import download_rounds, platform_tags
from respawn_environments.containers.image import ImageOptions, make_image
from respawn_environments.errors import EnvironmentFailed, EnvironmentMissing, InvalidEnvironment
from respawn_environments.lockfile import environment_hash
from respawn_environments.own_wheel import OwnWheel
from respawn_environments.shipped import shipped, source_of
from support.tiny_environments import source

DIGEST = "docker.io/library/python@sha256:" + "0" * 64


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory on PATH; nothing is in it."""
    directory = tmp_path / "programs"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return directory


def played(directory: Path, name: str) -> Path:
    """Put a program there that writes what it was told beside itself, and says that it has every image."""
    path = directory / name
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{path}.told\necho "Installed all of it"\n')
    path.chmod(0o755)
    return path


def told(program: Path) -> list[str]:
    return program.with_name(program.name + ".told").read_text().splitlines()


def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **options: str) -> tuple[object, list[str]]:
    """Build the image of `base` without its downloads."""
    monkeypatch.setattr(images, "write_context", lambda *_: None)
    steps: list[str] = []
    wanted = ImageOptions(python="3.13", **options)  # type: ignore[arg-type]
    return make_image(
        source_of("base", tmp_path), wanted, root=tmp_path / "envs", progress=steps.append
    ), steps


def test_without_a_builder_the_error_says_what_to_install(programs: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="none of buildah, podman, docker is on PATH: install one"):
        find_builder()
    with pytest.raises(EnvironmentFailed, match="podman is not on PATH"):
        find_builder("podman")


def test_the_command_says_so_too(
    command, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESPAWN_ENVIRONMENTS", str(tmp_path / "envs"))
    status, _, error = command("kernels", "image", "base")
    assert status == 2
    assert "install one" in error
    status, _, error = command("kernels", "image", "nothing")
    assert status == 2
    assert "nothing" in error


@pytest.mark.parametrize("kind", BUILDERS)
def test_each_builder_builds_without_network_and_with_one_time_for_all_files(
    programs: Path, kind: str, tmp_path: Path
) -> None:
    program = played(programs, kind)
    steps: list[str] = []
    builder = find_builder()
    assert builder.kind == kind
    plan = ImagePlan(tmp_path, "thing:1", "kernel", {"ENVIRONMENT": "base"}, {"respawn.hash": "abc"})
    builder.build(plan, 5, steps.append)
    words = " ".join(told(program))
    for part in (
        "build --network none --tag thing:1",
        f"--file {tmp_path}/Containerfile",
        "--target kernel",
        "--build-arg ENVIRONMENT=base",
        "--build-arg SOURCE_DATE_EPOCH=5",
        "--label respawn.hash=abc",
    ):
        assert part in words
    assert ("--timestamp 5" in words) == (kind != "docker")
    assert steps == ["  Installed all of it"]


def test_a_builder_that_fails_is_named_with_its_last_lines(programs: Path, tmp_path: Path) -> None:
    played(programs, "podman").write_text("#!/bin/sh\necho no space left; exit 3\n")
    with pytest.raises(EnvironmentFailed, match=r"podman build of thing failed:\nno space left"):
        find_builder().build(ImagePlan(tmp_path, "thing"), 0, print)


def test_labels_say_what_is_inside(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played(programs, "podman")
    place = tmp_path / "base"
    place.mkdir()
    for name in ("environment.toml", "requirements.lock"):
        text = (shipped() / "base" / name).read_text()
        (place / name).write_text(text + ('labels = { team = "finance" }\n' if name.endswith("toml") else ""))
    image, _ = made(tmp_path, monkeypatch, base=DIGEST)
    digest = environment_hash(place / "requirements.lock", "3.13", OwnWheel.of_this_code().digest)
    assert image.tag == f"respawn-base:{digest[:12]}"
    for name, value in {
        "respawn.environment": "base",
        "respawn.hash": digest,
        "respawn.python": "3.13",
        "respawn.version": OwnWheel.of_this_code().version,
        "respawn.label.team": "finance",
        "org.opencontainers.image.base.name": DIGEST,
    }.items():
        assert image.labels[name] == value
        assert f"{name}={value}" in told(programs / "podman")


@pytest.mark.parametrize("base", ["python:3.13-slim", "docker.io/library/python:3.13", DIGEST[:-1]])
def test_a_base_without_a_digest_is_refused(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    played(programs, "podman")
    with pytest.raises(InvalidEnvironment, match="names no digest"):
        made(tmp_path, monkeypatch, base=base)


def test_a_python_that_no_debian_has_needs_a_base(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(programs, "podman")
    monkeypatch.setattr(images, "write_context", lambda *_: None)
    with pytest.raises(EnvironmentFailed, match=r"no Debian release has Python 3\.12"):
        make_image(
            source_of("base", tmp_path), ImageOptions(python="3.12"), root=tmp_path / "envs", progress=print
        )


def test_our_base_needs_debootstrap_where_the_machine_has_none(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(programs, "podman").write_text('#!/bin/sh\n[ "$1" = build ]\n')
    with pytest.raises(EnvironmentFailed, match=r"made by debootstrap, .* or name a base by digest"):
        made(tmp_path, monkeypatch)


def test_a_lock_or_a_wheel_that_is_missing_stops_before_anything_is_fetched(
    programs: Path, tmp_path: Path
) -> None:
    played(programs, "podman")
    with pytest.raises(EnvironmentMissing, match="respawn kernels lock tiny"):
        make_image(source(tmp_path / "tiny"), ImageOptions(), root=tmp_path, progress=print)
    wanted = ImageOptions(python="3.13", wheel=tmp_path / "nothing.whl", base=DIGEST)
    with pytest.raises(EnvironmentMissing, match=r"nothing\.whl is missing"):
        make_image(source_of("base", tmp_path), wanted, root=tmp_path, progress=print)


def test_the_packages_of_debian_that_it_needs_are_in_a_base_of_their_own(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(programs, "podman")
    place = tmp_path / "base"
    place.mkdir()
    for name in ("environment.toml", "requirements.lock"):
        text = (shipped() / "base" / name).read_text()
        more = 'system-packages = { java = "default-jre-headless", g = "g++" }\n'
        (place / name).write_text(text + (more if name.endswith("toml") else ""))
    image, _ = made(tmp_path, monkeypatch)
    assert image.base == "localhost/respawn-debian:trixie-default-jre-headless-g__"
    assert image.labels["respawn.system-packages"] == "default-jre-headless g++"


def test_a_python_outside_of_the_definition_is_refused(programs: Path, tmp_path: Path) -> None:
    played(programs, "podman")
    with pytest.raises(InvalidEnvironment, match=r"asks for Python >=3\.11, and 3\.10 was named"):
        make_image(source_of("base", tmp_path), ImageOptions(python="3.10"), root=tmp_path, progress=print)


def test_packages_are_of_no_newer_c_library_than_the_image_has() -> None:
    assert platform_tags("3.11")[0].startswith("manylinux_2_36_")
    assert platform_tags("3.13")[0].startswith("manylinux_2_41_")


def test_markers_are_those_of_the_image_and_not_of_this_machine(tmp_path: Path) -> None:
    lock, digest = tmp_path / "requirements.lock", f"--hash=sha256:{'0' * 64}"
    lock.write_text(
        f"old==1 ; python_full_version < '3.13.5' {digest}\n"
        f"old==2 ; python_full_version >= '3.13.5' {digest}\n"
        f"older==1 ; python_version < '3.12' {digest}\n"
        f"windows==1 ; sys_platform == 'win32' {digest}\n"
        f"thing[more]==1 {digest}\n"
        f"--no-binary built\nbuilt==1 {digest}\n"  # its source is downloaded apart
    )
    assert download_rounds(lock, "3.13") == [
        [f"old==1 {digest}", f"thing[more]==1 {digest}"],
        [f"old==2 {digest}"],
    ]
    assert [entry.split()[0] for entry in download_rounds(lock, "3.11")[0]] == [
        "old==1",
        "older==1",
        "thing[more]==1",
    ]


def test_what_images_are_made_of_comes_with_respawn() -> None:
    text = (shipped() / "Containerfile").read_text()
    assert text.count("FROM ") == text.count("FROM ${BASE}") + text.count("FROM kernel")
    assert "USER 1000:1000" in text
    assert "--hash=sha256:" in (shipped() / "server.lock").read_text()


def test_the_document_names_image_hash_and_labels(
    command, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(programs, "buildah")
    monkeypatch.setenv("RESPAWN_ENVIRONMENTS", str(tmp_path / "envs"))
    monkeypatch.setattr(images, "write_context", lambda *_: None)
    status, out, _ = command("kernels", "image", "base", "--base", DIGEST, "--python", "3.11", "--json")
    document = json.loads(out)
    assert status == 0
    assert (document["python"], document["base"]) == ("3.11", DIGEST)
    assert document["image"] == f"respawn-base:{document['hash'][:12]}"
