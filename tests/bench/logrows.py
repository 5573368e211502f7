"""A provision log of any length with its whole chain, straight into the database."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Table, func, insert, select, text
from uuid6 import uuid7

from provision.app import Postroom
from provision.audit import chain as audit
from provision.storage.models import AuditLink, LogStatus, ProvisionLog, utc_now
from tests.bench.world import address, domain_number

CHUNK = 20_000
DAYS = 365  # that the log goes back
OPERATORS = ("anna", "ben", "carla", "token:hr", "system")
OPERATIONS = (
    "mailbox.create",
    "mailbox.update",
    "mailbox.reset_password",
    "mailbox.disable",
    "alias.create",
    "alias.delete",
)
PEOPLE = 100_000  # mailboxes that the records are about
Rows = list[dict[str, Any]]


def resource_id(number: int) -> UUID:
    return UUID(int=number % PEOPLE + (7 << 76) + (2 << 62))


def fill_log(app: Postroom, count: int) -> None:
    """Records of a year, each finished, one in 500 FAILED; the chain over them is whole."""
    logs, links = ProvisionLog.__table__, AuditLink.__table__
    started = utc_now() - timedelta(days=DAYS)
    with app.database.read() as session:
        end, key = audit.export_head(session), audit.keys_of(session)[0]
        number = (session.scalar(select(func.max(ProvisionLog.id))) or 0) + 1
    seq, head = end["links"], end["head"]
    for first in range(0, count, CHUNK):
        rows = [
            {"id": number + n, **_record(n, started + timedelta(days=DAYS) * (n / count))}
            for n in range(first, min(count, first + CHUNK))
        ]
        chain: Rows = []
        for row in rows:
            for phase, at in (("intent", row["started_at"]), ("outcome", row["completed_at"])):
                seq += 1
                digest = audit.record_digest(phase, row, keyed=True)
                head = audit.link_hash(head, seq, at, phase, row["uid"], digest, key)
                chain.append(
                    {"seq": seq, "at": at, "phase": phase, "log_uid": row["uid"], "digest": digest, "hash": head}
                )
        _store(app, logs, rows)  # type: ignore[arg-type]
        _store(app, links, chain)  # type: ignore[arg-type]
    if not app.database.is_sqlite:  # the numbers were given here
        with app.database.write() as session:
            session.execute(text("SELECT setval('provision_log_id_seq', (SELECT max(id) FROM provision_log))"))
    tidy = "ANALYZE" if app.database.is_sqlite else "VACUUM ANALYZE"
    with app.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(tidy))


def _record(n: int, at: Any) -> dict[str, Any]:
    failed = n % 500 == 0
    return {
        "uid": uuid7(),
        "operator_id": None,
        "operator": OPERATORS[n * 7 % 5],
        "ip": "192.0.2.7",
        "operation": OPERATIONS[n * 11 % 6],
        "resource_type": "mailbox",
        "resource_id": str(resource_id(n)),
        "resource_name": address(n % PEOPLE),
        "domain": f"corp{domain_number(n % PEOPLE):02}.example",
        "server_id": 1,
        "generation": 1 + n // PEOPLE,
        "payload": {"quota_bytes": 1 << 30, "display_name": f"Person {n}"},
        "started_at": at,
        "status": str(LogStatus.FAILED if failed else LogStatus.SUCCESS),
        "command": "postfix-accounts.cf, dovecot-quotas.cf",
        "exit_code": None,
        "stdout": None,
        "stderr": None,
        "error": "The mail server did not answer." if failed else None,
        "completed_at": at + timedelta(milliseconds=40),
        "duration_ms": 40,
    }


def _store(app: Postroom, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    with app.database.write() as session:
        if app.database.is_sqlite:
            session.execute(insert(table), rows)
        else:
            _copy(session.connection().connection.cursor(), table.name, rows)


def _copy(cursor: Any, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """PostgreSQL's way for many rows."""
    with cursor.copy(f"COPY {table} ({', '.join(rows[0])}) FROM STDIN") as copy:
        for row in _plain(rows):
            copy.write_row(row)


def _plain(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Any]]:
    for row in rows:
        yield [json.dumps(value) if isinstance(value, dict) else value for value in row.values()]
