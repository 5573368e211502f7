"""Checking a mailbox password by IMAP against a real Dovecot, and against servers that misbehave."""

import base64
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from provision.core.errors import InvalidInput, Unreachable
from provision.core.secret import Secret
from provision.servers.login_check import check_login
from provision.storage.models import Mailbox
from tests.conftest import PASSWORD
from tests.mail.conftest import Mail

WRONG = Secret("Wrong-Horse-99")


def verify(mail: Mail, row: Mailbox, password: Secret = PASSWORD, **settings: Any) -> bool:
    """Set how to reach IMAP, and check."""
    app, alice = mail.world.app, mail.world.alice
    volume = {"path": str(mail.world.volume)}
    app.services.servers.edit(alice, mail.world.server.uid, settings={**volume, **settings})
    return app.services.mailboxes.verify_password(alice, row.uid, password)


def tls(mail: Mail, **more: Any) -> dict[str, Any]:
    return {"imap_host": "localhost", "imap_port": mail.host.ports["imaps"], "imap_verify": False, **more}


@pytest.fixture
def anna(mail: Mail) -> Mailbox:
    return mail.add("anna@example.com", PASSWORD)


@pytest.fixture
def known_anna(mail: Mail, anna: Mailbox) -> Mailbox:
    mail.host.feed(mail.world.volume)
    return anna


@pytest.mark.parametrize("port", ["imaps", "imap"])
def test_the_right_password_is_accepted_and_a_wrong_one_not(mail: Mail, known_anna: Mailbox, port: str) -> None:
    security = "tls" if port == "imaps" else "starttls"
    settings = tls(mail, imap_port=mail.host.ports[port], imap_security=security)
    assert verify(mail, known_anna, PASSWORD, **settings) is True
    assert verify(mail, known_anna, WRONG, **settings) is False


def test_a_disabled_mailbox_is_not_let_in(mail: Mail, anna: Mailbox) -> None:
    mail.world.app.services.mailboxes.disable(mail.world.alice, anna.uid)
    mail.host.feed(mail.world.volume)
    assert verify(mail, anna, **tls(mail)) is False


def test_any_password_we_accept_can_be_checked(mail: Mail) -> None:
    passwords = ['Quote"Back\\slash1', "Zürich-Ärger-1", "Blank In 1", "Ünï€ode-1", "Per%cent-{1}"]
    rows = [mail.add(f"box{number}@example.com", Secret(text)) for number, text in enumerate(passwords)]
    mail.host.feed(mail.world.volume)
    for row, text in zip(rows, passwords, strict=True):
        assert verify(mail, row, Secret(text), **tls(mail)) is True


def test_a_typed_password_cannot_break_out_of_the_command(mail: Mail, known_anna: Mailbox) -> None:
    assert verify(mail, known_anna, Secret("x\r\nA9 LOGOUT"), **tls(mail)) is False


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_self_signed_certificate_is_refused_unless_told_otherwise(
    mail: Mail, known_anna: Mailbox, security: str
) -> None:
    port = mail.host.ports["imaps" if security == "tls" else "imap"]
    settings = {"imap_host": "localhost", "imap_port": port, "imap_security": security}
    with pytest.raises(Unreachable, match=r"^The certificate of localhost is not trusted: self-signed certificate\.$"):
        verify(mail, known_anna, **settings)
    assert verify(mail, known_anna, **settings, imap_verify="false") is True


def test_a_trusted_certificate_is_accepted_for_its_own_name_only(
    mail: Mail, known_anna: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(mail.host.folder / "certificate.pem"))
    assert verify(mail, known_anna, **tls(mail, imap_verify=True)) is True
    with pytest.raises(Unreachable, match=r"^The certificate of 127\.0\.0\.1 is not trusted: .*mismatch"):
        verify(mail, known_anna, **tls(mail, imap_verify=True, imap_host="127.0.0.1"))


def test_a_temporary_failure_is_no_wrong_password(mail: Mail, known_anna: Mailbox) -> None:
    with mail.host.without_users(), pytest.raises(Unreachable, match="did not judge the password: it cannot check"):
        verify(mail, known_anna, **tls(mail))


