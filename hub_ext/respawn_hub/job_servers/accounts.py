"""Which account of the hub the jobs of a namespace run as."""

from __future__ import annotations

from collections.abc import Mapping

from respawn_jobs.errors import Unavailable

_OF_A_USER = "user/"


class Accounts:
    """The accounts of all namespaces.

    Args:
        of_teams: the account of each team's namespace, as the administrator names them.
    """

    def __init__(self, of_teams: Mapping[str, str] | None = None) -> None:
        self._of_teams = dict(of_teams or {})

    def account(self, namespace: str) -> str:
        """Return the hub's user as whom a namespace's jobs run: its owner, or the account of its team.

        Never who promoted a job: whoever may edit one could then run code as a colleague.

        Args:
            namespace: such as `user/ada` or `team/risk`.

        Raises:
            Unavailable: it is a team's, and no account was named for it.
        """
        if namespace.startswith(_OF_A_USER):
            return namespace.removeprefix(_OF_A_USER)
        account = self._of_teams.get(namespace)
        if account is None:
            raise Unavailable(
                f"no account is named for the jobs of {namespace}: an administrator names one by "
                f"RESPAWN_TEAM_ACCOUNTS={namespace}=ACCOUNT",
                namespace=namespace,
            )
        return account
