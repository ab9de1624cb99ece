"""The command `dependency graph`: which jobs run after which, as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from respawn_jobs.cli.common.options import json_option

if TYPE_CHECKING:
    from respawn_jobs.api.triggers import Graph


@click.command()
@click.option("--namespace", help="Only what has to do with this namespace's jobs.")
@click.option("--archived", is_flag=True, help="The archived ones as well.")
@json_option
def graph(namespace: str | None, archived: bool, as_json: bool) -> int:
    """Show which jobs run after which."""
    from respawn_jobs.cli.common import printing
    from respawn_jobs.cli.common.service_connection import connection

    with connection() as connected:
        found = connected.service.graph(namespace, archived=archived)
    if as_json:
        printing.document(found.model_dump(mode="json"))
    else:
        _show_graph(found)
    return 0


def _show_graph(found: Graph) -> None:
    from rich.console import Console
    from rich.tree import Tree

    from respawn_jobs.cli.common import printing

    nodes = {node.job: node for node in found.nodes}
    following: dict[str, list[str]] = {}
    for edge in found.edges:
        following.setdefault(edge.upstream, []).append(edge.job)
    waiting = {edge.job: edge for edge in found.edges}
    shown: set[str] = set()

    def label(job: str) -> str:
        node, edge = nodes[job], waiting.get(job)
        words = [printing.plain(job)]
        words += [printing.coloured(node.state.value)] if node.state else []
        words += ["[dim]archived[/]"] if node.archived else []
        words += [f"next {printing.moment(node.next_due)}"] if node.next_due else []
        if edge is not None:
            rule = edge.trigger_rule
            how = f"{'all' if rule.needs_all else 'any'} {'ended' if rule.accepts_failures else 'succeeded'}"
            how = how if rule.known else "a rule that is unknown here says so"
            words.append(f"[dim]when {how}, by {edge.period}{', paused' * edge.paused}[/]")
        return "  ".join(words)

    def add(tree: Tree, job: str) -> None:
        for downstream in following.get(job, []):
            again = downstream in shown and downstream in following
            branch = tree.add(label(downstream) + ("  [dim](followed above)[/]" if again else ""))
            shown.add(downstream)
            if not again:
                add(branch, downstream)

    console = Console(highlight=False, soft_wrap=True)
    for job in nodes:
        if job not in waiting:
            tree = Tree(label(job))
            add(tree, job)
            console.print(tree)
    if not nodes:
        console.print("no job runs after another")
