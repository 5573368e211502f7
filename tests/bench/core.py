"""Push, preview, one change, and queries, on SQLite and PostgreSQL: `python -m tests.bench.core`."""

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from provision.app import Postroom, open_postroom
from provision.queries import MailboxFilter
from provision.services.new_mailbox import NewMailbox
from provision.settings.config import Settings
from provision.storage.models import SyncStatus
from tests.bench.world import (
    ADMIN,
    KINDS,
    Maker,
    address,
    few,
    fill,
    memory_mb,
    percentile,
    products,
    seconds,
    table,
    volume,
)
from tests.conftest import HASH

MANY, ALIASES, PUSHED = few(100_000), few(50_000), few(10_000)


def bench_push(make: Maker) -> None:
    rows = []
    for kind in KINDS:
        app = make(kind)
        fill(app, PUSHED, PUSHED // 2, synced=False)
        server = app.queries.servers(ADMIN)[0]
        took = seconds(lambda: app.services.sync.push(ADMIN, server.uid))  # noqa: B023
        synced = app.queries.counts(ADMIN)
        lines = len((volume(app) / "postfix-accounts.cf").read_text().splitlines())
        again = seconds(lambda: app.services.sync.push(ADMIN, server.uid))  # noqa: B023
        rows.append([kind, f"{took:.2f} s", f"{synced['mailbox.SYNCED']:,}", f"{lines:,}", f"{again:.2f} s", "< 3 s"])
    head = [
        "database",
        f"{PUSHED:,} mailboxes + quotas + {PUSHED // 2:,} aliases",
        "SYNCED",
        "account lines",
        "confirming them",
        "target",
    ]
    table("Push through dms_files, hashes given", head, rows)


@cache
def filled(make: Maker, kind: str) -> Postroom:
    """For what only reads."""
    app = make(kind)
    fill(app, MANY, ALIASES, synced=True)
    return app


def bench_preview(make: Maker) -> None:
    rows = []
    for kind in KINDS:
        app = filled(make, kind)
        idle, took, memory = preview_apart(app)
        rows.append([kind, f"{took:.2f} s", f"{memory:.0f} MB", f"{idle:.0f} MB", "< 2 s, < 300 MB"])
    head = ["database", f"{MANY:,} mailboxes + {ALIASES:,} aliases", "memory of the process", "before", "target"]
    table("Preview (read + plan), nothing to do", head, rows)


def preview_apart(app: Postroom) -> tuple[float, float, float]:
    """In a process of its own, so that its memory is that of a preview alone: MB before, seconds, most MB."""
    where = ["--preview-in", app.settings.url, str(app.settings.data_dir)]
    command = [sys.executable, "-m", "tests.bench.core", *where]
    idle, took, memory = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(idle), float(took), float(memory)


def preview_once(url: str, data_dir: str) -> None:
    app = open_postroom(Settings(data_dir=Path(data_dir), database_url=url, page_budget_seconds=60), migrate=False)
    server = app.queries.servers(ADMIN)[0]
    idle = memory_mb()

    def preview() -> None:
        plan = app.services.sync.preview(ADMIN, server.uid)
        if plan.changes or plan.differing or plan.missing or plan.unknown or len(plan.unmanageable):
            raise SystemExit("there should be nothing to do")

    print(f"{idle:.0f} {min(seconds(preview) for _ in range(3))} {memory_mb():.0f}")


def bench_one_change(make: Maker) -> None:
    rows = []
    for accounts, target in ((few(1_000), "< 60 ms"), (few(10_000), "< 200 ms")):
        for kind in KINDS:
            app = make(kind)
            fill(app, accounts, accounts // 2, synced=True)
            took = []
            for n in range(20):
                new = NewMailbox(f"new{n}@corp01.example", password_hash=HASH)
                took.append(seconds(lambda: app.services.mailboxes.create(ADMIN, new)))  # noqa: B023
            plain = seconds(lambda: hashlib.sha256((volume(app) / "postfix-accounts.cf").read_bytes()).hexdigest())  # noqa: B023
            assert app.queries.counts(ADMIN).get("mailbox.PENDING", 0) == 0
            p50, p95 = (percentile(took, share) * 1000 for share in (0.5, 0.95))
            rows.append([f"{accounts:,}", kind, f"{p50:.0f} ms", f"{p95:.0f} ms", f"{plain * 1000:.1f} ms", target])
    head = [
        "accounts on the server",
        "database",
        "intent → written, read back, SYNCED (p50)",
        "p95",
        "hashing the file",
        "target",
    ]
    table("One change end to end", head, rows)


def bench_queries(make: Maker) -> None:
    for kind in KINDS:
        app = filled(make, kind)
        rows = []
        for name, call in _queries(app):
            took = [seconds(call) * 1000 for _ in range(30)]
            rows.append([name, f"{percentile(took, 0.5):.1f}", f"{percentile(took, 0.95):.1f}", "< 15 ms"])
        table(f"Queries on {MANY:,} mailboxes, {kind}", ["page of 50", "p50 ms", "p95 ms", "target"], rows)


def _queries(app: Postroom) -> list[tuple[str, Callable[[], object]]]:
    def page(where: MailboxFilter = MailboxFilter(), **more: object) -> Callable[[], object]:
        return lambda: app.queries.mailboxes(ADMIN, where, **more)  # type: ignore[arg-type]

    searches = [
        ("substring, rare", "meyer4242"),
        ("substring, many", "meyer"),
        ("substring, all", "corp"),
        ("two letters", "an"),
        ("words in any order", "hahn greta"),
        ("a word and a letter", "hahn g"),
        ("two Japanese letters", "花子"),
    ]
    return [
        ("first", page()),
        ("middle", page(number=MANY // 100)),
        ("last", page(number=MANY // 50)),
        ("one domain", page(MailboxFilter(domain="corp07.example"))),
        ("one domain by name", page(MailboxFilter(domain="corp07.example"), sort="display_name")),
        ("by usage, descending", page(sort="used_percent", descending=True)),
        ("by usage, middle", page(sort="used_percent", number=MANY // 100)),
        ("by name, middle", page(sort="display_name", number=MANY // 100)),
        ("disabled", page(MailboxFilter(status="DISABLED"))),  # type: ignore[arg-type]
        ("failed", page(MailboxFilter(sync_status=SyncStatus.FAILED))),
        ("over 90 %", page(MailboxFilter(used_percent_from=90))),
        *((f"search: {name}", page(MailboxFilter(search=text))) for name, text in searches),
        (
            "search in a domain, by name",
            page(MailboxFilter(search="klein", domain="corp07.example"), sort="display_name"),
        ),
        ("one by address", lambda: app.queries.mailbox_by_address(ADMIN, address(42))),
        ("counts by status", lambda: app.queries.counts(ADMIN)),
        ("domains with sums", lambda: app.queries.domains(ADMIN)),
    ]


BENCHES = {"push": bench_push, "preview": bench_preview, "change": bench_one_change, "queries": bench_queries}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", choices=[*BENCHES, []], help="which; all if none is named")
    parser.add_argument("--preview-in", nargs=2, metavar=("URL", "DATA_DIR"), help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="few rows: does it run?")
    given = parser.parse_args()
    if given.preview_in:
        preview_once(*given.preview_in)
        sys.exit()
    with products() as make:
        for name in given.only or list(BENCHES):
            BENCHES[name](make)
