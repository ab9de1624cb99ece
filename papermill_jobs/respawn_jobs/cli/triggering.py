"""The commands for triggers other than schedules: `after`, `hook`, `watch`, `graph`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from respawn_jobs.cli.options import json_option, parameter_option
from respawn_jobs.cli.promoting import parsed_for_job

if TYPE_CHECKING:
    from respawn_jobs.cli.connection import Connection
    from respawn_jobs.service_triggers import After, Graph, NewHook, Source

_FORM = "NAME=JOB:WHAT, with WHAT one of artifact:NAME, parameter:NAME, run and state"


@click.command()
@click.argument("job")
@click.option("--on", "upstream", multiple=True, metavar="JOB", help="A job to wait for; repeatable.")
@click.option("--any", "needs_any", is_flag=True, help="One of them is enough.")
@click.option("--end", is_flag=True, help="Failed and cancelled runs of them count too.")
@click.option(
    "--period",
    type=click.Choice(["due", "hour", "day", "week", "month"]),
    help="Which of their runs belong together.  [default: due, those of one logical date]",
)
@click.option("--tz", help="IANA time zone of the period.  [default: UTC]")
@click.option("--take", multiple=True, metavar="NAME=JOB:WHAT", help=f"A parameter: {_FORM}; repeatable.")
@parameter_option
@click.option("--pause", is_flag=True, help="Let the rule rest.")
@click.option("--unpause", is_flag=True, help="Let it go on.")
@click.option("--remove", is_flag=True, help="Remove the rule; its runs stay.")
@json_option
def after(
    job: str,
    upstream: tuple[str, ...],
    needs_any: bool,
    end: bool,
    period: str | None,
    tz: str | None,
    take: tuple[str, ...],
    parameters: tuple[tuple[str, str], ...],
    pause: bool,
    unpause: bool,
    remove: bool,
    as_json: bool,
) -> int:
    """Run a job after others.

    Without an option, show its rule.
    """
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.service_triggers import AfterRequest

    if sum((bool(upstream), pause, unpause, remove)) > 1:
        raise click.UsageError("give one of --on, --pause, --unpause and --remove")
    if not upstream and (needs_any or end or period or tz or take or parameters):
        raise click.UsageError("--any, --end, --period, --tz, --take and -p belong to --on")
    sources = dict(_source(text) for text in take)
    with connection() as connected:
        service = connected.service
        if upstream:
            request = AfterRequest(
                job=job,
                after=list(upstream),
                needs="any" if needs_any else "all",
                waits_for="end" if end else "success",
                period=period or "due",  # type: ignore[arg-type]  # click allows nothing else
                tz=tz or "UTC",
                parameters=parsed_for_job(service, job, parameters),
                sources=sources,
            )
            rule: After | None = service.follow(request)
            _note_store(connected)
        elif remove:
            service.unfollow(job)
            rule = None
        elif pause or unpause:
            rule = service.pause_following(job, paused=pause)
        else:
            rule = service.triggers(job).after
    _show_rule(rule, as_json)
    return 0


@click.command()
@click.argument("job")
@click.option("--accept", "accepts", multiple=True, metavar="NAME", help="A parameter that calls may give.")
@parameter_option
@click.option("--list", "list_them", is_flag=True, help="List the job's webhooks.")
@click.option("--rotate", metavar="HOOK", help="Give a webhook another secret.")
@click.option("--remove", metavar="HOOK", help="Remove a webhook; its runs stay.")
@json_option
def hook(
    job: str,
    accepts: tuple[str, ...],
    parameters: tuple[tuple[str, str], ...],
    list_them: bool,
    rotate: str | None,
    remove: str | None,
    as_json: bool,
) -> int:
    """Make a webhook that runs a job; its secret is printed this once."""
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.service_triggers import HookRequest

    if sum((list_them, rotate is not None, remove is not None, bool(accepts or parameters))) > 1:
        raise click.UsageError("give one of --list, --rotate, --remove, or --accept and -p for a new one")
    with connection() as connected:
        service = connected.service
        if rotate is not None or remove is not None:
            _own("webhook", str(rotate or remove), [one.id for one in service.triggers(job).hooks], job)
        if rotate is not None:
            _show_secret(service.rotate(rotate), connected, as_json)
            return 0
        if not list_them and remove is None:
            values = parsed_for_job(service, job, parameters)
            request = HookRequest(job=job, parameters=values, accepts=list(accepts))
            _show_secret(service.hook(request), connected, as_json)
            _note_store(connected)
            return 0
        if remove is not None:
            service.unhook(remove)
        hooks = service.triggers(job).hooks
    if as_json:
        printing.document({"hooks": [one.model_dump(mode="json") for one in hooks]})
    else:
        rows = [
            [one.id, printing.plain(one.url or ""), printing.plain(", ".join(one.accepts)), one.created_by]
            for one in hooks
        ]
        printing.table(["webhook", "address", "accepts", "by"], rows)
    return 0


@click.command()
@click.argument("job")
@click.option("--prefix", help="Directory below the job's namespace in the inbox, such as incoming/orders.")
@click.option("--parameter", metavar="NAME", help="The parameter that is given the object's address.")
@parameter_option
@click.option("--remove", metavar="WATCH", help="Remove a watch; its runs stay.")
@json_option
def watch(
    job: str,
    prefix: str | None,
    parameter: str | None,
    parameters: tuple[tuple[str, str], ...],
    remove: str | None,
    as_json: bool,
) -> int:
    """Run a job for each object that appears under a prefix of the inbox.

    Without an option, list its watches.
    """
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection
    from respawn_jobs.service_triggers import WatchRequest

    if prefix is None and (parameter or parameters):
        raise click.UsageError("--parameter and -p belong to --prefix")
    if prefix is not None and remove is not None:
        raise click.UsageError("give one of --prefix and --remove")
    with connection() as connected:
        service = connected.service
        if prefix is not None:
            values = parsed_for_job(service, job, parameters)
            service.watch(WatchRequest(job=job, prefix=prefix, parameter=parameter, parameters=values))
        if remove is not None:
            _own("watch", remove, [one.id for one in service.triggers(job).watches], job)
            service.unwatch(remove)
        watches = service.triggers(job).watches
    if as_json:
        printing.document({"watches": [one.model_dump(mode="json") for one in watches]})
        return 0
    rows = [
        [
            one.id,
            printing.plain(one.address or one.prefix),
            one.parameter or "",
            printing.plain(one.said or ""),
        ]
        for one in watches
    ]
    printing.table(["watch", "objects under", "parameter", "trouble"], rows)
    return 0


@click.command()
@click.option("--namespace", help="Only what has to do with this namespace's jobs.")
@click.option("--archived", is_flag=True, help="The archived ones as well.")
@json_option
def graph(namespace: str | None, archived: bool, as_json: bool) -> int:
    """Show which jobs run after which."""
    from respawn_jobs.cli import printing
    from respawn_jobs.cli.connection import connection

    with connection() as connected:
        found = connected.service.graph(namespace, archived=archived)
    if as_json:
        printing.document(found.model_dump(mode="json"))
    else:
        _show_graph(found)
    return 0


def _source(text: str) -> tuple[str, Source]:
    from respawn_jobs.service_triggers import Source

    name, _, rest = text.partition("=")
    job, _, what = rest.partition(":")
    take, _, of = what.partition(":")
    if not (name and job) or take not in ("artifact", "parameter", "run", "state"):
        raise click.UsageError(f"--take {text!r} is not of the form {_FORM}")
    return name, Source(job=job, take=take, name=of or None)  # type: ignore[arg-type]  # checked above


def _show_rule(rule: After | None, as_json: bool) -> None:
    from respawn_jobs.cli import printing

    if as_json:
        printing.document({"after": rule and rule.model_dump(mode="json")})
        return
    if rule is None:
        click.echo("it runs after no other job")
        return
    ends = "has ended" if rule.waits_for == "end" else "has succeeded"
    each = "logical date" if rule.period == "due" else f"{rule.period} in {rule.tz}"
    resting = " (paused)" if rule.paused else ""
    click.echo(f"{rule.id} runs {rule.job} when {rule.needs} of these {ends}, once for each {each}{resting}:")
    for job in rule.after:
        click.echo(f"  {job}")
    for name, source in rule.sources.items():
        of = f" {source.name}" if source.name else ""
        click.echo(f"{name} is taken from {source.job}: {source.take}{of}")


def _show_secret(new: NewHook, connected: Connection, as_json: bool) -> None:
    from respawn_jobs.cli import printing

    if as_json:
        printing.document(new.model_dump(mode="json"))
        return
    # A hub that does not know its own public address tells a path only.
    url = new.hook.url if "://" in (new.hook.url or "") else f"{connected.url or ''}/hooks/{new.hook.id}"
    click.echo(f"{new.hook.id} runs {new.hook.job}")
    click.echo(f"address: {url}")
    click.echo(f"secret:  {new.secret}")
    click.echo("note: the secret is not shown again", err=True)


def _show_graph(found: Graph) -> None:
    from rich.console import Console
    from rich.tree import Tree

    from respawn_jobs.cli import printing

    nodes = {node.job: node for node in found.nodes}
    following: dict[str, list[str]] = {}
    for edge in found.edges:
        following.setdefault(edge.upstream, []).append(edge.job)
    rules = {edge.job: edge for edge in found.edges}
    shown: set[str] = set()

    def label(job: str) -> str:
        node, rule = nodes[job], rules.get(job)
        words = [printing.plain(job)]
        words += [printing.coloured(node.state.value)] if node.state else []
        words += ["[dim]archived[/]"] if node.archived else []
        words += [f"next {printing.moment(node.next_due)}"] if node.next_due else []
        if rule is not None:
            how = "ended" if rule.waits_for == "end" else "succeeded"
            words.append(f"[dim]when {rule.needs} {how}, by {rule.period}{', paused' * rule.paused}[/]")
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
        if job not in rules:
            tree = Tree(label(job))
            add(tree, job)
            console.print(tree)
    if not nodes:
        console.print("no job runs after another")


def _own(kind: str, wanted: str, known: Sequence[str], job: str) -> None:
    from respawn_jobs.errors import NotFound

    if wanted not in known:
        raise NotFound(f"{job} has no {kind} {wanted}; it has {', '.join(known) or 'none'}", job=job)


def _note_store(connected: Connection) -> None:
    if connected.ledger is not None:
        click.echo("note: only a hub acts on this; nothing does in this store", err=True)


COMMANDS: tuple[Any, ...] = (after, hook, watch, graph)
