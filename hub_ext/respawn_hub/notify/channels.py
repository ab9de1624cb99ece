"""Channels: ways to notify people, defined by an administrator in a TOML file, sent to by Apprise.

    [risk-oncall]
    urls = ["slack://…", "mailtos://…"]
    namespaces = ["team/risk"]        # who may use it; everybody without this line
    group_seconds = 600               # how long further failures of a job are collected
    administrators = true             # it gets the notices of suspended namespaces

Jobs know the names alone. Addresses hold secrets: they are never logged, recorded or shown.
"""

from __future__ import annotations

import logging
import re
import threading
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from respawn_jobs.access import check_namespace
from respawn_jobs.errors import InvalidInput
from respawn_jobs.model.settings import ChannelName
from respawn_jobs.model.validation_errors import wanted
from respawn_jobs.redact import hide

logger = logging.getLogger(__name__)
_NAME: TypeAdapter[str] = TypeAdapter(ChannelName)
_BY_HOST = {
    "json",
    "jsons",
    "xml",
    "xmls",
    "form",
    "forms",
    "mailto",
    "mailtos",
    "http",
    "https",
    "workflows",
}
"""Kinds of address whose host is no secret."""
_WITH_MEANING = re.compile(r"(?=.*\d)[\w.~+=-]{8,}")
_OTHERS_CAN_READ = 0o044


