"""worker, doctor, backup, restore, key: as an operator types them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
import time_machine
from sqlalchemy import create_engine, text

from provision.core.secret import Secret
from provision.settings.config import get_settings
from provision.storage.database import ROOT
from provision.storage.encryption import Sealer, keep_first_key
from provision.storage.models import utc_now
from provision.telemetry import serverlog
from tests.cli.conftest import Cli
from tests.waiting import wait_for


def environment(cli: Cli) -> dict[str, str]:
    named = {name: value for name, value in os.environ.items() if name.startswith("POSTROOM_")}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **named}


# ---- worker --------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_delivers_until_it_is_stopped(cli: Cli, number: signal.Signals) -> None:
    cli.break_server()
    cli("mailbox", "add", "anna@example.com", "--password-stdin", stdin="Correct-Horse-1\n")
    worker = subprocess.Popen(
        [sys.executable, "-m", "provision", "worker"],
        cwd=cli.folder,
        env=environment(cli),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        cli.mend_server()
        wait_for(lambda: "anna@example.com|" in cli.text())
        worker.send_signal(number)
        assert worker.wait(30) == 0
    finally:
        worker.kill()
        output = worker.communicate()[0]
    assert "The worker runs." in output
    assert "Traceback" not in output


# ---- doctor --------------------------------------------------------------------------------


def findings(cli: Cli) -> dict[str, tuple[str, str]]:
    return {found["about"]: (found["verdict"], found["text"]) for found in cli("doctor", "--json").json}


def test_all_is_well(cli: Cli) -> None:
    cli.add("anna@example.com")
    done = cli.ok("doctor")
    assert done.out.count("ok   ") == 8, done.out
    assert "PROBLEM" not in done.out


def test_before_the_first_start_it_says_what_is_missing_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bare: Cli
) -> None:
    monkeypatch.setenv("POSTROOM_DATA_DIR", str(tmp_path / "new"))
    monkeypatch.setenv("POSTROOM_DATABASE_URL", "")
    get_settings.cache_clear()
    done = bare("doctor")
    assert done.code == 4
    assert "is not there" in done.out
    assert not (tmp_path / "new").exists()


def test_a_mail_server_that_is_away(cli: Cli) -> None:
    cli.break_server()
    verdict, text = findings(cli)["mail server main"]
    assert verdict == "problem"
    assert "There is no folder" in text


def test_a_key_that_everybody_can_read(cli: Cli) -> None:
    key = cli.folder / "data" / "secret.key"
    key.chmod(0o644)
    assert findings(cli)["key"] == ("warning", f"Others than its owner can read {key}.")


def test_a_key_that_is_not_the_one(cli: Cli) -> None:
    cli.break_server()
    cli("mailbox", "add", "anna@example.com", "--password-stdin", stdin="Correct-Horse-1\n")
    (cli.folder / "data" / "secret.key").unlink()
    cli("key", "new")
    assert findings(cli)["waiting passwords"] == ("problem", "1 were sealed with another key.")


def test_a_key_file_that_is_no_key(cli: Cli) -> None:
    (cli.folder / "data" / "secret.key").write_text("hello\n")
    verdict, text = findings(cli)["key"]
    assert verdict == "problem"
    assert "cannot be used" in text


def test_a_database_that_is_away(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTROOM_DATABASE_URL", "postgresql+psycopg://postroom:Hidden-1@127.0.0.1:9/none")
    get_settings.cache_clear()
    done = cli("doctor")
    assert done.code == 4
    assert "cannot be used now" in done.out
    assert "Hidden-1" not in done.out + done.err


def test_tables_of_a_newer_release(cli: Cli) -> None:
    with create_engine(os.environ["POSTROOM_DATABASE_URL"]).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert findings(cli)["migrations"][0] == "problem"


def test_changes_that_nobody_delivers(cli: Cli) -> None:
    cli.break_server()
    cli("mailbox", "add", "anna@example.com", "--password-stdin", stdin="Correct-Horse-1\n")
    cli.mend_server()
    with time_machine.travel(utc_now().timestamp() + 3600):
        assert findings(cli)["delivery"][0] == "problem"


# ---- backup and restore --------------------------------------------------------------------


def test_a_backup_comes_back_on_another_machine(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.add("anna@example.com")
    file = tmp_path / "postroom.backup"
    assert "1 mailboxes" in cli.ok("backup", str(file)).out
    refused = cli("restore", str(file))
    assert refused.code == 1
    assert "is in use" in refused.err
    monkeypatch.setenv("POSTROOM_DATA_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("POSTROOM_DATABASE_URL", "")
    get_settings.cache_clear()
    assert "1 mailboxes" in cli.ok("restore", str(file)).out
    assert "anna@example.com" in cli.ok("mailbox", "list").out
    assert cli.ok("sync", "preview").out.startswith("There is nothing to send.")


def test_a_backup_replaces_no_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    assert cli("backup", str(tmp_path / "letter")).code == 1
    assert (tmp_path / "letter").read_text() == "dear"


# ---- key -----------------------------------------------------------------------------------


def test_a_waiting_password_survives_the_rotation(cli: Cli) -> None:
    key = cli.folder / "data" / "secret.key"
    cli.break_server()
    cli("mailbox", "add", "anna@example.com", "--password-stdin", stdin="Correct-Horse-1\n")
    old = key.read_text()
    assert "1 waiting secrets" in cli.ok("key", "rotate").out
    assert key.read_text().endswith(old)
    assert key.stat().st_mode & 0o777 == 0o600
    cli.ok("key", "retire")
    assert old not in key.read_text()
    cli.mend_server()
    cli.ok("sync", "push")
    assert cli.text().startswith("anna@example.com|{SHA512-CRYPT}$6$")
    assert {"key.rotate", "key.retire"} <= {row["operation"] for row in cli.ok("log", "list", "--json").json["rows"]}


def test_a_process_that_runs_notices_the_new_key(cli: Cli) -> None:
    key = cli.folder / "data" / "secret.key"
    cli.ok("mailbox", "list")
    running = Sealer.from_file(key)
    cli.ok("key", "rotate")
    sealed = running.seal(Secret("x"))
    keep_first_key(key)
    assert Sealer.from_file(key).unseal(sealed) == Secret("x")


def test_a_lost_key_is_not_replaced_silently(cli: Cli) -> None:
    key = cli.folder / "data" / "secret.key"
    cli.break_server()
    cli("mailbox", "add", "anna@example.com", "--password-stdin", stdin="Correct-Horse-1\n")
    key.rename(key.with_name("kept"))
    refused = cli("mailbox", "list")
    assert (refused.code, key.exists()) == (1, False)
    assert "key new" in refused.err
    assert findings(cli)["waiting passwords"] == ("problem", "The key that they were sealed with is gone.")
    key.with_name("kept").rename(key)
    cli.ok("mailbox", "list")
    assert cli("key", "new").code == 1
    key.unlink()
    cli.ok("key", "new")
    cli.mend_server()
    cli("sync", "push")
    assert "reset the password" in cli.ok("mailbox", "show", "anna@example.com").out


# ---- the log -------------------------------------------------------------------------------


def test_the_log_is_json_without_secrets(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        serverlog.configure("json", file)
        serverlog.begin(request_id="abc", operator="alice", ip=None)
        structlog.get_logger().info("made", password="Correct-Horse-1", address="a\nb", new_token="xyz")
    told = json.loads((tmp_path / "log").read_text())
    assert told.pop("timestamp")
    assert told == {
        "request_id": "abc",
        "operator": "alice",
        "event": "made",
        "level": "info",
        "password": "***",
        "address": "a\nb",
        "new_token": "***",
    }


def test_the_log_as_text_is_one_line_an_event(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        serverlog.configure("text", file)
        structlog.get_logger().info("made\nup", address="a\r\nlevel=error", odd_key=1)
    assert len((tmp_path / "log").read_text().splitlines()) == 1
