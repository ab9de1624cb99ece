"""The service's settings: from the hub (`JUPYTERHUB_*`), and from its configuration (`RESPAWN_*`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from respawn_jobs.api.job_profiles import JobProfile, read_profiles
from respawn_jobs.clock import Clock, utc_now
from respawn_jobs.errors import InvalidInput
from respawn_jobs.host.process_environment import USUAL_READY_KERNELS, USUAL_READY_MEMORY, check_warm_kernels
from respawn_jobs.keyring import FILE, OLDER_FILE, Keyring
from respawn_jobs.model.base import LARGEST, MAX_DURATION_SECONDS
from respawn_jobs.model.limits import MIN_MEMORY_BYTES, KernelLimits
from respawn_kernels.sizes import parse_size


def _bytes(given: object) -> object:
    return parse_size(given) if isinstance(given, str) else given


def _pairs(given: object) -> object:
    if not isinstance(given, str):
        return given
    pairs = [part.partition("=") for part in given.split(",") if part.strip()]
    wrong = [name for name, _, account in pairs if not (name.strip() and account.strip())]
    if wrong:
        raise ValueError("it is a list such as team/risk=risk-jobs, with commas between")
    return {name.strip(): account.strip() for name, _, account in pairs}


def _profiles(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        return read_profiles(given)
    except InvalidInput as error:
        raise ValueError(error.message) from error


Size = Annotated[int, BeforeValidator(_bytes), Field(ge=1 << 20, le=LARGEST)]
"""Bytes, written such as `8G`."""
Memory = Annotated[int, BeforeValidator(_bytes), Field(ge=MIN_MEMORY_BYTES, le=LARGEST)]


class NotUnderHub(RuntimeError):
    """The variables that a hub gives its services are missing."""


class HubSettings(BaseSettings):
    """What the hub gives each service that it manages."""

    model_config = SettingsConfigDict(env_prefix="JUPYTERHUB_", frozen=True, hide_input_in_errors=True)

    api_token: SecretStr
    api_url: str
    """The hub's API as the service reaches it."""
    client_id: str
    service_name: str = "respawn"
    service_url: str = "http://127.0.0.1:10101"
    """Where the service listens."""
    service_prefix: str = "/services/respawn/"
    base_url: str = "/"
    host: str = ""
    """The hub's public origin, when it knows one."""
    oauth_callback_url: str = ""
    public_url: str = ""

    @classmethod
    def from_environment(cls) -> HubSettings:
        """Read the variables. Raises NotUnderHub naming those that are missing."""
        try:
            return cls()  # type: ignore[call-arg]  # filled from the environment
        except ValidationError as error:
            names = ", ".join(f"JUPYTERHUB_{str(problem['loc'][0]).upper()}" for problem in error.errors())
            raise NotUnderHub(
                f"not started by a JupyterHub: {names} missing. The service is started by the hub; "
                "add `respawn_hub.configure(c)` to jupyterhub_config.py."
            ) from error

    @property
    def prefix(self) -> str:
        """Path of the service, with a slash at each end."""
        return "/" + self.service_prefix.strip("/") + "/"

    @property
    def hub_prefix(self) -> str:
        """Path of the hub's own pages, with a slash at each end."""
        return self.base_url.rstrip("/") + "/hub/"

    @property
    def hub_pages(self) -> str:
        """Where a browser on our pages finds the hub's: a path, or an address when its domain is another.

        A path keeps people on the name by which they came (localhost, say), where their cookies are.
        """
        same = self.public_url.startswith(f"{self.host}/")
        return self.hub_prefix if same else f"{self.host}{self.hub_prefix}"

    @property
    def callback(self) -> str:
        """Where the hub sends people back after signing in."""
        return self.oauth_callback_url or f"{self.prefix}oauth_callback"

    @property
    def secure(self) -> bool:
        """Whether the public address is https, so that cookies may be marked so."""
        return self.public_url.startswith("https:")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        parts = urlsplit(self.service_url)
        return parts.hostname or "127.0.0.1", parts.port or 80