class Channel(BaseModel):
    """One channel, as the file defines it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: SecretStr | None = None
    urls: list[SecretStr] = Field(default=[], max_length=10)
    namespaces: list[str] | None = None
    group_seconds: float = Field(default=600.0, ge=0, le=86_400)
    administrators: bool = False

    @property
    def addresses(self) -> list[str]:
        """All addresses of the channel."""
        given = ([self.url] if self.url else []) + self.urls
        return [secret.get_secret_value() for secret in given]


@dataclass
class Delivery:
    """What became of one message: which addresses have it, and what the others said."""

    delivered: set[int] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


class Channels:
    """All channels of a service."""

    def __init__(self, channels: Mapping[str, Channel] | None = None) -> None:
        self._channels = dict(channels or {})
        for channel in self._channels.values():
            for address in channel.addresses:
                hide(address, *_secrets_of(address))

    @classmethod
    def load(cls, path: Path | None) -> Channels:
        """Read the file; without one there are no channels. Raises `InvalidInput` naming what is wrong."""
        if path is None:
            return cls()
        try:
            document = tomllib.loads(path.read_text())
            mode = path.stat().st_mode
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"the channels file {path} cannot be read: {error}") from error
        except tomllib.TOMLDecodeError as error:
            raise InvalidInput(f"the channels file {path} is not TOML: {error}") from None
        if mode & _OTHERS_CAN_READ:
            logger.warning("%s holds secrets and can be read by others: chmod 600 %s", path, path)
        return cls({name: _channel(path, name, entry) for name, entry in document.items()})

    @property
    def names(self) -> list[str]:
        """The names of all channels."""
        return sorted(self._channels)

    def check(self, names: Sequence[str], namespace: str) -> None:
        """Raise `InvalidInput` when a name is unknown, or its channel is not for this namespace."""
        for name in names:
            channel = self._channels.get(name)
            if channel is None or not _is_for(channel, namespace):
                known = ", ".join(n for n in self.names if _is_for(self._channels[n], namespace)) or "none"
                reason = f"is not for {namespace}" if channel else "is not defined"
                raise InvalidInput(
                    f"the channel {name!r} {reason}; {namespace} may use: {known}. "
                    "An administrator defines channels, in the file that RESPAWN_CHANNELS_FILE names",
                    channel=name,
                    namespace=namespace,
                )

    def group_seconds(self, name: str) -> float:
        """Return for how long further failures of a job are collected before the channel is notified."""
        channel = self._channels.get(name)
        return channel.group_seconds if channel else 600.0

    def administrators(self) -> list[str]:
        """Return the channels for those who run the service."""
        return [name for name in self.names if self._channels[name].administrators]

    def send(
        self, name: str, title: str, body: str, *, kind: str = "failure", skip: Collection[int] = ()
    ) -> Delivery:
        """Send a message to the channel's addresses, but those in `skip`, and return what became of it.

        Blocks for as long as the addresses take, some seconds each at most.

        Args:
            name: the channel.
            title: one line of plain text.
            body: plain text.
            kind: `failure`, `deadline`, `recovery` or `suspended`, from which Apprise's type follows.
            skip: places of the addresses that have the message, from 0, in the channel's order.
        """
        channel = self._channels.get(name)
        if channel is None:
            return Delivery(problems=[f"the channel {name} is not defined any more"])
        result = Delivery(delivered=set(skip))
        for index, address in enumerate(channel.addresses):
            if index in result.delivered:
                continue
            problem = _send(address, title, body, kind)
            if problem is None:
                result.delivered.add(index)
            else:
                result.problems.append(f"{_scheme(address)} (address {index + 1}): {problem}")
        return result


def _channel(path: Path, name: str, entry: object) -> Channel:
    try:
        _NAME.validate_python(name)
        channel = Channel.model_validate(entry)
        for namespace in channel.namespaces or ():
            check_namespace(namespace)
    except ValidationError as error:
        # Only the places and the rules: what was written there is an address.
        problems = "; ".join(
            f"{'.'.join([*map(str, problem['loc'])]) + ': ' if problem['loc'] else ''}it {wanted(problem)}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise InvalidInput(f"the channels file {path}, channel {name!r}: {problems}", channel=name) from None
    except InvalidInput as error:
        raise InvalidInput(f"the channels file {path}, channel {name!r}: {error.message}") from None
    if not channel.addresses:
        raise InvalidInput(f"the channels file {path}, channel {name!r}: give `url` or `urls`", channel=name)
    for index, address in enumerate(channel.addresses):
        if "://" not in address:
            raise InvalidInput(
                f"the channels file {path}, channel {name!r}: address {index + 1} is no Apprise URL; "
                "write slack://…, msteams://…, mailtos://… or json://…",
                channel=name,
            )
    return channel


def _is_for(channel: Channel, namespace: str) -> bool:
    return channel.namespaces is None or namespace in channel.namespaces


def _send(address: str, title: str, body: str, kind: str) -> str | None:
    """Send to one address; return what went wrong, None when nothing did."""
    import apprise  # slow to import, and needed by this thread alone

    types = {"failure": "failure", "deadline": "warning", "recovery": "success", "suspended": "warning"}
    with _what_it_says() as answers:
        try:
            target = apprise.Apprise.instantiate(address, suppress_exceptions=True)
            if target is None:
                return "Apprise does not understand this address"
            if target.notify(title=title, body=body, notify_type=apprise.NotifyType(types.get(kind, "info"))):
                return None
        except Exception as error:  # noqa: BLE001  many services in one library: whatever one raises is its answer
            return f"{type(error).__name__}: {error}"
    return " ".join(answers) or "it was refused"


@contextmanager
def _what_it_says() -> Iterator[list[str]]:
    """Collect what Apprise logs in this thread; its lines go nowhere else, for they may name addresses."""
    lines: list[str] = []
    handler = _Collecting(lines)
    log = logging.getLogger("apprise")
    log.propagate = False
    log.setLevel(logging.WARNING)
    log.addHandler(handler)
    try:
        yield lines
    finally:
        log.removeHandler(handler)


class _Collecting(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._lines.append(record.getMessage())


def _scheme(address: str) -> str:
    return address.partition("://")[0][:20]


def _secrets_of(address: str) -> set[str]:
    """Return the parts of an address that are secret by themselves, as a service's answer may repeat them."""
    scheme, _, rest = address.partition("://")
    try:
        parts = urlsplit(address)
        host, password = parts.netloc.rpartition("@")[2], parts.password
    except ValueError:
        host, password = "", None
    shown = {host, host.partition(":")[0]} if scheme in _BY_HOST else set()
    found = {part for part in re.split(r"[/:@?&=]+", rest) if _WITH_MEANING.fullmatch(part)} - shown
    if password:
        found |= {password, unquote(password)}
    return found
