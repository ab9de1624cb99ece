"""The environment that a notebook runs in, written down as a person would have: a proposal, not a lock.

Which packages were asked for is not recorded anywhere that can be relied on. So they are taken to be those
that no other installed package needs; a package that was asked for, and that another one needs too, comes by
that one, in whatever version the lock then gives it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from respawn_kernels.host.installed import installed_packages, normalized, origin_of

_OWN, _OWN_EXTRA = "jupyterhub-respawn", "kernels"
_LEFT_OUT = frozenset({"pip", "setuptools", "wheel", _OWN})
"""What every environment has by itself."""
_FILE = "environment.toml"
_Needed = tuple[str, frozenset[str]]
"""A package and the extras of it that are wanted."""


@dataclass(frozen=True)
class FrozenEnvironment:
    """A proposal for an environment.toml."""

    text: str
    """The contents of the file."""
    requirements: tuple[str, ...]
    left_out: tuple[str, ...]
    """What no lock can pin, each with its reason."""
    path: Path | None = None
    """Where it was written; None where it was not."""

    def __repr__(self) -> str:
        return self.text


def freeze(directory: str | Path | None = None, *, replace: bool = False) -> FrozenEnvironment:
    """Return the environment of this interpreter as a proposal; see `respawn.freeze`.

    Args:
        directory: where to write environment.toml; None to write nothing.
        replace: write also where there is one already.

    Raises:
        FileExistsError: there is one, and `replace` is not given.
        OSError: it cannot be written.
    """
    found = {normalized(one.metadata["Name"] or ""): one for one in reversed([*metadata.distributions()])}
    found.pop("", None)
    requirements, left_out = [], []
    for name in asked_for(found):
        if name in _LEFT_OUT:
            continue
        version = found[name].version
        origin, editable = origin_of(found[name])
        if origin is not None and (editable or not origin.startswith("https://")):
            how = "used from" if editable else "installed from"
            left_out.append(f"{name} {version} is {how} {origin}")
        else:
            requirements.append(f"{name}=={version}" if origin is None else f"{name} @ {origin}")
    left_out += [f"modules in {place}" for place in installed_packages(files=False).paths]
    text = _written(requirements, left_out)
    path = Path(directory) / _FILE if directory is not None else None
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if replace else "x", encoding="utf-8") as file:
            file.write(text)
    return FrozenEnvironment(text, tuple(requirements), tuple(left_out), path)


def asked_for(found: Mapping[str, metadata.Distribution]) -> list[str]:
    """Return the packages from which all others follow, by name."""
    needs = {name: _needs_of(name, found) for name in found}
    needed = set().union(*(theirs - {name} for name, theirs in needs.items()))
    top = sorted(found.keys() - needed)
    reached = _reached(top, needs)
    for name in sorted(found):  # a circle of packages that need each other, and that nobody else needs
        if name not in reached:
            top.append(name)
            reached |= _reached([name], needs)
    return sorted(top)


def _reached(names: Iterable[str], needs: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo.extend(needs[name])
    return reached


def _needs_of(name: str, found: Mapping[str, metadata.Distribution]) -> set[str]:
    """Return the installed packages that a package needs, with those that it wants by extras of others."""
    needed: set[str] = set()
    todo: list[_Needed] = [(name, frozenset({_OWN_EXTRA}) if name == _OWN else frozenset())]
    seen: set[_Needed] = set()
    while todo:
        wanted = todo.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        for needs, extras in _requirements(found[wanted[0]], wanted[1]):
            if needs in found:
                needed.add(needs)
                if extras:
                    todo.append((needs, extras))
    return needed


def _requirements(distribution: metadata.Distribution, extras: frozenset[str]) -> list[_Needed]:
    from packaging.requirements import InvalidRequirement, Requirement

    needs = []
    for text in distribution.requires or []:
        try:
            one = Requirement(text)
        except InvalidRequirement:  # of a package from before PEP 508
            continue
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            needs.append((normalized(one.name), frozenset(one.extras)))
    return needs


def _written(requirements: list[str], left_out: list[str]) -> str:
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    lines = [
        "# Proposed by respawn.freeze(). Put it into a directory that is named as the environment, then call",
        "#     respawn kernels lock DIRECTORY",
        f'python = "{python}"',
        "requirements = [",
        *(f"    {json.dumps(one)}," for one in requirements),
        "]",
    ]
    if left_out:
        lines += [
            "",
            "# No lock can pin these, so they are not in it:",
            *(f"#     {one}" for one in left_out),
        ]
    return "\n".join(lines) + "\n"
