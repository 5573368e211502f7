"""The smallest mail programs that will do: each says whether the server let it in."""

import base64
import imaplib
import poplib
import smtplib
import socket
from email.message import EmailMessage

from provision.core.secret import Secret
from tests.mail.mailhost import MailHost

SECONDS = 15


def imap_login(host: MailHost, login: str, password: Secret) -> bool:
    with imaplib.IMAP4("127.0.0.1", host.ports["imap"], timeout=SECONDS) as client:
        try:
            client.authenticate("PLAIN", lambda _: f"\0{login}\0{password.reveal()}".encode())
        except imaplib.IMAP4.error as error:
            return _refused(error, "[AUTHENTICATIONFAILED]")
        assert client.select("INBOX")[0] == "OK"
        return True


def pop3_login(host: MailHost, login: str, password: Secret) -> bool:
    client = poplib.POP3("127.0.0.1", host.ports["pop3"], timeout=SECONDS)
    try:
        client.user(login)
        client.pass_(password.reveal())
    except poplib.error_proto as error:
        return _refused(error, "[AUTH]")
    finally:
        client.close()
    return True


def smtp_auth(host: MailHost, login: str, password: Secret) -> bool:
    """SMTP AUTH as Postfix does it: it asks Dovecot's auth socket, in Dovecot's auth protocol, as service `smtp`."""
    response = base64.b64encode(f"\0{login}\0{password.reveal()}".encode()).decode()
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rw") as lines:
        connection.settimeout(SECONDS)
        connection.connect(str(host.folder / "run" / "smtp-auth"))
        lines.write(f"VERSION\t1\t1\nCPID\t1\nAUTH\t1\tPLAIN\tservice=smtp\tnologin\tsecured\tresp={response}\n")
        lines.flush()
        for line in lines:
            answer, *rest = line.rstrip("\n").split("\t")
            if answer in ("OK", "FAIL"):
                assert "temp" not in rest, rest
                return answer == "OK"
    raise AssertionError("Dovecot closed its auth socket")


def deliver(host: MailHost, recipient: str, subject: str) -> None:
    """Hand a mail to Dovecot by LMTP, as Postfix does when the address is resolved."""
    message = EmailMessage()
    message["Subject"] = subject
    with smtplib.LMTP("127.0.0.1", host.ports["lmtp"], timeout=SECONDS) as client:
        assert client.sendmail("sender@elsewhere.test", [recipient], message.as_bytes()) == {}


def _refused(error: Exception, code: str) -> bool:
    """False: a wrong password. Anything else is no answer to the question."""
    if code not in str(error):
        raise error
    return False
