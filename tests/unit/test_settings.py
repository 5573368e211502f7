"""Settings: secrets come from files, and a wrong value names its variable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from provision.core.errors import InvalidInput
from provision.settings.config import Settings, get_settings
from provision.storage.database import ROOT


def test_the_databases_password_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("p@ss/w:rd #1\n")
    settings = Settings(database_url="postgresql+psycopg://postroom@db/postroom", database_password_file=file)
    url = make_url(settings.url)
    assert (url.username, url.password, url.host, url.database) == ("postroom", "p@ss/w:rd #1", "db", "postroom")
    assert "p@ss" not in repr(settings)


def test_without_a_file_the_url_is_as_given(tmp_path: Path) -> None:
    assert Settings(database_url="postgresql+psycopg://a@b/c").url == "postgresql+psycopg://a@b/c"
    assert Settings(data_dir=tmp_path).url == f"sqlite:///{tmp_path}/postroom.db"


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTROOM_DATABASE_PASSWORD_FILE", str(tmp_path / "missing"))
    get_settings.cache_clear()
    try:
        with pytest.raises(
            InvalidInput, match=r"POSTROOM_DATABASE_PASSWORD_FILE.*missing cannot be read: No such file"
        ):
            get_settings()
    finally:
        get_settings.cache_clear()


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files hand on variables that may not be set."""
    monkeypatch.setenv("POSTROOM_CONFIG_DIR", "")
    assert Settings().config_dir is None


def started_with(folder: Path, **environment: str) -> str:
    """What a process says that is started in this folder and reads its `.env`."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    done = subprocess.run(
        [sys.executable, "-m", "provision", "policy", "show"],
        cwd=folder,
        env={**mine, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout + done.stderr


def test_what_compose_keeps_in_the_same_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAIL_HOSTNAME=mail.example.com\nDOCKER_GID=999\nPOSTROOM_PASSWORD_CLASSES=4\n")
    assert "4      environment" in started_with(tmp_path)


def test_the_file_may_be_another_one(tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("POSTROOM_ENABLE_AUTO_IMPORT=true\nPOSTROOM_PASSWORD_CLASSES=4\n")
    said = started_with(tmp_path, POSTROOM_ENV_FILE="settings")
    assert "4      environment" in said
    assert "yes    environment" in said


def test_misspelt_and_wrong_ones_are_named_as_the_readme_does(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTROOM_PASSWRD_CLASSES=4\nPOSTROOM_MAX_ATTEMPTS=many\nALLOWED_NETWORKS=here\n")
    said = started_with(tmp_path)
    assert "POSTROOM_PASSWRD_CLASSES: there is no such setting" in said
    assert "POSTROOM_MAX_ATTEMPTS: " in said
    assert " ALLOWED_NETWORKS: " in said


def test_the_tests_themselves_read_no_such_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("POSTROOM_PASSWORD_CLASSES=4\n")
    monkeypatch.chdir(tmp_path)
    assert Settings().password_classes == 3
