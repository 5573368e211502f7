"""Examine an installation: what is well, what is not, and what to do about it. Nothing is changed."""

import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from sqlalchemy import func, select, text

from provision.app import Postroom, open_postroom
from provision.core.errors import ProvisionError
from provision.settings.config import Settings
from provision.storage.database import Database
from provision.storage.encryption import Sealer
from provision.storage.models import Alias, Mailbox, ProvisionLog, Server, SyncStatus, utc_now
from provision.storage.sealed import is_needed, unreadable
from provision.storage.trouble import RESTORE, DatabaseUnavailable, require_data_folder

LOW_DISK = 500 << 20  # bytes
LATE = timedelta(minutes=5)
CLOCK_TOLERANCE = timedelta(seconds=5)


WAITING = "waiting passwords"
PUT_BACK = (
    "Put the file back; if it is lost for good: python -m provision key new, then reset those passwords and type the "
    "secret settings of mail servers anew."
)


class Verdict(StrEnum):
    WELL = "well"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice`: what to do; empty where all is well."""

    about: str
    verdict: Verdict
    text: str
    advice: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Every check there is, in the order in which one needs the other; what cannot be looked at is not listed."""
    with closing(Database(settings.url)) as database:
        found = [*_data_folder(settings.data_dir), *_key_file(settings.key_file)]
        of_the_log = _key_file(settings.chain_key_file, "log key")
        found += [finding for finding in of_the_log if finding.verdict is not Verdict.WELL]
        found += _database(database)
        if not settings.key_file.exists() and not _has_problem(found) and is_needed(database):
            found.append(_problem(WAITING, "The key that they were sealed with is gone.", PUT_BACK))
    yield from found
    if _has_problem(found):
        return  # the product does not start
    with closing(open_postroom(settings, migrate=False)) as app:
        for check in (_waiting_secrets, _clock, _delivery, _mail_servers):
            yield from check(app)


def _has_problem(found: Iterable[Finding]) -> bool:
    return any(finding.verdict is Verdict.PROBLEM for finding in found)


def _well(about: str, text: str) -> Finding:
    return Finding(about, Verdict.WELL, text)


def _problem(about: str, text: str, advice: str) -> Finding:
    return Finding(about, Verdict.PROBLEM, text, advice)


def _warning(about: str, text: str, advice: str) -> Finding:
    return Finding(about, Verdict.WARNING, text, advice)


# ---- this machine --------------------------------------------------------------------------


def _data_folder(folder: Path) -> Iterator[Finding]:
    about = "data folder"
    if not folder.is_dir():
        yield _problem(about, f"{folder.absolute()} is not there.", "Make it, or set POSTROOM_DATA_DIR.")
        return
    try:
        require_data_folder(folder)
    except DatabaseUnavailable as error:
        yield _problem(about, error.facts, error.advice)
        return
    free = shutil.disk_usage(folder).free
    if free < LOW_DISK:
        yield _warning(about, f"Only {free >> 20} MB are free on its disk.", "Make room before changes are refused.")
    elif folder.stat().st_mode & stat.S_IRWXO:
        yield _warning(about, f"Everybody on this machine can look into {folder.absolute()}.", f"chmod 700 {folder}")
    else:
        yield _well(about, f"{folder.absolute()}, {free >> 30} GB free.")


def _key_file(path: Path, about: str = "key") -> Iterator[Finding]:
    if not path.exists():
        yield _warning(about, f"{path} is not there.", "It is made at the first start. If there was one, put it back.")
        return
    try:
        Sealer.from_file(path)
    except ProvisionError as error:
        yield _problem(about, error.message, "Put the right file back, or give it to the user that Postroom runs as.")
        return
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield _warning(about, f"Others than its owner can read {path}.", f"chmod 600 {path}")
    elif about == "key" and (count := len(path.read_text().split())) > 1:
        yield _warning(
            about, f"{count} keys are in {path}.", "When all processes run on: python -m provision key retire"
        )
    else:
        yield _well(about, f"{path}")


# ---- the database --------------------------------------------------------------------------


def _database(database: Database) -> Iterator[Finding]:
    about = "database"
    try:
        has, needs = database.revision(), database.newest_revision()
        if has is None:
            yield _problem(about, "There is none yet.", "Start Postroom once, or restore a backup.")
            return
        with database.read() as session:
            version = session.scalar(text("SELECT sqlite_version()" if database.is_sqlite else "SHOW server_version"))
            damage = session.scalar(text("PRAGMA quick_check(1)")) if database.is_sqlite else "ok"
    except DatabaseUnavailable as error:
        yield _problem(about, error.facts, error.advice or "Start it, or correct POSTROOM_DATABASE_URL.")
        return
    if damage != "ok":
        yield _problem(about, f"The database file {database.path} is damaged: {damage}", RESTORE)
        return
    yield _well(about, f"{'SQLite' if database.is_sqlite else 'PostgreSQL'} {version} answers.")
    if has == needs:
        yield _well("migrations", f"The tables are those of this release ({needs}).")
    elif has < needs:
        advice = "They are brought up to date at the next start. Make a backup before."
        yield _problem("migrations", f"The tables are at {has}, this release needs {needs}.", advice)
    else:
        advice = "Start the newer release again, or restore a backup of this one."
        yield _problem("migrations", f"The tables are at {has}, this release knows {needs} only.", advice)


def _waiting_secrets(app: Postroom) -> Iterator[Finding]:
    count = unreadable(app.database, Sealer.from_file(app.settings.key_file))
    if count:
        advice = "Put the old key back as a further line of the key file, or reset those passwords."
        yield _problem(WAITING, f"{count} were sealed with another key.", advice)
    else:
        yield _well(WAITING, "All can be read.")


def _clock(app: Postroom) -> Iterator[Finding]:
    """Ours against the database server's, and against the newest record."""
    with app.database.read() as session:
        newest = session.scalar(select(ProvisionLog.started_at).order_by(ProvisionLog.id.desc()).limit(1))
        started = utc_now()
        theirs = started if app.database.is_sqlite else session.scalar(select(func.clock_timestamp()))
    advice = "Set the clock (NTP); times in the log and waiting times would be wrong."
    if newest and newest > started + CLOCK_TOLERANCE:
        yield _problem(
            "clock", f"It is {started:%H:%M:%S}, but the newest record is of {newest:%Y-%m-%d %H:%M:%S} UTC.", advice
        )
    elif theirs and abs(theirs - started) > CLOCK_TOLERANCE:
        yield _problem("clock", f"It differs from the database server's by {abs(theirs - started)}.", advice)
    else:
        yield _well("clock", f"{started:%Y-%m-%d %H:%M:%S} UTC ({time.tzname[0]} here).")


# ---- the mail servers ----------------------------------------------------------------------


def _delivery(app: Postroom) -> Iterator[Finding]:
    """Changes that could have gone long ago: nobody works on them."""
    due = utc_now() - LATE
    late = 0
    with app.database.read() as session:
        for table in (Mailbox, Alias):
            waits = func.coalesce(table.next_attempt_at, table.updated_at) < due
            free = Server.alarm.is_(None) & (func.coalesce(Server.next_attempt_at, due) <= due)
            query = select(func.count()).select_from(table).join(Server, Server.id == table.server_id)
            late += session.scalar(query.where(table.sync_status == SyncStatus.PENDING, waits, free)) or 0
    if late:
        advice = "Nobody delivers: start the dashboard, or “python -m provision worker” where POSTROOM_JOBS is false."
        yield _problem(
            "delivery", f"{late} changes wait for more than five minutes although nothing holds them.", advice
        )
    else:
        yield _well("delivery", "Nothing waits that could have gone.")


def _mail_servers(app: Postroom) -> Iterator[Finding]:
    with app.database.read() as session:
        servers = session.scalars(select(Server).order_by(Server.name)).all()
    if not servers:
        yield _warning("mail server", "There is none yet.", "Add one on the Settings page, or by: server add")
    for server in servers:
        yield from _mail_server(app, server)


def _mail_server(app: Postroom, server: Server) -> Iterator[Finding]:
    about = f"mail server {server.name}"
    problems = _sentences(lambda: app.sync.check_server(server.id))
    for problem in problems:
        yield _problem(about, problem, "Settings → Mail servers, or: python -m provision server edit")
    if server.alarm:
        yield _problem(about, server.alarm, "Look at the preview on the Sync page; nothing is sent until you force it.")
    warnings = app.sync.warnings(server.id)
    for warning in warnings:
        yield _warning(about, warning, "Look at the preview on the Sync page, or correct it in the server's files.")
    if not problems and not warnings and not server.alarm:
        yield _well(about, f"{server.kind}, {server.accounts:,} accounts, can be read and written.")


def _sentences(check: Callable[[], list[str]]) -> list[str]:
    try:
        return check()
    except ProvisionError as error:
        return [error.message]
