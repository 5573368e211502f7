"""Files of the database that were removed, damaged, cut off or made read-only: a sentence with advice, and nothing lost
in silence."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from provision.app import Postroom, open_postroom
from provision.core.access import Actor
from provision.core.errors import ProvisionError
from provision.ops.backup import write_backup
from provision.ops.doctor import Verdict, examine
from provision.settings.config import Settings
from provision.storage.trouble import DatabaseUnavailable
from tests.conftest import World, make_world

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = Actor.system("test")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """SQLite in its data folder, as it is by default."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def used(settings: Settings, volume: Path) -> Iterator[World]:
    app = open_postroom(settings)
    world = make_world(app, volume)
    world.add("anna@example.com")
    yield world
    app.close()


def path_of(app: Postroom) -> Path:
    return Path(app.database.url.database or "")


def log_of(app: Postroom) -> Path:
    return Path(f"{path_of(app)}-wal")


def addresses(settings: Settings) -> list[str]:
    with closing(open_postroom(settings)) as app:
        return [row["address"] for row in app.queries.mailboxes(SYSTEM).rows]


# ---- the write-ahead log -------------------------------------------------------------------------


def test_a_removed_log_is_noticed_and_what_it_held_is_saved_at_once(used: World, settings: Settings) -> None:
    log_of(used.app).unlink()
    with pytest.raises(DatabaseUnavailable, match=r"-wal was removed.*saved.*Start Postroom again"):
        used.add("ben@example.com")
    copy = settings.data_dir.with_name("copy")  # as if the process was killed now
    copy.mkdir()
    for name in ("postroom.db", "secret.key", "log.key"):
        shutil.copy(settings.data_dir / name, copy)
    assert addresses(Settings(data_dir=copy)) == ["anna@example.com"]


def test_a_log_that_was_replaced_is_noticed(used: World) -> None:
    log_of(used.app).rename(log_of(used.app).with_name("away"))
    log_of(used.app).write_bytes(b"")
    with pytest.raises(DatabaseUnavailable, match="removed or replaced"):
        used.app.queries.mailboxes(SYSTEM)
    log_of(used.app).with_name("away").rename(log_of(used.app))
    assert used.app.queries.mailboxes(SYSTEM).total == 1


def test_closing_and_opening_again_is_no_removal(used: World, settings: Settings) -> None:
    for _ in range(3):
        used.app.database.close()
        assert not log_of(used.app).exists()
        used.app.queries.mailboxes(SYSTEM)
        assert addresses(settings) == ["anna@example.com"]


# ---- the file ------------------------------------------------------------------------------------


@contextmanager
def spoilt(used: World) -> Iterator[Path]:
    used.app.close()
    yield path_of(used.app)


def sentence(settings: Settings) -> str:
    with pytest.raises(ProvisionError) as caught:
        open_postroom(settings)
    return caught.value.message


def advice(settings: Settings) -> str:
    problems = [found for found in examine(settings) if found.verdict is Verdict.PROBLEM]
    assert problems
    return problems[0].advice


def test_a_damaged_file_is_told_with_what_to_do(used: World, settings: Settings) -> None:
    with spoilt(used) as path:
        path.write_bytes(b"no database at all" * 1000)
    assert "is damaged" in sentence(settings)
    assert "restore FILE" in sentence(settings)
    assert "restore FILE" in advice(settings)


def test_a_file_cut_in_half_is_told_with_what_to_do(used: World, settings: Settings) -> None:
    with spoilt(used) as path, path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    assert "is damaged" in sentence(settings)
    assert "restore FILE" in advice(settings)


def test_a_file_cut_to_nothing_is_no_new_database(used: World, settings: Settings) -> None:
    with spoilt(used) as path:
        path.write_bytes(b"")
    assert "is empty" in sentence(settings)
    assert "newest backup" in advice(settings)
    assert path.stat().st_size == 0