def test_a_server_without_imap_host_is_said_so(mail: Mail, anna: Mailbox) -> None:
    with pytest.raises(InvalidInput, match="no IMAP host"):
        verify(mail, anna)


def test_nobody_listening_is_said_so(mail: Mail, anna: Mailbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as freed:
        port = freed.getsockname()[1]
    with pytest.raises(Unreachable, match=r"^No login could be tried at localhost: .*refused"):
        verify(mail, anna, **tls(mail, imap_port=port))


@contextmanager
def server_that(behaves: Callable[[socket.socket], None]) -> Iterator[dict[str, Any]]:
    """A server with one conversation; the settings to reach it without TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, suppress(ConnectionError):
                behaves(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield {"imap_host": "127.0.0.1", "imap_port": listening.getsockname()[1], "imap_security": "none"}
        thread.join(10)
        assert not thread.is_alive()


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def silent_after_greeting(connection: socket.socket) -> None:
    connection.sendall(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n")
    silent(connection)


@pytest.mark.parametrize("behaves", [silent, silent_after_greeting])
@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_a_silent_server_costs_the_budget_and_no_more(
    mail: Mail, anna: Mailbox, behaves: Callable[[socket.socket], None], security: str
) -> None:
    mail.world.app.settings.page_budget_seconds = 0.3
    with server_that(behaves) as settings:
        started = time.monotonic()
        with pytest.raises(Unreachable, match=r"^No login could be tried at 127\.0\.0\.1: "):
            verify(mail, anna, **{**settings, "imap_security": security})
        assert time.monotonic() - started < 10  # it would be silent for ever


def answering(answer: str) -> Callable[[socket.socket], None]:
    """Speaks IMAP up to the password, and then gives this answer."""

    def behaves(connection: socket.socket) -> None:
        connection.sendall(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n")
        with connection.makefile("rb") as lines:
            for line in lines:
                tag, command = line.decode().split()[:2]
                if command == "CAPABILITY":
                    connection.sendall(f"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n{tag} OK done\r\n".encode())
                    continue
                connection.sendall(b"+ \r\n")
                lines.readline()
                connection.sendall(answer.format(tag=tag).encode())
                return

    return behaves


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("", "closed the connection without an answer"),
        ("{tag} NO [UNAVAILABLE] Internal error\r\n", "temporary failure"),
        ("{tag} NO [LIMIT] Too many\r\n", "no more logins now"),
        ("{tag} NO [PRIVACYREQUIRED] Plaintext disallowed\r\n", "wants an encrypted connection"),
    ],
)
def test_an_answer_that_is_no_verdict_is_no_wrong_password(
    mail: Mail, anna: Mailbox, answer: str, sentence: str
) -> None:
    with server_that(answering(answer)) as settings, pytest.raises(Unreachable, match=sentence):
        verify(mail, anna, **settings)


def test_a_refusal_without_a_code_is_a_wrong_password(mail: Mail, anna: Mailbox) -> None:
    with server_that(answering("{tag} NO go away\r\n")) as settings:
        assert verify(mail, anna, **settings) is False


def test_the_password_is_in_no_log(mail: Mail, known_anna: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert verify(mail, known_anna, PASSWORD, **tls(mail)) is True
    assert verify(mail, known_anna, WRONG, **tls(mail)) is False
    written = caplog.text + repr(mail.world.app.queries.logs(mail.world.alice))
    for secret in (PASSWORD.reveal(), WRONG.reveal()):
        assert secret not in written
        assert _plain(known_anna.address, secret) not in written


def _plain(login: str, password: str) -> str:
    return base64.b64encode(f"\0{login}\0{password}".encode()).decode()


def test_a_slip_in_the_security_sends_nothing(mail: Mail, known_anna: Mailbox) -> None:
    with pytest.raises(InvalidInput, match="imap_security"):
        check_login({**tls(mail), "imap_security": "ssl"}, "anna@example.com", Secret("x"))
    assert check_login({**tls(mail), "imap_security": "TLS"}, "anna@example.com", Secret("wrong")) is False
