"""How each figure grows with the number of mailboxes, and of log records: `python -m tests.bench.scale`.

Each database and size has a product of its own. The last column is how many times a figure grew over the last step of
sizes, beside how many times the size did: more is worse than linear.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import text

from provision.app import Postroom
from provision.audit.archive import archive_log
from provision.ops.backup import restore_backup, write_backup
from provision.queries import LogFilter, MailboxFilter
from provision.services.new_mailbox import NewMailbox
from provision.storage.models import LogStatus, utc_now
from provision.transfer.csv_io import import_csv
from tests.bench import pages
from tests.bench.core import preview_apart
from tests.bench.logrows import DAYS, fill_log, resource_id
from tests.bench.world import ADMIN, KINDS, QUICK, Maker, fill, percentile, products, seconds, table
from tests.conftest import HASH

MAILBOXES = (150, 300, 1_500) if QUICK else (1_000, 10_000, 100_000)
RECORDS = (500, 1_000, 5_000) if QUICK else (10_000, 100_000, 1_000_000)
IMPORT_ROWS = 50_000  # that one file may hold
Call = Callable[[], object]


class Figure(NamedTuple):
    value: float
    unit: str

    def __str__(self) -> str:
        decimals = 0 if self.value >= 100 else 1 if self.value >= 10 or self.unit == "MB" else 2
        return f"{self.value:,.{decimals}f} {self.unit}"


Figures = dict[str, Figure]


def grown(make: Maker, title: str, sizes: Sequence[int], measure: Callable[[Maker, str, int], Figures]) -> None:
    """A table for each database: what, at each size, and how it grew over the last step."""
    for kind in KINDS:
        found = [measure(make, kind, size) for size in sizes]
        rows = []
        for what in dict.fromkeys(name for figures in found for name in figures):
            cells = [figures.get(what) for figures in found]
            rows.append([what, *(str(cell) if cell else "—" for cell in cells), growth(cells)])
        step = f"growth at {sizes[-1] / sizes[-2]:.0f}×"
        table(f"{title}, {kind}", ["what", *(f"{size:,}" for size in sizes), step], rows)


def growth(cells: Sequence[Figure | None]) -> str:
    before, after = cells[-2:]
    return f"{after.value / before.value:.1f}×" if before and after and before.value else "—"


def median(call: Call, times: int = 15) -> Figure:
    call()
    return Figure(percentile([seconds(call) for _ in range(times)], 0.5) * 1000, "ms")


def once(call: Call) -> Figure:
    return Figure(seconds(call), "s")


def size_of(app: Postroom) -> Figure:
    statement = "SELECT pg_database_size(current_database())"
    if app.database.is_sqlite:
        statement = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    with app.database.read() as session:
        return Figure(session.scalar(text(statement)) / (1 << 20), "MB")  # type: ignore[operator]


# ---- mailboxes -----------------------------------------------------------------------------


def measure_mailboxes(make: Maker, kind: str, size: int) -> Figures:
    app = make(kind)
    fill(app, size, size // 2, synced=True)
    found = {name: median(call) for name, call in mailbox_queries(app, size // 50)}
    idle, took, memory = preview_apart(app)
    found["preview"], found["memory of a preview's process"] = Figure(took, "s"), Figure(memory, "MB")
    found["the same, before the preview"] = Figure(idle, "MB")
    found |= measure_pages(app)
    found["create one, written and read back"] = median(creating(app), 10)
    found["database with these"] = size_of(app)
    app.close()
    found["push of all, hashes given"] = measure_push(make(kind), size)
    if size <= IMPORT_ROWS:
        found["CSV import of all, hashes given, pushed"] = measure_import(make(kind), size)
    return found


def mailbox_queries(app: Postroom, last: int) -> Iterator[tuple[str, Call]]:
    read = app.queries
    yield "mailboxes: first page", lambda: read.mailboxes(ADMIN)
    yield "mailboxes: page in the middle", lambda: read.mailboxes(ADMIN, number=last // 2)
    yield "mailboxes: by usage, in the middle", lambda: read.mailboxes(ADMIN, sort="used_percent", number=last // 2)
    yield "mailboxes: substring search", lambda: read.mailboxes(ADMIN, MailboxFilter(search="meyer"))
    yield "aliases: first page", lambda: read.aliases(ADMIN)
    yield "aliases: page in the middle", lambda: read.aliases(ADMIN, number=last // 4)
    yield "aliases: last page", lambda: read.aliases(ADMIN, number=last // 2)
    yield "aliases: of one domain", lambda: read.aliases(ADMIN, domain="corp07.example")
    yield "counts by status", lambda: read.counts(ADMIN)
    yield "domains with sums", lambda: read.domains(ADMIN)


def measure_pages(app: Postroom) -> Figures:
    """As a browser sees them: a process is started, its first page drawn, then pages are turned."""
    token = pages.tokens_of(app, 1)[0]

    async def clicks(url: str) -> tuple[float, float]:
        async with pages.tab(url, token) as mine:
            first = await mine.run()
            return first, percentile([await mine.run(mb_page=1 + n % 2) for n in range(1, 16)], 0.5)

    with pages.running(app) as (url, process):
        started = time.time() - process.create_time()
        first, turned = asyncio.run(clicks(url))
        held = process.memory_info().rss / (1 << 20)
    return {
        "start of a process, until it answers": Figure(started, "s"),
        "its first page": Figure(first * 1000, "ms"),
        "next page, round trip": Figure(turned * 1000, "ms"),
        "memory of the process after it": Figure(held, "MB"),
    }


def creating(app: Postroom) -> Call:
    numbers = iter(range(1_000))
    return lambda: app.services.mailboxes.create(
        ADMIN, NewMailbox(f"new{next(numbers)}@corp01.example", password_hash=HASH)
    )


def measure_push(app: Postroom, size: int) -> Figure:
    fill(app, size, size // 2, synced=False)
    server = app.queries.servers(ADMIN)[0]
    took = once(lambda: app.services.sync.push(ADMIN, server.uid))
    while app.queries.counts(ADMIN).get("mailbox.PENDING"):  # a page's time is limited; the jobs go on with the rest
        took = Figure(took.value + seconds(lambda: app.sync.push(server.id, ignore_backoff=True)), "s")
    app.close()
    return took


def measure_import(app: Postroom, size: int) -> Figure:
    app.services.domains.create(ADMIN, "example.com", "main")
    lines = (f"user{n}@example.com,{HASH.reveal()},User {n},1024" for n in range(size))
    sheet = "\n".join(["email,password_hash,display_name,quota_mb", *lines]).encode()
    took = once(lambda: import_csv(app, ADMIN, sheet))
    assert app.queries.counts(ADMIN)["mailbox.SYNCED"] == size
    app.close()
    return took


# ---- the log -------------------------------------------------------------------------------


def measure_log(make: Maker, kind: str, count: int) -> Figures:
    app = make(kind)
    fill_log(app, count)
    found = {name: median(call, 7) for name, call in log_queries(app, count // 50)}
    found["the whole log as a stream"] = once(lambda: sum(1 for _ in app.queries.each_log(ADMIN)))
    found["audit chain verified"] = once(lambda: require_intact(app))
    found["database with these"] = size_of(app)
    if count <= RECORDS[1]:  # of a million it takes ten times as long, and says nothing more
        found |= measure_backup(make, kind, app)
    a_tenth = utc_now() - timedelta(days=DAYS * 0.9)
    folder = app.settings.data_dir / "archive"
    found["a tenth of the log moved to files"] = once(lambda: archive_log(app.database, folder, a_tenth, ADMIN))
    found["those files"] = Figure(sum(file.stat().st_size for file in folder.iterdir()) / (1 << 20), "MB")
    app.close()
    return found


def log_queries(app: Postroom, last: int) -> Iterator[tuple[str, Call]]:
    def page(where: LogFilter = LogFilter(), number: int = 1) -> Call:
        return lambda: app.queries.logs(ADMIN, where, number=number)

    yield "log: first page", page()
    yield "log: page in the middle", page(number=last // 2)
    yield "log: last page", page(number=last)
    yield "log: one operation", page(LogFilter(operation="mailbox.create"))
    yield "log: one operation, in the middle", page(LogFilter(operation="mailbox.create"), last // 12)
    yield (
        "log: one operation and status",
        page(LogFilter(operation="mailbox.create", status=LogStatus.SUCCESS)),
    )
    yield "log: what failed", page(LogFilter(status=LogStatus.FAILED))
    yield "log: one kind of resource", page(LogFilter(resource_type="mailbox"))
    yield "log: one mailbox", page(LogFilter(resource_type="mailbox", resource_id=resource_id(4242)))
    yield "log: one operator", page(LogFilter(operator="anna"))
    yield "log: search by beginning, few", page(LogFilter(search="anna.berg4"))
    yield "log: search by beginning, many", page(LogFilter(search="anna"))
    yield "log: last 14 days", page(LogFilter(since=utc_now() - timedelta(days=14)))
    yield "overview: operations per day", lambda: app.queries.operations_per_day(ADMIN)


def require_intact(app: Postroom) -> None:
    report = app.queries.verify_audit(ADMIN)
    assert report.intact, report


def measure_backup(make: Maker, kind: str, app: Postroom) -> Figures:
    file = app.settings.data_dir / "backup.gz"
    writing = once(lambda: write_backup(app.settings, file))
    size = Figure(file.stat().st_size / (1 << 20), "MB")
    target = make.settings(kind)
    restoring = once(lambda: restore_backup(target, file, ADMIN))
    for path in [file, *target.data_dir.glob("postroom.db*")]:  # a million records take their place
        path.unlink()
    return {"backup written": writing, "its file": size, "backup restored": restoring}


PARTS: dict[str, Callable[[Maker], None]] = {
    "mailboxes": lambda make: grown(make, "Mailboxes and half as many aliases", MAILBOXES, measure_mailboxes),
    "log": lambda make: grown(make, "Log records, each with two links", RECORDS, measure_log),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", choices=[*PARTS, []], help="which; both if none is named")
    parser.add_argument("--quick", action="store_true", help="few rows: does it run?")
    with products() as maker:
        for name in parser.parse_args().only or list(PARTS):
            PARTS[name](maker)
