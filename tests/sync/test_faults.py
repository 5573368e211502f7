"""Each fault of docs/reliability.md, a few times: nothing is lost, nothing repeated, and there is a sentence."""

import os
from pathlib import Path

import pytest

from provision.app import Postroom, open_postroom
from provision.settings.config import Settings
from tests.bench import faults
from tests.bench.world import new_database
from tests.nightly import by_day
from tests.postgres import start_postgres

pytestmark = pytest.mark.both_databases

NEED_ROOT = {faults.volume_full, faults.database_full}
TRIES = by_day(1, 3)
JUMPS = 3  # of the clock: forward, further, and back


def product(settings: Settings, volume: Path) -> Postroom:
    app = open_postroom(settings)
    app.services.servers.create(faults.ACTOR, "main", "dms_files", {"path": str(volume)}, quiet_seconds=0)
    return app


def require_nothing_lost(scenario: faults.Scenario, app: Postroom, tries: int = TRIES) -> None:
    if scenario in NEED_ROOT and os.geteuid() != 0:
        pytest.skip("Only root can mount a small disk.")
    found = scenario(app, tries)
    app.close()
    assert (found.lost, found.repeated) == (0, 0), found
    assert found.accepted
    assert "Traceback" not in found.saw
    assert "Error" not in found.saw


@pytest.mark.slow
@pytest.mark.parametrize("scenario", faults.BOTH, ids=lambda scenario: scenario.__name__)
def test_on_both_databases(scenario: faults.Scenario, settings: Settings, volume: Path) -> None:
    hasty = settings.model_copy(update={"page_budget_seconds": 1.0, "max_attempts": 50})
    require_nothing_lost(scenario, product(hasty, volume), JUMPS if scenario is faults.clock_jumps else TRIES)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", faults.SQLITE_ONLY, ids=lambda scenario: scenario.__name__)
def test_on_sqlite(scenario: faults.Scenario, volume: Path, tmp_path: Path) -> None:
    app = product(Settings(data_dir=tmp_path / "data"), volume)
    require_nothing_lost(scenario, app, 1 if scenario is faults.locked else TRIES)


@pytest.mark.slow
def test_postgresql_restarted(volume: Path, tmp_path: Path) -> None:
    server = start_postgres()
    try:
        app = product(Settings(data_dir=tmp_path / "data", database_url=new_database(server)), volume)
        require_nothing_lost(lambda app, tries: faults.database_restarted(app, tries, server), app)
    finally:
        server.stop()
