"""What the bench scripts share: a product on SQLite or PostgreSQL, many mailboxes at once, timing, a table."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, text
from uuid6 import uuid7

from provision.app import Postroom, open_postroom
from provision.core.access import Actor
from provision.settings.config import Settings
from provision.storage.models import Alias, Domain, Mailbox, Server
from tests.conftest import HASH
from tests.postgres import PostgresServer, start_postgres

ADMIN = Actor.system("bench")
KINDS = ("sqlite", "postgresql")
QUICK = "--quick" in sys.argv  # only to see that it runs: few rows
FIRST = ("anna", "ben", "carla", "david", "emma", "finn", "greta", "hugo", "ida", "jan")
LAST = ("abe", "berg", "chan", "diaz", "ek", "fox", "gruber", "hahn", "ito", "jones", "klein", "lang", "meyer")


class Maker:
    """Makes fresh products by database kind; PostgreSQL is started when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: PostgresServer | None = None
        self.made: list[Postroom] = []

    def settings(self, kind: str) -> Settings:
        """Of a product with an empty database that is its own."""
        url = ""
        if kind == "postgresql":
            self.server = self.server or start_postgres()
            url = new_database(self.server)
        place = Path(tempfile.mkdtemp(dir=self.folder))
        return Settings(data_dir=place / "data", database_url=url, page_budget_seconds=60)

    def __call__(self, kind: str) -> Postroom:
        app = open_postroom(self.settings(kind))
        self.made.append(app)
        config = app.settings.data_dir.parent / "config"
        config.mkdir()
        app.services.servers.create(ADMIN, "main", "dms_files", {"path": str(config)}, quiet_seconds=0)
        return app

    def close(self) -> None:
        for app in self.made:
            app.close()
        if self.server:
            self.server.stop()


@contextmanager
def products() -> Iterator[Maker]:
    """Everything that is made is stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="postroom-bench-") as folder:
        maker = Maker(Path(folder))
        try:
            yield maker
        finally:
            maker.close()


def new_database(server: PostgresServer) -> str:
    from sqlalchemy import create_engine

    name = f"bench_{uuid7().hex}"
    engine = create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.url(name)


def volume(app: Postroom) -> Path:
    return Path(app.queries.servers(ADMIN)[0].settings["path"])


def domain_number(number: int, domains: int = 40) -> int:
    """Spread over the domains without following the names."""
    return (number * 2654435761 >> 8) % domains


def address(number: int, domains: int = 40) -> str:
    return f"{FIRST[number % 10]}.{LAST[number % 13]}{number}@corp{domain_number(number, domains):02}.example"


def fill(app: Postroom, mailboxes: int, aliases: int, *, synced: bool, domains: int = 40) -> None:
    """Rows straight into the database: waiting for their first push, or delivered with files that say the same."""
    sealed = app.sync.sealer.seal(HASH)
    with app.database.write() as session:
        server = session.query(Server).one()
        rows = [Domain(name=f"corp{n:02}.example", server_id=server.id) for n in range(domains)]
        session.add_all(rows)
        session.flush()
        ids = [row.id for row in rows]
        state = {"server_id": server.id, "generation": 1, "synced_generation": int(synced), "owned": synced}
        session.execute(
            insert(Mailbox), [_mailbox(n, ids, state, None if synced else sealed) for n in range(mailboxes)]
        )
        owners: dict[str, int] = dict(session.execute(select(Mailbox.address, Mailbox.id)).all())  # type: ignore[arg-type]
        session.execute(insert(Alias), [_alias(n, ids, state, owners) for n in range(aliases)])
    tidy = "ANALYZE" if app.database.is_sqlite else "VACUUM ANALYZE"  # autovacuum does it in production
    with app.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(tidy))
    if synced:
        write_files(volume(app), mailboxes, aliases)


def _mailbox(n: int, domain_ids: Sequence[int], state: dict[str, Any], sealed: str | None) -> dict[str, Any]:
    return {
        "uid": uuid7(),
        "address": address(n),
        "domain_id": domain_ids[domain_number(n, len(domain_ids))],
        "quota_bytes": (1 + n % 5) << 30,
        "display_name": f"{FIRST[n % 10].title()} {LAST[n % 13].title()}",
        "status": "DISABLED" if n % 50 == 0 else "ACTIVE",
        "sealed_password": sealed,
        "used_bytes": (n * 7919) % (5 << 30),
        **state,
    }


def _alias(n: int, domain_ids: Sequence[int], state: dict[str, Any], owners: Mapping[str, int]) -> dict[str, Any]:
    """One in ten has no owner."""
    return {
        "uid": uuid7(),
        "address": f"team{n}@corp{n % 40:02}.example",
        "domain_id": domain_ids[n % len(domain_ids)],
        "destinations": [address(n)],
        "mailbox_id": owners.get(address(n)) if n % 10 else None,
        **state,
    }


def write_files(folder: Path, mailboxes: int, aliases: int) -> None:
    """The config files as docker-mailserver would hold them."""
    accounts = (f"{address(n)}|{HASH.reveal()}{'|fail=y' if n % 50 == 0 else ''}\n" for n in range(mailboxes))
    (folder / "postfix-accounts.cf").write_text("".join(accounts))
    (folder / "dovecot-quotas.cf").write_text("".join(f"{address(n)}:{(1 + n % 5) << 10}M\n" for n in range(mailboxes)))
    lines = (f"team{n}@corp{n % 40:02}.example {address(n)}\n" for n in range(aliases))
    (folder / "postfix-virtual.cf").write_text("".join(lines))


def few(number: int) -> int:
    """Of a quick run."""
    return max(1, number // 100) if QUICK else number


def seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def memory_mb() -> float:
    """Most this program has held so far (getrusage would count what its parent held before the exec)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n### {title}\n")
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(row) + " |")
    sys.stdout.flush()
