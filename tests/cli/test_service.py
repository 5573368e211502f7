"""server, domain, sync, log, audit, operator, csv and the frame of the command line, on both databases."""

import json
import os
import pty
import socketserver
import sqlite3
import stat
import sys
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from provision.app import open_postroom
from provision.core.errors import NotSignedIn
from provision.core.secret import Secret
from provision.settings.config import get_settings
from provision.storage.database import ROOT
from tests.cli.conftest import Cli, commands
from tests.conftest import OTHER_HASH

# ---- servers and domains -------------------------------------------------------------------


def test_servers(bare: Cli) -> None:
    assert "WHICH_SERVER" in bare("domain", "add", "example.com").err
    assert bare("server", "add", "main", "dms_files").code == 1
    assert bare("server", "add", "main", "dms_files", "--set", "path").code == 1
    assert bare("server", "add", "main", "sendmail", "--set", "path=x").code == 1
    bare.ok("server", "add", "main", "dms_files", "--set", f"path={bare.volume}", "--set", "imap_host=mail.example.com")
    assert bare("server", "check").code == 4
    bare.ok("domain", "add", "example.com")
    bare.add("anna@example.com")
    assert bare.ok("server", "check", "main").out == "All is well with main.\n"
    bare.ok("server", "edit", "main", "--unset", "imap_host", "--quiet", "5")
    (row,) = bare.ok("server", "list", "--json").json
    assert (row["settings"], row["quiet_seconds"], row["accounts"]) == ({"path": str(bare.volume)}, 5.0, 1)
    bare.ok("server", "edit", "main", "--quiet", "-1")
    assert bare.ok("server", "list", "--json").json[0]["quiet_seconds"] is None
    bare.ok("server", "add", "second", "dms_files", "--set", f"path={bare.folder}")
    assert "main, second" in bare("sync", "preview").err
    assert bare("sync", "preview", "third").code == 1


def test_a_mail_server_without_domains_is_deleted(cli: Cli) -> None:
    cli.ok("server", "add", "wrong", "dms_files", "--set", "path=/nowhere")
    assert cli.ok("server", "delete", "wrong").out == "Deleted the mail server wrong.\n"
    refused = cli("server", "delete", "main")
    assert refused.code == 1
    assert "example.com" in refused.err


def test_domains(cli: Cli) -> None:
    cli.ok("domain", "add", "bücher.example.com", "--quota", "2G", "--description", "Books")
    assert "bücher.example.com" in cli.ok("domain", "list").out
    cli.ok("domain", "edit", "bücher.example.com", "--quota", "3G")
    cli.add("anna@bücher.example.com")
    (row,) = (d for d in cli.ok("domain", "list", "--json").json if d["mailboxes"])
    assert (row["name"], row["quota_bytes"], row["description"]) == ("xn--bcher-kva.example.com", 3 << 30, "Books")
    assert "DOMAIN_NOT_EMPTY" in cli("domain", "delete", "bücher.example.com").err
    cli.ok("domain", "delete", "example.com")
    assert len(cli.ok("domain", "list", "--json").json) == 1


# ---- sync ----------------------------------------------------------------------------------


def test_what_was_made_by_hand_is_pulled(cli: Cli) -> None:
    cli.add("anna@example.com")
    accounts = cli.volume / "postfix-accounts.cf"
    accounts.write_text(cli.text() + cli.text().replace("anna@", "olga@") + cli.text().replace("anna@", "ANNA/@"))
    previewed = cli("sync", "preview", "--json")
    assert previewed.code == 4
    assert ["unknown here", "olga@example.com"] in [[f["found"], f["address"]] for f in previewed.json["found"]]
    pulled = cli("sync", "pull", "--json")
    assert (pulled.code, pulled.json["imported"]) == (4, 1)
    assert "left alone" in cli("sync", "preview").out
    assert cli.ok("mailbox", "show", "olga@example.com", "--json").json["sync_status"] == "SYNCED"


