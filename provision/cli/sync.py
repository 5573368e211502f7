"""Sync with the mail servers: status, preview, push, pull, resolve, retry."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from provision.cli.output import Json, Number, Size, cell, pages, say, say_json, table, tell
from provision.cli.session import Code, Session, session_of
from provision.cli.views import without_ids
from provision.core import address as addresses
from provision.core.columns import Column
from provision.core.errors import InvalidInput, NotFound
from provision.core.plan import Difference, Plan
from provision.core.state import Key, Resource
from provision.services.adopting import PullResult
from provision.services.resolving import Winner
from provision.storage.models import Server, SyncStatus
from provision.sync.result import PushResult, PushStatus

ServerName = Annotated[str | None, typer.Argument(help="The mail server; needed where there are several.")]
PLURALS = {"mailbox": "mailboxes", "alias": "aliases"}
COUNTS = (Column("entries"), *(Column(state) for state in SyncStatus))
UNSYNCED = (
    Column("waiting", value="address"),
    Column("sync", value="sync_status"),
    Column("server"),
    Column("tries", value="attempts"),
    Column("next try", value="next_attempt_at"),
    Column("reason"),
)
app = typer.Typer(no_args_is_help=True)


@app.command()
def status(context: typer.Context, number: Number = 1, page_size: Size = 50, as_json: Json = False) -> int:
    """What is not on the mail servers yet, and why; exit code 3 if anything is."""
    session = session_of(context)
    queries, actor = session.app.queries, session.actor
    counts = queries.counts(actor)
    unsynced = queries.unsynced(actor, number=number, size=page_size)
    if as_json:
        say_json({"counts": counts, "waiting": [without_ids(row) for row in unsynced.rows], "total": unsynced.total})
    else:
        table(COUNTS, [{"entries": plural, **_counts(counts, what)} for what, plural in PLURALS.items()])
        say("")
        table(UNSYNCED, unsynced.rows, "Everything is on the mail servers.")
        pages(unsynced)
        say(*dict.fromkeys(f"{row['server']}: {row['advice']}" for row in unsynced.rows))
    return Code.WAITING if unsynced.total else Code.DONE


def _counts(counts: Mapping[str, int], what: str) -> dict[str, int]:
    return {state: counts.get(f"{what}.{state}", 0) for state in SyncStatus}


@app.command()
def preview(context: typer.Context, server: ServerName = None, as_json: Json = False) -> int:
    """What a push would do, and what differs; exit code 4 if anything differs, 3 if something only waits."""
    session = session_of(context)
    plan = session.app.services.sync.preview(session.actor, session.server(server).uid)
    changes, found = list(map(_change, plan.changes)), [dict(zip(FOUND, f, strict=True)) for f in _found(plan)]
    if as_json:
        say_json({"changes": changes, "beside": list(plan.beside), "found": found})
    else:
        table((Column("change"), Column("address")), changes, "There is nothing to send.")
        say(*(f"Written besides: {cell(line)}" for line in plan.beside), "")
        table([Column(name) for name in FOUND], found, "Nothing differs.")
    if found:
        return Code.DIFFERENT
    return Code.WAITING if plan.changes else Code.DONE


FOUND = ("found", "address", "field", "here", "there")


def _found(plan: Plan) -> Iterable[tuple[str, ...]]:
    """Every difference a person may want to resolve, and what cannot be resolved from here."""
    for word, differences in (("differs", plan.differing), ("clashes", plan.conflicts)):
        yield from ((word, d.key.address, d.field, d.ours, d.theirs) for d in _distinct(differences))
    for word, keys in (("unknown here", plan.unknown), ("gone there", [*plan.missing, *plan.unrecoverable])):
        yield from ((word, key.address, key.resource, "", "") for key in keys)
    yield from (("cannot", key.address, what, "wanted", "not possible") for key, what in plan.unsupported)
    yield from (("blocked", key.address, why, "wanted", "not touched") for key, why in plan.blocked)
    yield from (("warning", "", text, "", "") for text in plan.warnings)
    yield from (("left alone", u.where, u.reason, "", u.text) for u in plan.unmanageable)


def _distinct(differences: Iterable[Difference]) -> list[Difference]:
    return list(dict.fromkeys(differences))


def _change(change: Any) -> dict[str, str]:
    """`CreateMailbox` as “create mailbox”."""
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in type(change).__name__)
    return {"change": words.strip(), "address": change.address}


@app.command()
def push(
    context: typer.Context,
    server: Annotated[str | None, typer.Argument(help="The mail server; all of them if none is named.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Although much would go or is missing: somebody looked at it.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Send what waits, now."""
    session = session_of(context)
    names = [session.server(server)] if server or force else session.app.queries.servers(session.actor)
    send = session.app.services.sync.force_push if force else session.app.services.sync.push
    results = [(row, send(session.actor, row.uid)) for row in names]
    lines = [line for row, result in results for line in _lines(row, result)]
    arrived = all(r.status in (PushStatus.DONE, PushStatus.IDLE) and not r.failed for _, r in results)
    return tell(as_json, [_result(*one) for one in results], *lines, code=Code.DONE if arrived else Code.WAITING)


