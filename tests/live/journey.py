"""Doors of a mail server as its users find them: IMAP, POP3, submission; and mail that comes in at port 25."""

import imaplib
import os
import poplib
import smtplib
import ssl
from dataclasses import dataclass, field

from provision.core.rules import Decides
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
                known = {name: place for name, place in self.doors.items() if name in knock}
                return {knock[name](place, address, password.reveal()) for name, place in known.items()}
            except (OSError, EOFError, imaplib.IMAP4.abort, smtplib.SMTPException):
                return {True, False}

        wait_for(lambda: answers() <= {open_}, PATIENCE_SECONDS)

    # ---- mail ------------------------------------------------------------------------------

    def send(self, address: str) -> bool:
        """Hand in a message for `address` as another mail server would, at port 25; whether it was taken.

        `sendmail` inside would pass by what is checked at RCPT. The sender is empty: its domain would be looked up.
        """
        with smtplib.SMTP(*self.doors["smtp"], local_hostname="mx.example.com", timeout=60) as session:
            try:
                session.sendmail("", [address], f"Subject: test\r\nTo: {address}\r\n\r\nHello.\r\n")
            except smtplib.SMTPRecipientsRefused:
                return False
        return True

    def refuses_forwards(self) -> bool:
        """Whether this release says no to catch-alls and forwards at RCPT."""
        return any(rule.decides is Decides.FORWARD for rule in self.rig.open().read().rules)

    def messages(self, address: str) -> int:
        told = self.run("doveadm", "-f", "tab", "mailbox", "status", "-u", address, "messages", "INBOX").output
        return int(told.split("\t")[-1]) if "\t" in told else 0

    def wait_for_messages(self, address: str, count: int) -> None:
        wait_for(lambda: self.messages(address) == count, PATIENCE_SECONDS)

    def has_mail_folder(self, address: str) -> bool:
        user, _, domain = address.partition("@")
        return self.run("test", "-d", f"/var/mail/{domain}/{user}").exit_code == 0


def doors_from_environment() -> dict[str, Place]:
    """POSTROOM_LIVE_SMTP, …_IMAP, …_POP3, …_SUBMISSION as host:port."""
    doors = {}
    for name in ("smtp", "imap", "pop3", "submission"):
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
