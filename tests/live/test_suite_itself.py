"""The suite for somebody's real container runs: here on the test image, named as they would name theirs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.engine import Engine
from tests.servers.rig import ACCOUNTS, ContainerRig
from tests.waiting import wait_for

HERE = Path(__file__).parent
FIRST = "first@example.test|{PLAIN}nobody-logs-in-here\n"
SOME = "reads_accounts or batch_answers or logs_in or quota_and_use or is_well"


def run_live(basetemp: Path, **environment: str) -> str:
    argv = [sys.executable, "-m", "pytest", str(HERE), "-m", "live", "-k", SOME, f"--basetemp={basetemp}"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_LIVE_")}
    ran = subprocess.run(
        [*argv, "-p", "no:cacheprovider"], env={**clean, **environment}, capture_output=True, text=True, timeout=170
    )
    assert "failed" not in ran.stdout, ran.stdout[-3000:]
    assert "error" not in ran.stdout, ran.stdout[-3000:]
    return ran.stdout


def test_without_a_container_it_says_so(tmp_path: Path) -> None:
    said = run_live(tmp_path / "run")
    assert "POSTROOM_LIVE_CONTAINER is not set" in said
    assert "passed" not in said


@pytest.mark.nightly
@pytest.mark.engine
@pytest.mark.slow
def test_it_runs_on_a_container_that_is_named(engine: Engine, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    one = ContainerRig(engine, volume, services=True)
    one.put({ACCOUNTS: FIRST})
    wait_for(lambda: one.open().check() == [])
    ports = {"SMTP": 25, "IMAP": 143, "POP3": 110, "SUBMISSION": 587}
    doors = {f"POSTROOM_LIVE_{name}": f"{one.address}:{port}" for name, port in ports.items()}
    said = run_live(tmp_path / "run", POSTROOM_LIVE_CONTAINER=one.container.name, DOCKER_HOST=engine.host, **doors)
    assert "6 passed" in said, said[-500:]
    assert one.text(ACCOUNTS) == FIRST, "the journey and the contract leave nothing behind"
    one.remove()