def _lines(row: Server, result: PushResult) -> list[str]:
    return [f"{row.name}: {_ending(result)}", *(f"  {cell(str(failure))}" for failure in result.failures)]


def _ending(result: PushResult) -> str:
    if result.status is PushStatus.DONE:
        return f"{result.delivered:,} delivered" + (f", {result.failed:,} refused." if result.failed else ".")
    return cell(result.message)


def _result(row: Server, result: PushResult) -> dict[str, Any]:
    shown = {name: getattr(result, name) for name in ("delivered", "failed", "message", "retry_at")}
    return {"server": row.name, "end": result.status, **shown, "failures": list(map(str, result.failures))}


@app.command()
def pull(
    context: typer.Context,
    server: ServerName = None,
    force: Annotated[
        bool, typer.Option("--force", help="Where both have it and differ, take the server's values.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Import what is on the server and unknown here; exit code 4 if something was left alone or is gone there."""
    session = session_of(context)
    result = session.app.services.sync.pull(session.actor, session.server(server).uid, force=force)
    lines = [f"Imported {result.imported:,}, updated {result.updated:,}."]
    lines += [f"Left alone: {cell(error)}" for error in result.errors]
    lines += [f"Gone there: {address}" for address in result.missing]
    code = Code.DIFFERENT if result.errors or result.missing else Code.DONE
    return tell(as_json, {name: getattr(result, name) for name in PullResult.__slots__}, *lines, code=code)


@app.command()
def resolve(
    context: typer.Context,
    wins: Annotated[Winner, typer.Option("--wins", help="Whose side is kept.")],
    address: Annotated[str | None, typer.Argument(help="What differs.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every difference of values.")] = False,
    server: Annotated[str | None, typer.Option("--server", help="Needed where there are several.")] = None,
    as_json: Json = False,
) -> int:
    """Resolve a difference that `preview` shows, either way."""
    session = session_of(context)
    row = session.server(server)
    if everything == (address is not None):
        raise InvalidInput("Name one address, or say --all.", code="WHICH_DIFFERENCE")
    if address is None:
        number = session.app.services.sync.resolve_all(session.actor, row.uid, wins)
    else:
        session.app.services.sync.resolve(session.actor, row.uid, _key(session, row, address), wins)
        number = 1
    side = "mail server" if wins is Winner.SERVER else "dashboard"
    return tell(as_json, {"resolved": number, "wins": wins}, f"Settled {number:,}: the {side} wins.")


def _key(session: Session, server: Server, address: str) -> Key:
    """Mailbox or alias: as the plan has it. Raises: NotFound."""
    wanted = addresses.normalise_alias(address)
    plan = session.app.services.sync.preview(session.actor, server.uid)
    differing = [d.key for d in (*plan.differing, *plan.conflicts)]
    for key in (*differing, *plan.unknown, *plan.missing, *plan.unrecoverable):
        if key.address == wanted:
            return key
    raise NotFound(f"{wanted} does not differ.", code="NO_DIFFERENCE")


@app.command()
def retry(
    context: typer.Context,
    address: Annotated[str | None, typer.Argument(help="One mailbox or alias; everything if none is named.")] = None,
    server: Annotated[str | None, typer.Option("--server", help="Everything of this mail server.")] = None,
    as_json: Json = False,
) -> int:
    """Try again what was given up or waits."""
    session = session_of(context)
    if address:
        session.app.services.sync.retry(session.actor, *_unsynced(session, address))
        number = 1
    else:
        uid = session.server(server).uid if server else None
        number = session.app.services.sync.retry_all(session.actor, uid)
    left = session.app.queries.unsynced(session.actor, size=1).total
    waits = f"{left:,} still wait" if left else "nothing waits any more"
    code = Code.WAITING if left else Code.DONE
    return tell(as_json, {"tried": number, "still_waiting": left}, f"Tried {number:,} again; {waits}.", code=code)


def _unsynced(session: Session, address: str) -> tuple[Resource, Any]:
    """Mailbox or alias, whichever has this address."""
    wanted = addresses.normalise_alias(address)
    if not wanted.startswith("@"):
        try:
            return Resource.MAILBOX, session.mailbox(wanted).uid
        except NotFound:
            pass
    return Resource.ALIAS, session.alias(wanted).uid
