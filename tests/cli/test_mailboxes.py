"""mailbox, alias and quota on the command line, on both databases."""

import pytest

from tests.cli.conftest import Cli
from tests.conftest import HASH


def test_the_life_of_a_mailbox(cli: Cli) -> None:
    cli.add("anna@example.com", "--name", "Anna Abe", "--quota", "500M")
    assert "anna@example.com:500M" in cli.text("dovecot-quotas.cf")
    cli.ok("mailbox", "edit", "anna@example.com", "--name", "Anna Berg", "--quota", "2G")
    shown = cli.ok("mailbox", "show", "Anna@Example.com", "--json").json
    assert (shown["display_name"], shown["quota_bytes"], shown["sync_status"]) == ("Anna Berg", 2 << 30, "SYNCED")
    cli.ok("mailbox", "disable", "anna@example.com")
    assert "fail=y" in cli.text()
    cli.ok("mailbox", "enable", "anna@example.com")
    assert "fail=y" not in cli.text()
    kept = cli.ok("mailbox", "delete", "anna@example.com", "--keep-login")
    assert "one can still log in" in kept.out
    assert "fail=y" not in cli.text()
    assert cli.ok("mailbox", "delete", "anna@example.com").out == "Deleted anna@example.com: SYNCED.\n"
    assert "fail=y" in cli.text()
    assert cli.ok("mailbox", "list", "--status", "DELETED", "--json").json["total"] == 1
    cli.ok("mailbox", "restore", "anna@example.com")
    done = cli.ok("mailbox", "delete", "anna@example.com", "--force", "--yes")
    assert done.out == "Removed anna@example.com: REMOVED.\n"
    assert "anna" not in cli.text()
    assert cli("mailbox", "show", "anna@example.com").code == 1


def test_a_password_is_set_from_stdin(cli: Cli) -> None:
    cli.add("anna@example.com")
    before = cli.text()
    cli.ok("mailbox", "passwd", "anna@example.com", "--password-stdin", stdin="Battery-Staple-2\r\n")
    assert cli.text() != before


def test_a_hash_is_taken_as_it_is(cli: Cli) -> None:
    cli.ok("mailbox", "add", "anna@example.com", "--hash-stdin", stdin=HASH.reveal() + "\n")
    assert cli.text() == f"anna@example.com|{HASH.reveal()}\n"


