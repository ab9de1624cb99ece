"""Removes variables from a kernel whose state was restored, before cells make them anew.

When they have, the variables are put into the order of the cells that bind them: `globals()` and `dir` show
it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate

from respawn_kernels.agent.silent_requests import unheard
from respawn_kernels.namespace import live_shell, put_in_order, user_names

_order: list[str] = []
"""The names before the first was removed."""


@unheard()
def forget(names: Iterable[str]) -> None:
    """Remove variables from the user's namespace; those that it does not have are left out.

    Args:
        names: The variables.

    Raises:
        RuntimeError: This is no IPython kernel.
    """
    shell = live_shell()
    if shell is None:
        raise RuntimeError("there is no IPython session whose variables could be removed")
    _order.extend(shell.user_ns if not _order else ())
    for name in names:
        shell.user_ns.pop(name, None)


@unheard()
def settle(bound: Mapping[str, int] | None = None, ran: Collection[int] = ()) -> None:
    """Put variables that were made anew or added where the notebook run from the top has them.

    Args:
        bound: by variable the first cell that binds it; one of which that is not known comes last when it is
            new.
        ran: the cells that ran since the state was restored.
    """
    shell = live_shell()
    if shell is None:
        return
    now = user_names(shell.user_ns)
    put_in_order(shell.user_ns, in_cell_order(_order or now, now, bound or {}, ran))
    _order.clear()


def in_cell_order(
    before: Sequence[str], now: Sequence[str], bound: Mapping[str, int], ran: Collection[int]
) -> list[str]:
    """Return names in the order in which the cells of a notebook bind them first.

    Args:
        before: the names before any was removed.
        now: those that there are, with what was made since in the order of its making.
        bound: by name the first cell that binds it.
        ran: the cells that have made names anew.
    """
    there = set(now)
    made = [name for name in now if bound.get(name) in ran]
    made_names = set(made)
    kept = [name for name in dict.fromkeys([*before, *now]) if name in there and name not in made_names]
    # A name that one of these cells deleted and a later one bound again is where the later one put it.
    places = list(accumulate((bound[name] for name in made), max))
    ordered, done = list[str](), 0
    for name in kept:
        while done < len(made) and places[done] < bound.get(name, -1):
            ordered.append(made[done])
            done += 1
        ordered.append(name)
    return [*ordered, *made[done:]]
