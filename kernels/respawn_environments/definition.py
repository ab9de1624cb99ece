"""What a person writes of an environment: `images/<name>/environment.toml`, read and checked.

The name of the directory is the name of the environment. The lock lies beside the file; `locking` makes it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, ValidationError

from respawn_environments.errors import EnvironmentMissing, InvalidEnvironment
from respawn_environments.interpreters import NEWEST, OLDEST

DEFINITION = "environment.toml"
LOCK = "requirements.lock"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_MINOR = re.compile(r"3\.\d{1,2}")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_OWN = "jupyterhub-respawn"
_REPOSITORIES = frozenset({"git", "hg", "svn", "bzr"})
_MAX_DISPLAY_NAME = 100
_MIN_MEMORY, _MIN_DISK = 64 << 20, 1 << 20


def _is_python(text: str) -> str:
    if _MINOR.fullmatch(text):
        return text
    try:
        specifiers = SpecifierSet(text)
    except InvalidSpecifier:
        specifiers = SpecifierSet("")
    if not len(specifiers) or not all(_MINOR.fullmatch(one.version) for one in specifiers):
        raise ValueError('it must be one version or a range of them, such as "3.13" or ">=3.11,<3.14"')
    if not any(specifiers.contains(minor) for minor in _tested()):
        raise ValueError(
            f"no Python that Respawn is tested with is in {text!r} (they are {', '.join(_tested())})"
        )
    return text


def _is_requirement(text: str) -> str:
    if text.lstrip().startswith(("-", ".", "/")) or "file:" in text:
        raise ValueError(
            f"{text!r} is an option or a place on this machine, which a lock cannot pin: "
            "name a package, such as numpy>=2"
        )
    try:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
    except InvalidRequirement as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{text!r} is no requirement ({reason}): write one such as numpy>=2") from error
    if (requirement.url or "").partition("+")[0] in _REPOSITORIES:
        raise ValueError(
            f"{text!r} is a repository, whose files no hash in a lock can pin: build a wheel and name "
            f"that, such as {name} @ https://files.example/{name}-1.0-py3-none-any.whl"
        )
    if name == _OWN:
        raise ValueError(f"{text!r} is Respawn itself, which every environment has: leave it out")
    return text


def _is_module(text: str) -> str:
    if not _MODULE.fullmatch(text):
        raise ValueError(f"{text!r} is not the name of a module, such as pandas or matplotlib.pyplot")
    return text


def _is_memory(size: ByteSize) -> ByteSize:
    if size < _MIN_MEMORY:
        raise ValueError("it is too little: an interpreter alone needs 64 MiB; write such as 2 GiB")
    return size


def _is_disk(size: ByteSize) -> ByteSize:
    if size < _MIN_DISK:
        raise ValueError("it is too little; write 1 MiB or more, such as 20 GiB")
    return size


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-")
    )


class Resources(_Part):
    """What a kernel of the environment may use, unless its job says otherwise."""

    memory: Annotated[ByteSize, AfterValidator(_is_memory)] | None = None
    """Bytes, written such as `2 GiB`."""
    cpus: float | None = Field(default=None, gt=0, le=1024)
    processes: int | None = Field(default=None, ge=1, le=100_000)
    disk: Annotated[ByteSize, AfterValidator(_is_disk)] | None = None
    """By how many bytes the run's directory may grow."""


