"""What the service asks of the ledger about job servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from respawn_jobs.access import Actor
from respawn_jobs.api.job_server_protocol import KeptKernelReport, KnownJobServer
from respawn_jobs.ledger.capacity import job_servers, leadership
from respawn_jobs.ledger.capacity.leadership import Leader
from respawn_jobs.ledger.context.context import Context
from respawn_jobs.ledger.context.job_places import JobPlaces
from respawn_jobs.ledger.operations import living_kernels
from respawn_jobs.model.kernels import JobPlace, LivingKernel, ServerKernel


class JobServerLedger:
    """The part of `Ledger` that knows the job servers."""

    _context: Context

    def attach_places(self, places: JobPlaces) -> None:
        """Let the ledger know where jobs run."""
        self._context.places = places

    def remember_kernels(self) -> None:
        """Know what the servers have said of their kernels, in whichever replica and process."""
        job_servers.remember_kernels(self._context)

    def lead(self, task: str, own: Leader) -> Leader:
        """Lead what one replica does for all, unless another one does; return who leads.

        Args:
            task: what is led.
            own: the replica that asks.
        """
        return leadership.lead(self._context, task, own)

    def step_down(self, replica: str) -> None:
        """Have a replica lead nothing any more; see `leadership.step_down`."""
        leadership.step_down(self._context, replica)

    def plan_job_server(self, account: str, profile: str | None = None) -> job_servers.PlannedServer | None:
        """Return a job server to ask the hub for; None where there is one; see `job_servers.plan`.

        Args:
            account: the hub's user whose server it will be.
            profile: what it will be started with; None for none.
        """
        return job_servers.plan(self._context, account, profile)

    def note_kernels(self, name: str, kernels: Sequence[ServerKernel]) -> None:
        """Keep which kernels a job server has; see `job_servers.note_kernels`.

        Args:
            name: the server's name at the hub.
            kernels: all that it has.
        """
        job_servers.note_kernels(self._context, name, kernels)

    def register_job_server(self, name: str, account: str, nonce: str) -> str:
        """Return the key of a job server that registers; see `job_servers.register`.

        Args:
            name: the server's name at the hub.
            account: the hub's user whose server it is.
            nonce: what it was started with.

        Raises:
            Unauthenticated: it was not asked for, or has registered before.
        """
        return job_servers.register(self._context, name, account, nonce)

    def recognize_job_server(self, name: str, key: str) -> str:
        """Return the account of a job server. Raises Unauthenticated for a key that is not its own."""
        return job_servers.recognize(self._context, name, key)

    def job_servers(self) -> list[KnownJobServer]:
        """Return the job servers that were asked for and not forgotten."""
        return job_servers.known(self._context)

    def note_places(self, messages: Mapping[JobPlace, str | None]) -> None:
        """Keep why runs have no place, by the place of their jobs; see `job_servers.note_places`."""
        job_servers.note_places(self._context, messages)

    def note_kept_kernels(self, name: str, kept: Sequence[KeptKernelReport]) -> None:
        """Keep which kernels of failed runs live on in a job server; see `job_servers.note_kept`."""
        job_servers.note_kept(self._context, name, kept)

    def enter_kernel(self, actor: Actor, run: str) -> LivingKernel:
        """Return where the kernel of a run lives, to somebody who goes there; see `living_kernels.enter`."""
        return living_kernels.enter(self._context, actor, run)

    def give_up_job_server(self, name: str) -> None:
        """Know a job server no more, but that the hub is to stop it; see `job_servers.give_up`."""
        job_servers.give_up(self._context, name)

    def unwanted_job_servers(self) -> dict[str, str]:
        """Return the account of each job server, by name, that the hub has yet to stop."""
        return job_servers.unwanted(self._context)

    def job_server_stopped(self, name: str) -> None:
        """Forget a job server that was given up, and that the hub has stopped."""
        job_servers.stopped(self._context, name)