def test_a_page_that_was_overwritten_is_found_by_the_doctor(used: World, settings: Settings) -> None:
    with spoilt(used) as path, path.open("r+b") as file:
        for page in range(20, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(os.urandom(512))
    assert "restore FILE" in advice(settings)


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root can mount.")
def test_a_read_only_data_folder_is_told_with_what_to_do(used: World, settings: Settings) -> None:
    with spoilt(used):
        folder = str(settings.data_dir)
        if subprocess.run(["mount", "--bind", folder, folder], capture_output=True).returncode:
            pytest.skip("Nothing can be mounted here.")
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
            assert "mount it so that it can be written" in sentence(settings)
            assert "mount it so that it can be written" in advice(settings)
        finally:
            subprocess.run(["umount", folder], check=True)


AS_NOBODY = "import os, sys; from provision.cli import main; os.setgid(65534); os.setuid(65534); sys.exit(main({}))"


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root can become somebody else.")
@pytest.mark.parametrize("command", [["server", "list"], ["doctor"]])
def test_somebody_elses_data_folder_is_told_without_a_traceback(
    used: World, settings: Settings, command: list[str]
) -> None:
    with spoilt(used):
        for folder in (settings.data_dir, *settings.data_dir.parents[:-1]):
            folder.chmod(folder.stat().st_mode | 0o055)
        environment = {**os.environ, "POSTROOM_DATA_DIR": str(settings.data_dir)}
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {AS_NOBODY.format(command)}"
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode in (1, 4), done
    assert "to user 65534" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "unexpected" not in done.stdout + done.stderr


def test_the_dashboard_does_not_start_and_says_why(used: World, settings: Settings) -> None:
    with spoilt(used) as path:
        path.write_bytes(b"no database at all" * 1000)
    environment = {**os.environ, "POSTROOM_DATA_DIR": str(settings.data_dir), "PYTHONPATH": "."}
    command = [sys.executable, "-m", "streamlit", "run", "dashboard.py", "--server.port", "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode != 0
    assert "Postroom does not start." in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


# ---- who may read it -----------------------------------------------------------------------------


def test_a_database_in_an_open_folder_is_its_owners_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    app = open_postroom(Settings(data_dir=folder))
    assert [file.name for file in folder.iterdir() if file.stat().st_mode & 0o077 and file.suffix != ".lock"] == []
    app.close()


def test_an_older_database_is_closed_to_others_at_the_next_start(used: World, settings: Settings) -> None:
    with spoilt(used) as path:
        path.chmod(0o644)
    open_postroom(settings).close()
    assert path.stat().st_mode & 0o077 == 0


# ---- killed backups ------------------------------------------------------------------------------

BACKUP = """
import sys, time
from pathlib import Path
from provision.ops import backup
from provision.settings.config import Settings

def stop(*given):
    print("half", flush=True)
    time.sleep(60)

backup._write_table = stop
backup.write_backup(Settings(data_dir=Path(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.fixture
def begun(used: World, settings: Settings, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A backup that is half done, into another folder."""
    (tmp_path / "backups").mkdir()
    command = [sys.executable, "-c", BACKUP, str(settings.data_dir), str(tmp_path / "backups" / "bk")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        assert process.stdout.readline() == "half\n"
        yield process
        process.kill()


def test_what_a_killed_backup_left_is_removed_at_the_next_start(
    begun: "subprocess.Popen[str]", settings: Settings, tmp_path: Path
) -> None:
    open_postroom(settings).close()
    assert len(list((tmp_path / "backups").iterdir())) == 1  # it is still written
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    open_postroom(settings).close()
    assert list((tmp_path / "backups").iterdir()) == []
    assert not [file for file in settings.data_dir.iterdir() if "backup" in file.name]


def test_what_a_former_release_left_in_the_data_folder_is_removed_and_nothing_else(
    used: World, settings: Settings
) -> None:
    whole, left = settings.data_dir / "bk", settings.data_dir / ".bk.a1b2c3d4"
    write_backup(settings, whole)
    left.write_bytes(whole.read_bytes()[:700])
    other = settings.data_dir / ".note.a1b2c3d4"
    other.write_text("mine")
    open_postroom(settings).close()
    assert (left.exists(), whole.exists(), other.exists()) == (False, True, True)
