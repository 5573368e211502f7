"""Several processes start at once on a database that is empty: replicas of a first deployment."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pytest_postgresql.janitor import DatabaseJanitor

from provision.app import open_postroom
from provision.core.access import Actor
from provision.settings.config import Settings

ROOT = Path(__file__).resolve().parents[2]
START = """
from provision.app import create_first_admin, open_postroom
from provision.ops.first_start import add_named_server
app = open_postroom()
print("admin" if create_first_admin(app) else "", *add_named_server(app))
"""
PROCESSES = 4


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'postroom.db'}"
        return
    server = request.getfixturevalue("postgres")
    name = f"postroom_{uuid4().hex}"
    with DatabaseJanitor(user=server.user, host=server.host, port=server.port, version=15, dbname=name):
        yield server.url(name)


def test_one_makes_the_tables_the_admin_and_the_server(empty_database: str, volume: Path, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": empty_database, "DATA_DIR": str(tmp_path / "data"), "CONFIG_DIR": str(volume)}
    environment = {**os.environ, **{f"POSTROOM_{name}": value for name, value in settings.items()}}
    started = [
        subprocess.Popen([sys.executable, "-c", START], cwd=ROOT, env=environment, stdout=-1, stderr=-1, text=True)
        for _ in range(PROCESSES)
    ]
    said = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0] * PROCESSES, [errors[-500:] for _, errors in said]
    assert sum(output.startswith("admin") for output, _ in said) == 1
    app = open_postroom(Settings(data_dir=tmp_path / "data", database_url=empty_database), migrate=False)
    assert len(app.queries.servers(Actor.system("test"))) == 1
    app.close()