class EnvironmentDefinition(_Part):
    """The contents of an environment.toml."""

    python: Annotated[str, AfterValidator(_is_python)]
    """One minor version, or a range of which a build takes the newest that is there."""
    requirements: list[Annotated[str, AfterValidator(_is_requirement)]]
    """PEP 508, as in pyproject.toml; what Respawn needs in a kernel is added to them."""
    description: str = Field(default="", max_length=2_000)
    display_name: str = Field(default="", max_length=_MAX_DISPLAY_NAME)
    """How JupyterLab shows the kernel; when left out, the name and "(Respawn)"."""
    resources: Resources = Resources()
    labels: dict[str, str] = {}
    preload: list[Annotated[str, AfterValidator(_is_module)]] = []
    """Modules that a warm kernel has imported before it is asked for."""

    @property
    def pythons(self) -> SpecifierSet:
        """The minor versions that it may be built on."""
        return SpecifierSet(f"=={self.python}.*" if _MINOR.fullmatch(self.python) else self.python)

    def allows(self, minor: str) -> bool:
        """Whether it may be built on a minor version, such as `3.13`."""
        return self.pythons.contains(minor)

    @property
    def oldest_python(self) -> str:
        """The minor version that the lock must hold for, with all newer ones that it allows."""
        if _MINOR.fullmatch(self.python):
            return self.python
        return next(minor for minor in _tested() if self.allows(minor))

    @property
    def digest(self) -> str:
        """What the lock is made of, as one number: a lock notes it, so that a later change is seen."""
        wanted = [self.python, *sorted(self.requirements)]
        return hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class EnvironmentSource:
    """A directory with an environment.toml, read."""

    name: str
    directory: Path
    definition: EnvironmentDefinition

    @property
    def lock(self) -> Path:
        """Where its lock is, or will be."""
        return self.directory / LOCK

    @property
    def display_name(self) -> str:
        """How JupyterLab shows the kernel."""
        return self.definition.display_name or f"{self.name.title()} (Respawn)"

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the environment.toml of a directory.

        Raises:
            EnvironmentMissing: there is none.
            InvalidEnvironment: it is not as it must be, or the directory's name cannot name an environment.
            OSError: it cannot be read.
        """
        path = directory / DEFINITION
        name = check_name(directory.absolute().name)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise EnvironmentMissing(f"{path} is missing: it says what the environment {name} is") from error
        except UnicodeDecodeError as error:
            raise InvalidEnvironment(f"{path} is not UTF-8 text: save it as such") from error
        return cls(name, directory, parse_definition(text, str(path)))


def check_name(name: str) -> str:
    """Return a name that can name an environment. Raises InvalidEnvironment for one that cannot."""
    if not NAME.fullmatch(name):
        raise InvalidEnvironment(
            f"{name!r} cannot name an environment: use lower case letters, digits, '.', '_' and '-', "
            "63 at most"
        )
    return name


def parse_definition(text: str, file: str) -> EnvironmentDefinition:
    """Return what an environment.toml says. Raises InvalidEnvironment, with the file, the key and the fix."""
    try:
        return EnvironmentDefinition.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidEnvironment(f"{file} is not TOML: {error}") from error
    except ValidationError as error:
        raise InvalidEnvironment("\n".join(f"{file}: {problem}" for problem in _problems(error))) from error


def find_sources(places: list[Path]) -> dict[str, Path]:
    """Return the directories of environments below some places, by name; earlier places win."""
    found: dict[str, Path] = {}
    for place in places:
        for path in sorted(place.glob(f"*/{DEFINITION}")):
            found.setdefault(path.parent.name, path.parent)
    return found


def _tested() -> list[str]:
    return [f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]


def _problems(error: ValidationError) -> Iterator[str]:
    """Yield a sentence for each problem; pydantic's own words tell of its types."""
    for one in error.errors():
        where = list(one["loc"])
        key = ".".join(str(part) for part in where if isinstance(part, str))
        number = next((f", entry {part + 1}" for part in reversed(where) if isinstance(part, int)), "")
        yield f"{key}{number}: {_problem(one['type'], one['msg'], where, one.get('ctx') or {})}"


def _problem(kind: str, message: str, where: list[Any], context: dict[str, Any]) -> str:
    if kind == "extra_forbidden":
        fields = Resources.model_fields if where[0] == "resources" else EnvironmentDefinition.model_fields
        known = [name.replace("_", "-") for name in fields]
        close = difflib.get_close_matches(str(where[-1]), known, n=1)
        fix = f"did you mean {close[0]}?" if close else "remove it"
        return f"there is no such key; {fix} (keys: {', '.join(known)})"
    if kind == "value_error":
        return str(context.get("error", message))
    if kind.startswith("byte_size"):
        return 'it must be an amount of memory in quotes, such as "2 GiB" or "512 MB"'
    wanted = {
        "missing": "this key is missing: add it, such as "
        + _EXAMPLES.get(str(where[-1]), f"{where[-1]} = …"),
        "string_type": 'it must be text in quotes, such as "3.13"',
        "list_type": 'it must be a list of texts, such as ["numpy>=2", "pandas"]',
        "dict_type": 'it must be a table of texts, such as { team = "finance" }',
        "model_type": "it must be a table: write its keys below a line [resources]",
    }
    return wanted.get(kind, message[:1].lower() + message[1:])


_EXAMPLES = {"python": 'python = "3.13"', "requirements": 'requirements = ["numpy>=2", "pandas"]'}