def test_a_generated_password_is_shown_once_and_kept_nowhere(cli: Cli) -> None:
    password = cli.ok("mailbox", "add", "anna@example.com", "--generate", "--json").json["one_time_password"]
    assert len(password) > 12
    shown = cli.ok("mailbox", "passwd", "anna@example.com", "--generate").out
    second = shown.strip().rpartition(" ")[2]
    everything = cli.ok("log", "list", "--json").out + cli.ok("mailbox", "show", "anna@example.com", "--json").out
    assert password not in everything
    assert second not in everything
    for file in (cli.folder / "data").iterdir():
        assert second.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "stdin", "word"),
    [
        (["mailbox", "add", "anna@example.com"], "", "--password-stdin"),
        (["mailbox", "add", "anna@example.com", "--password-stdin"], "", "Nothing came on stdin"),
        (["mailbox", "add", "anna@example.com", "--password-stdin"], "short\n", "WEAK_PASSWORD"),
        (["mailbox", "add", "anna@example.com", "--password-stdin", "--generate"], "x\n", "not both"),
        (["mailbox", "add", "-rf@x", "--generate"], "", "No such option"),
        (["mailbox", "add", "--generate", "--", "-rf@example.com"], "", "INVALID_EMAIL"),
        (["mailbox", "add", "$(id)@example.com", "--generate"], "", "INVALID_EMAIL"),
        (["mailbox", "add", "anna@nowhere.example.net", "--generate"], "", "DOMAIN_NOT_FOUND"),
        (["mailbox", "add", "anna@example.com", "--generate", "--quota", "much"], "", "INVALID_QUOTA"),
        (["mailbox", "add", "anna@example.com", "--generate", "--quota", "500"], "", "INVALID_QUOTA"),
        (["mailbox", "edit", "ghost@example.com"], "", "NOTHING_TO_CHANGE"),
        (["mailbox", "passwd", "ghost@example.com", "--generate"], "", "MAILBOX_NOT_FOUND"),
        (["mailbox", "delete", "ghost@example.com", "--erase-mail"], "", "FORCE_NEEDED"),
        (["mailbox", "delete", "ghost@example.com", "--force"], "", "YES_NEEDED"),
        (["mailbox", "list", "--sort", "password"], "", "cannot be sorted"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(cli: Cli, arguments: list[str], stdin: str, word: str) -> None:
    done = cli(*arguments, stdin=stdin)
    assert done.code in (1, 2)
    assert word in done.err
    assert "Traceback" not in done.err
    assert cli.text() == ""


def test_a_second_one_is_refused(cli: Cli) -> None:
    cli.add("anna@example.com")
    done = cli("mailbox", "add", "ANNA@example.com", "--generate")
    assert done == (1, "", "anna@example.com cannot be made: it exists already. [DUPLICATE_MAILBOX]\n")


def test_several_at_once_and_the_unknown_one_is_named(cli: Cli) -> None:
    cli.add("anna@example.com")
    cli.add("ben@example.com")
    done = cli("mailbox", "disable", "anna@example.com", "ghost@example.com", "ben@example.com")
    assert done.code == 1
    assert "ghost@example.com" in done.out
    assert cli.text().count("fail=y") == 2


def test_lists_are_filtered_and_paged(cli: Cli) -> None:
    for name in ("anna", "ben", "chen"):
        cli.add(f"{name}@example.com")
    cli.ok("mailbox", "disable", "ben@example.com")
    assert cli.ok("mailbox", "list", "--status", "DISABLED", "--json").json["rows"][0]["address"] == "ben@example.com"
    assert cli.ok("mailbox", "list", "--search", "hen", "--json").json["total"] == 1
    assert cli.ok("mailbox", "list", "--domain", "example.org").out == "There is no such mailbox.\n"
    page = cli.ok("mailbox", "list", "--size", "2", "--page", "2", "--descending").out
    assert "anna@example.com" in page
    assert "Page 2 of 2, 3 in all" in page
    assert "password" not in cli.ok("mailbox", "list", "--json").out


def test_what_waits_says_why_and_how_to_send_it(cli: Cli) -> None:
    cli.add("anna@example.com")
    cli.break_server()
    done = cli("mailbox", "disable", "anna@example.com", "--json")
    assert done.code == 3
    (row,) = done.json["done"]
    assert row["sync_status"] == "PENDING"
    assert "cannot be reached" in row["reason"]
    assert "python -m provision sync push main" in row["next"]
    cli("alias", "add", "info@example.com", "anna@example.com")
    shown = [cli.ok("mailbox", "show", "anna@example.com"), cli.ok("mailbox", "list"), cli.ok("alias", "list")]
    assert all("The mail server main cannot be reached" in done.out for done in [*shown, cli("sync", "status")])
    cli.mend_server()
    cli.ok("sync", "push")
    assert "fail=y" in cli.text()


def test_what_is_gathered_by_the_quiet_time_says_so(cli: Cli) -> None:
    cli.ok("server", "edit", "main", "--quiet", "60")
    cli.add("anna@example.com")
    done = cli("quota", "set", "anna@example.com", "2G")
    assert done.code == 3
    assert "Gathered with what else comes within 60 s" in done.out
    assert "python -m provision sync push main" in done.out
    cli.ok("sync", "push", "main")
    assert "anna@example.com:2048M" in cli.text("dovecot-quotas.cf")


def test_aliases(cli: Cli) -> None:
    cli.add("anna@example.com")
    cli.ok("alias", "add", "info@example.com", "anna@example.com", "elsewhere@example.net")
    cli.ok("alias", "add", "@example.com", "anna@example.com")
    assert "@example.com anna@example.com\n" in cli.text("postfix-virtual.cf")
    cli.ok("alias", "edit", "info@example.com", "anna@example.com")
    found = cli.ok("alias", "list", "--mailbox", "anna@example.com", "--json").json
    assert [row["address"] for row in found["rows"]] == ["@example.com"]
    assert "info@example.com" in cli.ok("alias", "list", "--search", "info").out
    assert cli("alias", "add", "info@example.com", "anna@example.com").code == 1
    assert cli("alias", "edit", "info@example.com", "info@example.com").code == 1
    done = cli.ok("alias", "delete", "info@example.com", "--json")
    assert done.json["sync_status"] == "REMOVED"
    assert "info@" not in cli.text("postfix-virtual.cf")


def test_an_alias_is_listed_under_the_mailbox_that_is_named(cli: Cli) -> None:
    cli.add("anna@example.com")
    cli.ok("alias", "add", "info@example.com", "elsewhere@example.net")

    def owner() -> str | None:
        (row,) = cli.ok("alias", "list", "--json").json["rows"]
        return str(row["mailbox"]) if row["mailbox"] else None

    assert owner() is None
    done = cli.ok("alias", "assign", "info@example.com", "--mailbox", "anna@example.com", "--json").json
    assert (done["address"], done["mailbox"], owner()) == ("info@example.com", "anna@example.com", "anna@example.com")
    assert "MAILBOX_NOT_FOUND" in cli("alias", "assign", "info@example.com", "--mailbox", "ghost@example.com").err
    assert "WHICH_MAILBOX" in cli("alias", "assign", "info@example.com").err
    assert "under no mailbox" in cli.ok("alias", "assign", "info@example.com", "--no-mailbox").out
    assert owner() is None


@pytest.mark.parametrize(("amount", "written"), [("500M", "500M"), ("2g", "2048M"), ("0", "0"), ("1T", "1048576M")])
def test_quotas(cli: Cli, amount: str, written: str) -> None:
    cli.add("anna@example.com")
    cli.ok("quota", "set", "anna@example.com", amount)
    assert cli.text("dovecot-quotas.cf") == f"anna@example.com:{written}\n"
    cli.ok("quota", "clear", "anna@example.com")
    assert cli.text("dovecot-quotas.cf") == "anna@example.com:0\n"