@pytest.mark.parametrize(("winner", "quota"), [("dashboard", "500M"), ("server", "700M")])
def test_a_difference_is_resolved_either_way(cli: Cli, winner: str, quota: str) -> None:
    cli.add("anna@example.com", "--quota", "500M")
    quotas = cli.volume / "dovecot-quotas.cf"
    quotas.write_text("anna@example.com:700M\n")
    assert cli("sync", "preview").code == 4
    cli.ok("sync", "resolve", "anna@example.com", "--wins", winner)
    assert cli.ok("sync", "preview").out.endswith("Nothing differs.\n")
    assert quotas.read_text() == f"anna@example.com:{quota}\n"
    assert "NO_DIFFERENCE" in cli("sync", "resolve", "anna@example.com", "--wins", winner).err
    quotas.write_text("anna@example.com:800M\n")
    assert cli.ok("sync", "resolve", "--all", "--wins", winner, "--json").json["resolved"] == 1
    assert cli("sync", "resolve", "--wins", winner).code == 1


def test_a_waiting_change_is_shown_and_tried_again(cli: Cli) -> None:
    cli.add("anna@example.com")
    cli.ok("alias", "add", "info@example.com", "anna@example.com")
    cli.break_server()
    cli("quota", "set", "anna@example.com", "2G")
    cli("alias", "edit", "info@example.com", "anna@example.com", "ben@example.com")
    status = cli("sync", "status", "--json")
    assert (status.code, status.json["total"]) == (3, 2)
    assert cli("sync", "retry", "anna@example.com").code == 3
    assert cli("sync", "push").code == 3
    cli.mend_server()
    cli.ok("sync", "retry", "info@example.com")
    assert cli.ok("sync", "status").out.endswith("Everything is on the mail servers.\n")
    assert cli.ok("sync", "retry", "--server", "main", "--json").json == {"tried": 0, "still_waiting": 0}


def test_an_emptied_server_is_written_to_by_force_only(cli: Cli) -> None:
    for number in range(12):
        cli.add(f"user{number}@example.com")
    (cli.volume / "postfix-accounts.cf").write_text("")
    done = cli("mailbox", "add", "anna@example.com", "--generate")
    assert done.code == 3
    assert "See what is missing: python -m provision sync preview main" in done.out
    assert "sync push main --force" in done.out
    assert "main: See in the preview what is missing" in cli("sync", "status").out
    assert cli("sync", "push", "main").code == 3
    cli("sync", "push", "main", "--force")
    assert "anna@example.com|" in cli.text()


# ---- log, audit, operators -----------------------------------------------------------------


def test_the_log_says_who_did_what(cli: Cli) -> None:
    cli.add("anna@example.com")
    (row,) = cli.ok("log", "list", "--operation", "mailbox.create", "--json").json["rows"]
    assert row["operator"].startswith("cli:")
    assert (row["status"], row["resource_name"]) == ("SUCCESS", "anna@example.com")
    assert cli.ok("log", "list", "--since", "2999-01-01").out == "There is no such record.\n"
    assert "mailbox.create" in cli.ok("log", "list", "--until", "2999-01-01", "--status", "SUCCESS").out
    assert "no day such as" in cli("log", "list", "--until", "yesterday").err


def test_a_day_that_ends_a_period_is_meant_with_all_its_hours(cli: Cli) -> None:
    cli.add("anna@example.com")
    (row,) = cli.ok("log", "list", "--operation", "mailbox.create", "--json").json["rows"]
    day = row["started_at"][:10]
    assert "anna@example.com" in cli.ok("log", "list", "--since", day, "--until", day).out
    assert cli.ok("log", "list", "--until", f"{day}T00:00:00").out == "There is no such record.\n"


