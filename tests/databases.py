"""An empty migrated PostgreSQL database for each test: to make one takes half a second, to empty one almost nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg

from tests.postgres import PostgresServer

GROWN = 4 << 20  # bytes; a database that a test made larger by more is dropped
SHAPE = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT t.tgname, t.tgrelid::regclass::text, t.tgenabled::text, ''
    FROM pg_trigger t WHERE NOT t.tgisinternal
    UNION ALL SELECT p.proname, p.prosrc, '', '' FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
    ORDER BY 1, 2, 3, 4
"""


class Databases:
    """Copies of a template. What a test leaves is emptied and renamed, so that nothing of that test finds it again."""

    def __init__(self, server: PostgresServer, template: str) -> None:
        self.server = server
        self.template = template
        self.free: list[str] = []
        with self._connect(template) as connection:
            self.shape = connection.execute(SHAPE).fetchall()
            self.size = _size(connection)
            tables = [
                name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            ]
            rows = {name: _only(connection, f"SELECT json_agg(t)::text FROM {name} t") for name in tables}
        self.as_new = "; ".join(
            [
                "SET session_replication_role = replica",  # no trigger forbids it, no order matters
                *(f"DELETE FROM {name}" for name in tables),
                *(
                    f"INSERT INTO {name} SELECT * FROM json_populate_recordset(NULL::{name}, '{json}')"
                    for name, json in rows.items()
                    if json
                ),
                "SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'",
            ]
        )

    @contextmanager
    def one(self) -> Iterator[str]:
        """Its URL."""
        name = self.free.pop() if self.free else self._make()
        yield self.server.url(name)
        with self._connect("postgres") as connection:
            connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            unknown = _new_name()
            connection.execute(f"ALTER DATABASE {name} RENAME TO {unknown}")
            if self._emptied(unknown):
                self.free.append(unknown)
            else:
                connection.execute(f"DROP DATABASE {unknown}")

    def _make(self) -> str:
        name = _new_name()
        with self._connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {self.template}")
        return name

    def _emptied(self, name: str) -> bool:
        """False where the test did more to it than change rows."""
        with self._connect(name) as connection:
            if connection.execute(SHAPE).fetchall() != self.shape or _size(connection) > self.size + GROWN:
                return False
            connection.execute(self.as_new)
            return True

    @contextmanager
    def _connect(self, name: str) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.server.url(name).replace("+psycopg", ""), autocommit=True) as connection:
            yield connection


def _new_name() -> str:
    return f"postroom_{uuid4().hex}"


def _only(connection: psycopg.Connection, query: str) -> str | None:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def _size(connection: psycopg.Connection) -> int:
    return int(_only(connection, "SELECT pg_database_size(current_database())") or 0)
