"""Settings: secrets come from files, and a wrong value names its variable."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from provision.config import Settings, get_settings
from provision.errors import InvalidInput


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