def test_the_chain_is_verified_against_a_head_kept_outside(cli: Cli) -> None:
    head = cli.folder / "head.json"
    cli.ok("audit", "head", "--out", str(head))
    cli.add("anna@example.com")
    assert cli.ok("audit", "verify", "--head", str(head), "--json").json["intact"]
    head.write_text(json.dumps({**json.loads(head.read_text()), "links": 999}))
    done = cli("audit", "verify", "--head", str(head))
    assert done.code == 4
    assert "the tail is cut off" in done.out
    head.write_text("[]")
    assert "NO_HEAD" in cli("audit", "verify", "--head", str(head)).err
    assert cli("audit", "verify", "--head", str(cli.folder / "none")).err.endswith("No such file or directory.\n")


def test_operators(cli: Cli) -> None:
    cli.ok("operator", "add", "root", "--role", "SuperAdmin", "--password-stdin", stdin="Correct-Horse-1\n")
    made = cli.ok("operator", "add", "dora", "--role", "DomainAdmin", "--domain", "example.com", "--generate", "--json")
    assert made.json["one_time_password"]
    assert cli("operator", "add", "dora", "--role", "Viewer", "--generate").code == 1
    assert cli("operator", "add", "vera", "--role", "Emperor", "--generate").code == 2
    assert "One-time password" in cli.ok("operator", "passwd", "Dora", "--generate").out
    cli.ok("operator", "edit", "dora", "--role", "Viewer", "--no-domains", "--disable")
    rows = {row["username"]: row for row in cli.ok("operator", "list", "--json").json}
    assert (rows["dora"]["role"], rows["dora"]["domains"], rows["dora"]["enabled"]) == ("Viewer", [], False)
    assert not [name for row in rows.values() for name in row if "hash" in name]
    assert "LAST_SUPER_ADMIN" in cli("operator", "edit", "root", "--disable").err
    assert "OPERATOR_NOT_FOUND" in cli("operator", "edit", "ghost", "--disable").err


def test_a_locked_operator_is_let_in_again_and_one_who_is_in_is_sent_out(cli: Cli) -> None:
    cli.ok("operator", "add", "dora", "--role", "Viewer", "--password-stdin", stdin="Correct-Horse-1\n")
    password, ip = Secret("Correct-Horse-1"), "192.0.2.7"
    with closing(open_postroom(get_settings(), migrate=False)) as app:
        for _ in range(5):
            with pytest.raises(NotSignedIn):
                app.sign_in.check("dora", Secret("Wrong-Horse-1"), ip)
        with pytest.raises(NotSignedIn, match="Too many failed sign-ins"):
            app.sign_in.check("dora", password, ip)
        assert cli.ok("operator", "unlock", "dora").out == "Unlocked dora.\n"
        session = app.sign_in.open_session(app.sign_in.check("dora", password, ip), ip)
        assert cli.ok("operator", "end-sessions", "dora", "--json").json["username"] == "dora"
        assert app.sign_in.current(session) is None
    assert "OPERATOR_NOT_FOUND" in cli("operator", "unlock", "ghost").err


def test_acting_as_an_operator_has_their_role_and_domains(cli: Cli) -> None:
    cli.ok("domain", "add", "example.org")
    cli.add("anna@example.com")
    cli.add("olga@example.org")
    cli.ok("operator", "add", "dora", "--role", "DomainAdmin", "--domain", "example.com", "--generate")
    assert cli.ok("--as", "dora", "mailbox", "list", "--json").json["total"] == 1
    cli.ok("--as", "dora", "mailbox", "disable", "anna@example.com")
    assert cli("--as", "dora", "mailbox", "disable", "olga@example.org").code == 1
    denied = cli("--as", "dora", "domain", "add", "example.net")
    assert (denied.code, "INSUFFICIENT_PERMISSION" in denied.err) == (1, True)
    first = cli.ok("log", "list", "--size", "1", "--json").json["rows"][0]
    assert (first["operation"], first["status"]) == ("domain.create", "FAILED")
    assert first["operator"].startswith("dora (cli:")
    cli.ok("operator", "edit", "dora", "--disable")
    assert "is disabled" in cli("--as", "dora", "mailbox", "list").err


# ---- verify --------------------------------------------------------------------------------


