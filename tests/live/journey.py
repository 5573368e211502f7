"""Doors of a mail server as its users find them: IMAP, POP3, submission; and mail that comes in."""

import imaplib
import os
import poplib
import smtplib
import ssl
from dataclasses import dataclass, field

from provision.core.secret import Secret
from provision.core.state import Change
from provision.servers.dms.docker_exec import Ran
from tests.servers.rig import ContainerRig, LiveRig
from tests.waiting import wait_for

Place = tuple[str, int]
# A server under test has a certificate of its own making.
TLS = ssl._create_unverified_context()
PATIENCE_SECONDS = 120  # a real server rebuilds its users for some seconds, a big one longer


@dataclass
class MailServerUnderTest:
    """A running docker-mailserver. Doors that cannot be reached from here are asked about inside the container."""

    rig: ContainerRig | LiveRig
    doors: dict[str, Place] = field(default_factory=dict)

    def apply(self, *changes: Change) -> None:
        failed = [outcome for outcome in self.rig.open().apply(changes) if outcome.error]
        assert not failed, failed[0].error

    def wait_until_in_effect(self, address: str) -> None:
        wait_for(lambda: self.rig.open().live.in_effect_since(address), PATIENCE_SECONDS)  # type: ignore[attr-defined]

    def wait_for_login(self, address: str, password: Secret, wanted: bool = True) -> None:
        """Asked inside, because failed logins from outside are answered slower and slower."""
        wait_for(lambda: self._accepted(address, password) is wanted, PATIENCE_SECONDS)

    def _accepted(self, address: str, password: Secret) -> bool:
        return self.run("doveadm", "auth", "test", address, stdin=f"{password.reveal()}\n").exit_code == 0

    def run(self, *argv: str, stdin: str = "") -> Ran:
        return self.rig.run(*argv, stdin=stdin.encode())

    # ---- doors -----------------------------------------------------------------------------

    def wait_for_doors(self, address: str, password: Secret, open_: bool) -> None:
        """Until every known door lets this user in, or none does. During a rebuild they are of two minds."""
        knock = {"imap": _imap, "pop3": _pop3, "submission": _submission}

        def answers() -> set[bool]:
            try:
                return {knock[name](place, address, password.reveal()) for name, place in self.doors.items()}
            except (OSError, EOFError, imaplib.IMAP4.abort, smtplib.SMTPException):
                return {True, False}

        wait_for(lambda: answers() <= {open_}, PATIENCE_SECONDS)

    # ---- mail ------------------------------------------------------------------------------

    def send(self, address: str) -> bool:
        """Hand in a message for `address`; whether it was taken."""
        message = f"Subject: test\nTo: {address}\n\nHello.\n.\n"
        return self.run("sendmail", "-f", "someone@elsewhere.test", address, stdin=message).exit_code == 0

    def messages(self, address: str) -> int:
        told = self.run("doveadm", "-f", "tab", "mailbox", "status", "-u", address, "messages", "INBOX").output
        return int(told.split("\t")[-1]) if "\t" in told else 0

    def wait_for_messages(self, address: str, count: int) -> None:
        wait_for(lambda: self.messages(address) == count, PATIENCE_SECONDS)

    def has_mail_folder(self, address: str) -> bool:
        user, _, domain = address.partition("@")
        return self.run("test", "-d", f"/var/mail/{domain}/{user}").exit_code == 0


def doors_from_environment() -> dict[str, Place]:
    """POSTROOM_LIVE_IMAP, …_POP3, …_SUBMISSION as host:port."""
    doors = {}
    for name in ("imap", "pop3", "submission"):
        if value := os.environ.get(f"POSTROOM_LIVE_{name.upper()}"):
            host, _, port = value.rpartition(":")
            doors[name] = (host, int(port))
    return doors


def _imap(place: Place, address: str, password: str) -> bool:
    session = imaplib.IMAP4_SSL(*place, ssl_context=TLS) if place[1] == 993 else imaplib.IMAP4(*place)
    with session:
        if "STARTTLS" in session.capabilities:
            session.starttls(TLS)
        try:
            return session.login(address, password)[0] == "OK"
        except imaplib.IMAP4.error:
            return False


def _pop3(place: Place, address: str, password: str) -> bool:
    session = poplib.POP3_SSL(*place, context=TLS) if place[1] == 995 else poplib.POP3(*place)
    try:
        if "STLS" in session.capa():
            session.stls(TLS)
        session.user(address)
        session.pass_(password)
        return True
    except poplib.error_proto:
        return False
    finally:
        session.close()


def _submission(place: Place, address: str, password: str) -> bool:
    session = smtplib.SMTP_SSL(*place, context=TLS) if place[1] == 465 else smtplib.SMTP(*place)
    with session:
        session.ehlo()
        if session.has_extn("starttls"):
            session.starttls(context=TLS)
            session.ehlo()
        try:
            return session.login(address, password)[0] == 235
        except smtplib.SMTPAuthenticationError:
            return False
