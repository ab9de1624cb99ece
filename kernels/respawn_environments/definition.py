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
from packaging.utils import InvalidName, canonicalize_name
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from respawn_environments.errors import EnvironmentMissing, InvalidEnvironment
from respawn_environments.interpreters import NEWEST, OLDEST
from respawn_kernels.sizes import parse_size

DEFINITION = "environment.toml"
LOCK = "requirements.lock"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_MINOR = re.compile(r"3\.\d{1,2}")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_DEBIAN = re.compile(r"[a-z0-9][a-z0-9.+-]+")
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


def _is_name(text: str) -> str:
    try:
        return canonicalize_name(text, validate=True)
    except InvalidName as error:
        raise ValueError(f"{text!r} is not the name of a package: write it alone, such as pyspark") from error


def _is_program(text: str) -> str:
    if not _PROGRAM.fullmatch(text):
        raise ValueError(f"{text!r} is not the name of a program, such as java")
    return text


def _is_debian_package(text: str) -> str:
    if not _DEBIAN.fullmatch(text):
        raise ValueError(f"{text!r} is not the name of a package of Debian, such as default-jre-headless")
    return text


def _is_memory(given: object) -> int:
    size = _size(given, "2 GiB")
    if size < _MIN_MEMORY:
        raise ValueError("it is too little: an interpreter alone needs 64 MiB; write such as 2 GiB")
    return size


def _size(given: object, example: str) -> int:
    try:
        return given if isinstance(given, int) and not isinstance(given, bool) else parse_size(str(given))
    except ValueError as error:
        raise ValueError(f'it must be a size in quotes, such as "{example}" or "512 MiB"') from error


def _is_disk(given: object) -> int:
    size = _size(given, "20 GiB")
    if size < _MIN_DISK:
        raise ValueError("it is too little; write 1 MiB or more, such as 20 GiB")
    return size


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-")
    )


class Resources(_Part):
    """What a kernel of the environment may use, unless its job says otherwise."""

    memory: Annotated[int, BeforeValidator(_is_memory)] | None = None
    """Bytes, written such as `2 GiB`."""
    cpus: float | None = Field(default=None, gt=0, le=1024)
    processes: int | None = Field(default=None, ge=1, le=100_000)
    disk: Annotated[int, BeforeValidator(_is_disk)] | None = None
    """By how many bytes the run's directory may grow."""


class FromSource(_Part):
    """Packages that have no wheels, and what builds them."""

    packages: list[Annotated[str, AfterValidator(_is_name)]] = Field(min_length=1)
    """Their names; their code runs when the environment is built."""
    tools: list[Annotated[str, AfterValidator(_is_requirement)]] = Field(min_length=1)
    """What builds them, such as setuptools; it is in the lock, and in the environment."""


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
    from_source: FromSource | None = None
    """What is built here from its source; all else is installed from wheels."""
    system_packages: dict[
        Annotated[str, AfterValidator(_is_program)], Annotated[str, AfterValidator(_is_debian_package)]
    ] = {}
    """Programs that must be on PATH, each with the package of Debian that has it."""

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
        if self.from_source is not None:
            wanted += ["from source", *sorted(self.from_source.packages), *sorted(self.from_source.tools)]
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
        fields = _TABLES.get(str(where[0]), EnvironmentDefinition).model_fields
        known = [name.replace("_", "-") for name in fields]
        close = difflib.get_close_matches(str(where[-1]), known, n=1)
        fix = f"did you mean {close[0]}?" if close else "remove it"
        return f"there is no such key; {fix} (keys: {', '.join(known)})"
    if kind == "value_error":
        return str(context.get("error", message))
    wanted = {
        "missing": "this key is missing: add it, such as "
        + _EXAMPLES.get(str(where[-1]), f"{where[-1]} = …"),
        "string_type": 'it must be text in quotes, such as "3.13"',
        "list_type": 'it must be a list of texts, such as ["numpy>=2", "pandas"]',
        "dict_type": 'it must be a table of texts, such as { team = "finance" }',
        "too_short": "it is empty: name one, or remove the table",
        "model_type": f"it must be a table: write its keys below a line [{where[-1]}]",
    }
    return wanted.get(kind, message[:1].lower() + message[1:])


_TABLES: dict[str, type[_Part]] = {"resources": Resources, "from-source": FromSource}
_EXAMPLES = {
    "python": 'python = "3.13"',
    "requirements": 'requirements = ["numpy>=2", "pandas"]',
    "packages": 'packages = ["pyspark"]',
    "tools": 'tools = ["setuptools"]',
}