class Imap(socketserver.StreamRequestHandler):
    """As much of an IMAP server as a login needs."""

    def handle(self) -> None:
        self.wfile.write(b"* OK ready\r\n")
        for line in self.rfile:
            tag, verb, *_ = line.decode().split()
            refused = False
            if verb == "CAPABILITY":
                self.wfile.write(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
            elif verb == "AUTHENTICATE":
                self.wfile.write(b"+ \r\n")
                refused = b64decode(self.rfile.readline()) != b"\0anna@example.com\0Correct-Horse-1"
            self.wfile.write(f"{tag} {'NO [AUTHENTICATIONFAILED] no' if refused else 'OK done'}\r\n".encode())


@pytest.fixture
def imap_port() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Imap) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_password_is_verified_by_a_login(cli: Cli, imap_port: int) -> None:
    cli.add("anna@example.com")
    verify = ("mailbox", "verify", "anna@example.com", "--password-stdin")
    assert "NO_IMAP_HOST" in cli(*verify, stdin="Correct-Horse-1\n").err
    login = ("imap_host=127.0.0.1", f"imap_port={imap_port}", "imap_security=none")
    cli.ok("server", "edit", "main", *(word for setting in login for word in ("--set", setting)))
    assert "can log in" in cli.ok(*verify, stdin="Correct-Horse-1\n").out
    wrong = cli(*verify, "--json", stdin="Wrong-Horse-1\n")
    assert (wrong.code, wrong.json["accepted"]) == (4, False)


# ---- CSV -----------------------------------------------------------------------------------

SHEET = "email,password,quota_mb\nanna@example.com,Correct-Horse-1,500\nben@example.com,weak,\n"


def test_a_dry_run_changes_nothing(cli: Cli) -> None:
    done = cli("csv", "import", "-", "--dry-run", "--json", stdin=SHEET)
    assert done.code == 1
    assert done.json["accepted"] == ["anna@example.com"]
    assert [(e["row"], e["column"], e["code"]) for e in done.json["errors"]] == [(3, "password", "WEAK_PASSWORD")]
    assert cli.ok("mailbox", "list", "--json").json["total"] == 0
    assert cli.text() == ""


def test_refused_rows_are_corrected_and_fed_again(cli: Cli) -> None:
    rejected = cli.folder / "rejected.csv"
    rejected.write_text("an older one")
    rejected.chmod(0o644)
    done = cli("csv", "import", "-", "--rejected", str(rejected), stdin=SHEET)
    assert done.code == 1
    assert "1 created, 1 rows refused." in done.out
    assert "weak" not in done.out
    assert stat.S_IMODE(rejected.stat().st_mode) == 0o600
    rejected.write_text(rejected.read_text().replace("weak", "Battery-Staple-2"))
    cli.ok("csv", "import", str(rejected))
    assert cli.text().count("\n") == 2


def test_an_import_while_the_server_is_down_waits(cli: Cli) -> None:
    cli.break_server()
    done = cli("csv", "import", "-", stdin=SHEET.rpartition("ben")[0])
    assert done.code == 3
    assert "python -m provision sync status" in done.out


def test_an_import_that_was_delivered_is_done_whatever_else_waits(cli: Cli) -> None:
    (cli.volume / "postfix-accounts.cf").write_text(f"taken@example.com|{OTHER_HASH.reveal()}\n")
    assert cli("mailbox", "add", "taken@example.com", "--password-stdin", stdin="Correct-Horse-1\n").code == 3
    done = cli("csv", "import", "-", "--json", stdin=SHEET.rpartition("ben")[0])
    assert (done.code, done.json["waiting"]) == (0, 0)
    assert cli("sync", "status").code == 3


def test_an_export_goes_to_a_file_or_to_stdout(cli: Cli) -> None:
    cli.add("anna@example.com", "--name", "=1+1")
    cli.add("ben@example.com")
    target = cli.folder / "out.csv"
    cli.ok("csv", "export", str(target), "--search", "anna")
    assert target.read_bytes().decode() == (
        "email,display_name,quota_mb,aliases,enabled\r\nanna@example.com,'=1+1,1024,,true\r\n"
    )
    assert cli.ok("csv", "export").out.count("@") == 2
    cli.ok("csv", "export", str(target), "--excel")
    assert target.read_bytes()[:3] == b"\xef\xbb\xbf"