class Settings(BaseSettings):
    """How the service itself works."""

    model_config = SettingsConfigDict(env_prefix="RESPAWN_", frozen=True, hide_input_in_errors=True)

    data: Path = Path("respawn-data")
    db_url: str | None = None
    blobs_url: str | None = None
    migrate_on_start: bool = True
    """Whether a database of an older version is brought up to date when the service starts."""
    lease_seconds: float = Field(default=15.0, gt=0)
    """How long a runner may be silent before its attempt is lost."""
    executor: Literal["local", "hub"] = "local"
    """Where runners are: `local`, beside the service; `hub`, in servers of the hub for each job's account."""
    team_accounts: Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs)] = {}
    """As which of the hub's users the jobs of a team run: `team/risk=risk-jobs`, with commas between."""
    job_profiles: Annotated[dict[str, JobProfile], NoDecode, BeforeValidator(_profiles)] = {}
    """The profiles of these servers: the path of a TOML or JSON file, or JSON; see `api.job_profiles`."""
    job_server_slots: int = Field(default=2, ge=1, le=100)
    """How many runs a server of the hub executes at once."""
    job_server_idle_seconds: float = Field(default=300.0, ge=0)
    """How long such a server is kept that has nothing to do."""
    job_server_ahead_seconds: float = Field(default=30.0, ge=0, le=3600)
    """How long before a schedule is due the server of its run is started; 0 starts it when the run waits."""
    keep_kernels_seconds: float = Field(default=3600.0, ge=0, le=MAX_DURATION_SECONDS)
    """How long the kernels of failed runs live on in such a server after they were used last; 0: not."""
    keep_kernels_memory: Size = 4 << 30
    """What those of one server may have in memory together; the newest failures have precedence."""
    max_running: int = Field(default=4, ge=1)
    """How many runs the local executor executes at once."""
    drain_seconds: float = Field(default=0.0, ge=0, le=86_400)
    """For how long runs may finish when the service is stopped, before the rest is requeued."""
    session_seconds: int = Field(default=14 * 86400, gt=0)
    """How long a browser stays signed in, unless it signs out of the hub before."""
    inbox_url: str | None = None
    """Path or fsspec URL of the inbox, where objects appear that make runs; None for no inbox."""
    sensor_seconds: float = Field(default=30.0, ge=1)
    """How often each sensor is poked."""
    users_seconds: float = Field(default=60.0, ge=1)
    """How often the hub is asked which users it has."""
    blob_grace_seconds: float = Field(default=86_400.0, ge=3600)
    """How long data are kept that nothing names any more, since they were last stored or asked for."""
    max_import: Size = 10 << 30
    """How large an archive may be that is imported."""
    quota_stored: Size | None = None
    """How much each namespace may store; None for any amount."""
    quota_waiting_runs: int | None = Field(default=10_000, ge=1)
    """How many runs of each namespace may wait."""
    kernel_memory: Memory | None = None
    """How much a kernel may have in memory, unless its job or its environment says otherwise."""
    kernel_cpus: float | None = Field(default=None, gt=0, le=1024)
    """How many cores it may use, likewise."""
    kernel_processes: int | None = Field(default=None, ge=1, le=100_000)
    """How many processes it may have, likewise."""
    kernel_disk: Size | None = None
    """By how much its run's directory may grow, likewise."""
    max_kernel_memory: Memory | None = None
    """How much it may have in memory whatever its job, its environment or a resume says."""
    max_kernel_cpus: float | None = Field(default=None, gt=0, le=1024)
    """How many cores it may use, likewise."""
    max_kernel_processes: int | None = Field(default=None, ge=1, le=100_000)
    """How many processes it may have, likewise."""
    max_kernel_disk: Size | None = None
    """By how much its run's directory may grow, likewise."""
    images: Path | None = None
    """Where the hub's own environments of kernels are written, a directory with an environment.toml each."""
    audit_heads: str | None = None
    """Path or URL where heads of the audit trail are kept, outside of what the service can rewrite."""
    audit_heads_seconds: float = Field(default=300.0, ge=1)
    """How often one is sent there, when the trail has grown."""
    shared: bool = True
    """Whether more than one person may use the hub; `respawn_hub.configure` says where it is certain not."""
    jobs_share_an_account: bool = False
    """Whether the administrator agrees that jobs of several people run as the service's account."""
    hub_pid: int | None = None
    """The process of the hub that starts the service; said by `respawn_hub.configure`."""
    channels_file: Path | None = None
    """TOML file of the channels through which people are notified; see `respawn_hub.notify.channels`."""
    queue_alarm_seconds: float = Field(default=900.0, gt=0)
    """How long a run that may start may wait before the service calls itself degraded."""
    metrics_open: bool = False
    """Whether metrics are shown without a token."""
    runner_port: int = Field(default=0, ge=0, lt=65536)
    """Port on the loopback at which runners are heard; 0 for a free one."""
    warm_kernels: str = "yes"
    """`no`, or how many zygotes each runner has at most; the runners read the variable themselves."""
    ready_kernels: int = Field(default=USUAL_READY_KERNELS, ge=0, lt=1000)
    """How many kernels each runner lets wait that have come up; the runners read the variable themselves."""
    ready_memory: Size = USUAL_READY_MEMORY
    """How much memory these may have together in each runner; likewise."""
    log_format: str = "text"
    """`text`, or `json`: one object a line."""
    keys_file: Path | None = None
    """File of the service's own keys, one for all replicas; by default one in `data`."""
    cookie_secret: SecretStr | None = Field(default=None, min_length=32)
    """From which a file of keys that is not there yet is made; by default its keys are made at random."""

    @field_validator("warm_kernels")
    @classmethod
    def _warm_kernels(cls, given: str) -> str:
        check_warm_kernels(given)
        return given

    @property
    def profiles_beside(self) -> list[str]:
        """The names of the profiles whose runs execute beside the service, as its account."""
        found = self.job_profiles.items() if self.executor == "hub" else ()
        return [name for name, profile in found if profile.executor == "local"]

    @property
    def runs_beside(self) -> bool:
        """Whether any run executes beside the service."""
        return self.executor == "local" or bool(self.profiles_beside)

    @property
    def uploads(self) -> Path:
        """Directory that bytes pass through on their way to the blob store."""
        return self.data / "uploads"

    @property
    def kernel_limits(self) -> KernelLimits:
        """What kernels may take, unless their job or their environment says otherwise."""
        return KernelLimits(
            memory_bytes=self.kernel_memory,
            cpus=self.kernel_cpus,
            processes=self.kernel_processes,
            disk_bytes=self.kernel_disk,
        )

    @property
    def max_kernel_limits(self) -> KernelLimits:
        """What kernels may take at most, whoever says more."""
        return KernelLimits(
            memory_bytes=self.max_kernel_memory,
            cpus=self.max_kernel_cpus,
            processes=self.max_kernel_processes,
            disk_bytes=self.max_kernel_disk,
        )

    def keyring(self, clock: Clock = utc_now) -> Keyring:
        """Return the service's own keys; their file is made when the first one is asked for."""
        return Keyring(
            self.keys_file or self.data / FILE,
            given=self.cookie_secret.get_secret_value() if self.cookie_secret else None,
            older=self.data / OLDER_FILE,
            shared=self.keys_file is not None,
            clock=clock,
        )
