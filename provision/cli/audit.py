"""The chain over the log: verify, head, archive."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from provision.audit.archive import FOLDER, archive_log, verify_archive
from provision.cli.output import MAX_DAYS, Json, say, tell
from provision.cli.session import Code, session_of
from provision.core.errors import InvalidInput
from provision.storage.models import utc_now

app = typer.Typer(no_args_is_help=True)


@app.command()
def verify(
    context: typer.Context,
    head: Annotated[Path | None, typer.Option("--head", help="A head that was kept outside; shows a cut tail.")] = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", help="A file that records were moved to; it is walked instead.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Walk the whole chain; exit code 4 and the first broken link
    if a record was changed, removed, inserted or moved.
    """
    session = session_of(context)
    exported = _read_head(head) if head else None
    if archive:
        report = verify_archive(archive, session.app.database.chain_keys, exported)
    else:
        report = session.app.queries.verify_audit(session.actor, exported, session.app.settings.data_dir / FOLDER)
    shown = {name: getattr(report, name) for name in ("intact", "links", "head", "broken_at", "reason")}
    if report.intact:
        return tell(as_json, shown, f"The log is intact: {report.links:,} links, the last one {report.head}.")
    if report.broken_at is None:
        unsure = f"The log is intact; but {report.reason}."
        return tell(as_json, shown, unsure, code=Code.DIFFERENT)
    return tell(as_json, shown, f"The log is broken at link {report.broken_at}: {report.reason}.", code=Code.DIFFERENT)


@app.command()
def head(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", help="A file to keep outside; shown if none is named.")] = None,
    as_json: Json = False,
) -> int:
    """The end of the chain, to be kept where nobody of here can change it."""
    session = session_of(context)
    found = session.app.queries.audit_head(session.actor)
    if out:
        out.write_text(json.dumps(found) + "\n", encoding="utf-8")
    written = [f"Written to {out}."] if out else []
    return tell(as_json, found, f"{found['links']:,} links, the last one {found['head']}.", *written)


@app.command()
def archive(
    context: typer.Context,
    days: Annotated[int, typer.Option("--days", min=1, max=MAX_DAYS, help="Records older than this.")],
) -> int:
    """Move old records to files, which `verify --archive` can walk; the dashboard shows them no more."""
    session = session_of(context)
    folder = session.app.settings.data_dir / FOLDER
    before = utc_now() - timedelta(days=days)
    files = archive_log(session.app.database, folder, before, session.actor)
    for moved in files:
        say(f"Moved to {moved.file}, up to link {moved.links:,}, hash {moved.head}.")
    if not files:
        say("There is nothing to move.")
    return Code.DONE


def _read_head(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {"links": int(found["links"]), "head": str(found["head"])}
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(f"{path} is no head of a chain, as `audit head --out` writes it.", code="NO_HEAD") from None