def test_the_columns_of_others_and_new_passwords(cli: Cli) -> None:
    data, made = "Personal;Mail;Bezeichnung\n7;anna@example.com;Anna\n", cli.folder / "made.csv"
    assert "password" in cli("csv", "import", "-", stdin=data).err
    how = ("csv", "import", "-", "--map", "display_name=Bezeichnung", "--new-passwords", str(made))
    assert "Left out: Personal" in cli.ok(*how, "--dry-run", stdin=data).out
    assert not made.exists()
    nowhere = ("csv", "import", "-", "--new-passwords", str(cli.folder / "none" / "made.csv"))
    assert "No such file" in cli(*nowhere, stdin=data.replace("Bezeichnung", "Name")).err
    assert cli.text() == ""
    done = cli.ok(*how, stdin=data)
    assert "1 new passwords are in" in done.out
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    address, password = made.read_text().splitlines()[1].split(",")
    assert (address, password in done.out) == ("anna@example.com", False)
    assert cli.ok("csv", "export").out.splitlines()[1].startswith("anna@example.com,Anna,")
    assert "no column=heading" in cli("csv", "import", "-", "--map", "Mail", stdin=data).err


def test_what_an_update_changes_is_shown_before(cli: Cli) -> None:
    cli.add("anna@example.com")
    how, data = ("csv", "import", "-", "--update"), "email,quota_mb,display_name\nanna@example.com,2048,\n"
    shown = cli.ok(*how, "--dry-run", stdin=data).out
    assert "quota_bytes" in shown
    assert "1 would be updated, 0 unchanged" in shown
    assert "2048M" not in cli.text("dovecot-quotas.cf")
    assert "1 updated, 0 unchanged" in cli.ok(*how, stdin=data).out
    assert "2048M" in cli.text("dovecot-quotas.cf")
    assert cli.ok(*how, "--json", stdin=data).json["unchanged"] == 1


def test_aliases_go_out_and_in_as_csv(cli: Cli) -> None:
    cli.add("anna@example.com")
    rows = "all@example.com,anna@example.com;x@example.net,\n"
    data = f"alias,destinations,mailbox\n{rows}"
    assert "1 would be created, 0 rows refused" in cli.ok("alias", "import", "-", "--dry-run", stdin=data).out
    assert "1 created" in cli.ok("alias", "import", "-", stdin=data).out
    assert cli.ok("alias", "export").out.replace("\r", "") == data
    again = cli("alias", "import", "-", "--json", stdin=data)
    assert (again.code, [error["code"] for error in again.json["errors"]]) == (1, ["DUPLICATE_ALIAS"])
    target = cli.folder / "aliases.csv"
    cli.ok("alias", "export", str(target), "--excel", "--search", "all")
    assert target.read_bytes()[:3] == b"\xef\xbb\xbf"


def test_a_file_in_another_encoding_is_asked_for_it(cli: Cli) -> None:
    data = "email,password,display_name\nanna@example.com,Correct-Horse-1,Jürgen\n".encode("cp1252")
    assert "cp1252" in cli("csv", "import", "-", stdin=data).err
    cli.ok("csv", "import", "-", "--encoding", "cp1252", stdin=data)
    assert "Jürgen" in cli.ok("csv", "export").out


def test_a_missing_or_unusable_file_is_a_sentence(cli: Cli) -> None:
    assert cli("csv", "import", "none.csv").err == "none.csv: No such file or directory.\n"
    assert "CSV_UNREADABLE" in cli("csv", "import", "-", stdin=b"\xff\xfe\x00").err
    cli.ok("csv", "template")


