"""Check a mailbox password by logging in over IMAP, as a mail program would."""

import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError

from provision.core.errors import InvalidInput, Unreachable
from provision.core.secret import Secret
from provision.core.texts import N_
from provision.servers.kinds import SECURITY

FALSE = ("false", "no", "0")
# Answers that say nothing about the password (RFC 5530).
NO_VERDICT = N_(
    {
        "UNAVAILABLE": "it cannot check passwords now (temporary failure)",
        "SERVERBUG": "it reports a fault of its own",
        "LIMIT": "it takes no more logins now",
        "INUSE": "it takes no more logins now",
        "PRIVACYREQUIRED": "it wants an encrypted connection; set imap_security to tls or starttls",
    }
)


def check_login(settings: Mapping[str, Any], address: str, password: Secret, timeout_seconds: float = 10.0) -> bool:
    """Whether the mail server lets this address in with this password.

    Raises: InvalidInput when the server has no `imap_host`; Unreachable when no answer was to be had,
    which includes a certificate that is not trusted (unless `imap_verify` is false).
    """
    host, security = settings.get("imap_host"), str(settings.get("imap_security") or "tls").lower()
    if not host:
        raise InvalidInput(
            "This mail server has no IMAP host in its settings, so a login cannot be tried.", code="NO_IMAP_HOST"
        )
    if security not in SECURITY:  # a slip here must not send the password readable
        raise InvalidInput(
            f"imap_security is {', '.join(SECURITY[:-1])} or {SECURITY[-1]}; this server's is “{security}”."
        )
    context = _tls_context(settings)
    try:
        client = IMAPClient(
            host,
            int(settings.get("imap_port") or 993),
            ssl=security == "tls",
            ssl_context=context,
            timeout=timeout_seconds,
        )
        try:
            if security == "starttls":
                client.starttls(context)
            return _logged_in(client, address, password)
        finally:
            with suppress(Exception):  # the answer is known; a rude goodbye changes nothing
                client.shutdown()
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(f"The certificate of {host} is not trusted: {error.verify_message}.") from None
    except (OSError, IMAPClientError) as error:
        raise Unreachable(f"No login could be tried at {host}: {str(error) or type(error).__name__}.") from None


def _logged_in(client: IMAPClient, address: str, password: Secret) -> bool:
    """By AUTHENTICATE PLAIN: the command LOGIN takes no letters outside ASCII and could be broken out of."""
    try:
        client.plain_login(address, password.reveal())
    except LoginError as error:
        if isinstance(error.__context__, IMAPClientAbortError):
            raise Unreachable("The mail server closed the connection without an answer to the login.") from None
        code = re.match(r"\[([A-Z]+)", str(error))
        if code and (reason := NO_VERDICT.get(code[1])):
            raise Unreachable(f"The mail server did not judge the password: {reason}.") from None
        return False
    return True


def _tls_context(settings: Mapping[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # 3.13's default refuses authorities that people make themselves
    if str(settings.get("imap_verify", True)).lower() in FALSE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
