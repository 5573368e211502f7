"""init: the sample company, a real mail server, and one after the other."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.conftest import HASH


@pytest.fixture
def real(volume: Path) -> Path:
    """A config volume with somebody on it."""
    (volume / "postfix-accounts.cf").write_text(f"ann@example.com|{HASH.reveal()}\n")
    return volume


def test_the_sample_company_gives_way_to_no_mail_server_silently(bare: Cli, real: Path) -> None:
    assert "A sample company was set up" in bare.ok("init").out
    assert bare.ok("init").out == "Mail servers: branch, headquarters.\n"
    for named in (("--config-dir", str(real)), ("--container", "mailserver")):
        done = bare("init", *named)
        assert (done.code, "SAMPLE_COMPANY" in done.err) == (1, True), done
        assert "POSTROOM_DATABASE_URL" in done.err
    bare.monkeypatch.setenv("POSTROOM_CONFIG_DIR", str(real))
    assert "SAMPLE_COMPANY" in bare.anew("init").err
    bare.monkeypatch.setenv("POSTROOM_DATABASE_URL", "")
    done = bare.anew("init")
    assert (done.code, done.out) == (0, "Imported 1 mailboxes and aliases from the mail server.\n"), (
        "in an empty database"
    )


def test_the_folder_to_move_away_is_named(bare: Cli, real: Path) -> None:
    bare.monkeypatch.setenv("POSTROOM_DATABASE_URL", "")
    assert bare.anew("init").code == 0
    assert f"Move the folder {bare.folder}/data away" in bare("init", "--config-dir", str(real)).err


def test_the_same_mail_server_again_is_no_question_and_another_one_is_told(bare: Cli, real: Path) -> None:
    assert "Imported 1 mailboxes" in bare.ok("init", "--config-dir", str(real)).out
    (listed,) = bare.ok("server", "list", "--json").json
    assert (listed["accounts"], bool(listed["last_read_at"])) == (1, True), "it was read just now"
    assert bare.ok("init", "--config-dir", str(real)).out == "Mail servers: mail.\n"
    assert "server add" in bare.ok("init", "--container", "mailserver").out
    assert bare.ok("mailbox", "list", "--json").json["total"] == 1