# ---- the frame -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [[], ["mailbox"], ["nonsense"], ["mailbox", "show"], ["mailbox", "list", "--size", "0"]]
)
def test_wrong_usage_is_exit_code_2(bare: Cli, arguments: list[str]) -> None:
    assert bare(*arguments).code == 2


def test_help_needs_no_database(bare: Cli) -> None:
    bare.ok("mailbox", "--help")
    assert not (bare.folder / "data").exists()


def test_a_wrong_setting_is_named(bare: Cli) -> None:
    bare.monkeypatch.setenv("POSTROOM_MAX_ATTEMPTS", "many")
    get_settings.cache_clear()
    done = bare("server", "list")
    assert done.code == 1
    assert "POSTROOM_MAX_ATTEMPTS" in done.err


def test_an_unexpected_error_is_a_sentence_and_a_log(bare: Cli) -> None:
    """A row holds what no such column can."""
    bare.monkeypatch.setenv("POSTROOM_DATABASE_URL", f"sqlite:///{bare.folder}/odd.db")
    get_settings.cache_clear()
    bare.ok("init")
    with closing(sqlite3.connect(bare.folder / "odd.db", isolation_level=None)) as database:
        database.execute("UPDATE server SET created_at = 'yesterday'")
    done = bare("server", "list")
    assert done.code == 1
    assert "Traceback" not in done.err
    log = bare.folder / "data" / "cli.log"
    assert str(log) in done.err
    assert "Traceback" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    with pytest.raises(ValueError, match="yesterday"):
        bare("--debug", "server", "list")


def test_a_file_that_is_no_database_is_a_sentence(bare: Cli) -> None:
    bare.monkeypatch.setenv("POSTROOM_DATABASE_URL", f"sqlite:///{bare.folder}/letter.db")
    (bare.folder / "letter.db").write_bytes(b"this is no database" * 100)
    get_settings.cache_clear()
    done = bare("server", "list")
    assert done.code == 1
    assert "letter.db is damaged" in done.err
    assert "restore FILE" in done.err


def test_an_unreachable_database_is_a_sentence(bare: Cli) -> None:
    bare.monkeypatch.setenv("POSTROOM_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    get_settings.cache_clear()
    done = bare("server", "list")
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "database" in done.err


def test_every_listing_is_json_for_machines(cli: Cli) -> None:
    for noun in ("server", "domain", "mailbox", "alias", "operator", "log"):
        assert cli.ok(noun, "list", "--json").json is not None
    for arguments in (["sync", "status"], ["sync", "preview"], ["audit", "verify"], ["audit", "head"]):
        assert cli.ok(*arguments, "--json").json is not None


def test_no_option_or_argument_takes_a_password() -> None:
    for name, command in commands():
        for parameter in command.params:
            if any(word in parameter.name for word in ("password", "stdin", "hash", "secret")):
                assert parameter.is_flag, (name, parameter.name)


def test_only_the_command_line_knows_typer_and_rich() -> None:
    for file in (ROOT / "provision").rglob("*.py"):
        if "cli" not in file.relative_to(ROOT).parts:
            text = file.read_text()
            assert "import typer" not in text, file
            assert "rich" not in [
                line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))
            ], file


def test_nothing_is_coloured_where_nobody_looks(cli: Cli) -> None:
    cli.add("anna@example.com", "--name", "[red]Anna[/red]")
    shown = cli.ok("mailbox", "list").out
    assert "\x1b" not in shown
    assert "[red]Anna[/red]" in shown


def test_a_password_is_asked_for_at_a_terminal(cli: Cli) -> None:
    """Typed twice, and not shown."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "provision", "mailbox", "add", "anna@example.com"])
    seen = b""
    for prompt in (b"Password: ", b"confirmation: "):
        while prompt not in seen and (more := os.read(terminal, 1000)):
            seen += more
        os.write(terminal, b"Correct-Horse-1\n")
    with suppress(OSError):  # the child's end of the terminal is closed
        while more := os.read(terminal, 1000):
            seen += more
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, seen
    assert b"Correct-Horse-1" not in seen
    assert "anna@example.com|" in cli.text()
