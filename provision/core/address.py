"""Mail addresses and domains: check, normalise, show.

Stored form: lower case, the domain as ASCII (`xn--`). This is what any mail server may hold, narrower than the RFCs:
what could mean something to a shell, a pattern, a path or a page is refused, never cleaned. What a kind of server can
be given may be narrower still: `address_rule` of its traits. What exists is judged by its shape only; a domain that is
added has to be one that can receive mail, too, and a destination on another server may be what that one takes.
"""

import re
import unicodedata
from collections.abc import Callable, Collection
from functools import lru_cache

import idna
from email_validator import EmailNotValidError, validate_email

from provision.core.errors import InvalidEmail
from provision.core.texts import N_

LOCAL = re.compile(r"[a-z0-9_](?:[a-z0-9._+=&'-]*[a-z0-9_+=&'-])?")
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# Dots anywhere and such letters are in use at carriers: `a..b@docomo.ne.jp`. Not those that are a pattern to grep.
DESTINATION_LOCAL = re.compile(r"[a-z0-9._'#&+/=?~-]{1,64}")
MAX_LOCAL = 64
MAX_ADDRESS = 254
# Names that no mail server can receive for, or that mean the machine itself (RFC 6761, RFC 7686).
NO_DOMAIN = N_("the part after @ is not a domain name such as example.com")
RESERVED = ("localhost", "invalid", "onion", "arpa", "local")


def normalise_domain(text: str) -> str:
    """Return the domain as stored: lower-case ASCII. Raises: InvalidEmail."""
    return _normalise_domain(text, domain_refusal)


def normalise_new_domain(text: str, internal: Collection[str] = ()) -> str:
    """The same for one that is added. `internal`: endings that are used here, e.g. `local`. Raises: InvalidEmail."""
    return _normalise_domain(text, lambda name: new_domain_refusal(name, internal))


def _normalise_domain(text: str, refuse: Callable[[str], str | None]) -> str:
    name = _printable(text).rstrip(".")
    try:
        ascii_name = name.lower() if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError as error:
        raise InvalidEmail(f"“{shorten(text)}” is not a domain name: {error}.", value=shorten(text)) from None
    if reason := refuse(ascii_name):
        raise InvalidEmail(f"“{shorten(text)}” cannot be used as a domain: {reason}.", value=shorten(text))
    return ascii_name


def normalise(text: str) -> str:
    """Return a mailbox address as stored. Raises: InvalidEmail with the reason."""
    return _normalise(text, refusal)


def normalise_destination(text: str) -> str:
    """The same for an address that may be on any server. Raises: InvalidEmail."""
    return _normalise(text, destination_refusal)


def _normalise(text: str, refuse: Callable[[str], str | None]) -> str:
    local, at, domain = _printable(text).rpartition("@")
    if not at or not local:
        raise InvalidEmail(
            f"“{shorten(text)}” is not a mail address: it needs a name, @ and a domain.", value=shorten(text)
        )
    # The KELVIN SIGN is no K, though `lower` makes a k of it: it would be somebody else's address.
    address = f"{local.lower() if local.isascii() else local}@{normalise_domain(domain)}"
    if reason := refuse(address):
        raise InvalidEmail(f"“{shorten(text)}” cannot be used: {reason}.", value=shorten(text))
    return address


def normalise_alias(text: str) -> str:
    """Like `normalise`, and `@example.com` (the catch-all of a domain) is allowed."""
    stripped = _printable(text)
    if stripped.startswith("@"):
        return "@" + normalise_domain(stripped[1:])
    return normalise(stripped)


def refusal(address: str) -> str | None:
    """Why an address in stored form cannot be managed here, or None."""
    local, at, domain = address.rpartition("@")
    if not at:
        return N_("it has no @")
    if len(address) > MAX_ADDRESS:
        return N_(f"it is longer than {MAX_ADDRESS} characters")
    return _local_refusal(local) or domain_refusal(domain)


def destination_refusal(address: str) -> str | None:
    """Why mail cannot be sent on to an address in stored form, or None."""
    local, at, domain = address.rpartition("@")
    if not at or len(address) > MAX_ADDRESS or len(local) > MAX_LOCAL:
        return refusal(address)
    if not DESTINATION_LOCAL.fullmatch(local):
        return N_("the part before @ of a destination may hold a–z, 0–9 and . _ ' # & + / = ? ~ - only")
    return domain_refusal(domain) or (None if "." in domain else NO_DOMAIN)


def _local_refusal(local: str) -> str | None:
    if LOCAL.fullmatch(local) and ".." not in local and len(local) <= MAX_LOCAL:
        return None
    if len(local) > MAX_LOCAL:
        return N_(f"the part before @ is longer than {MAX_LOCAL} characters")
    if not local.isascii():
        return N_("the part before @ has letters outside a–z")
    if local != local.lower():
        return N_("it has capital letters, with which nobody can log in")
    return N_(
        "the part before @ may hold a–z, 0–9 and . _ + = - & ' only, begin with a letter, digit or _, "
        "and not end in a dot or hold two in a row"
    )


def domain_refusal(domain: str) -> str | None:
    """Why a domain in stored form cannot be managed, or None."""
    labels = domain.split(".")
    if domain != domain.lower():
        return N_("the domain has capital letters")
    if not all(LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit() or domain == "localhost":
        return NO_DOMAIN
    return None


@lru_cache(maxsize=4096)
def _public_refusal(domain: str) -> str | None:
    try:
        validate_email(f"postmaster@{domain}", check_deliverability=False, test_environment=True)
        idna.decode(domain)
    except (EmailNotValidError, idna.IDNAError) as error:
        return str(error).rstrip(".")
    return None


def new_domain_refusal(domain: str, internal: Collection[str] = ()) -> str | None:
    """Why a domain in stored form cannot be added, or None."""
    if (reason := domain_refusal(domain)) or "." not in domain:
        return reason or NO_DOMAIN
    if any(domain.endswith(f".{ending}") for ending in internal):
        return None
    ending = domain.rpartition(".")[2]
    if ending in RESERVED:
        return N_(f"names under .{ending} are reserved and never receive mail")
    return _public_refusal(domain)


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]


def without_extension(address: str) -> str:
    """Where mail to `name+something` goes if that is nobody's own address."""
    local, at, domain = address.rpartition("@")
    return f"{local.partition('+')[0] or local}{at}{domain}"


def readable(address: str) -> str:
    """The address as people write it: `xn--` domains in their own script."""
    local, at, domain = address.rpartition("@")
    if "xn--" not in domain:
        return address
    try:
        return local + at + idna.decode(domain)
    except idna.IDNAError:
        return address


def as_stored(part: str) -> str:
    """A part of an address that somebody looks for, in lower case, with the domain as it is stored."""
    local, at, domain = part.rpartition("@")
    try:
        ascii_name = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return part
    is_name = "xn--" in ascii_name  # else it is no domain, but letters that look alike
    return local + at + ascii_name if is_name else part


def shorten(text: str, width: int = 80) -> str:
    """`text` fit for a message: printable, and no longer than `width`."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def _printable(text: str) -> str:
    stripped = text.strip(" ")
    if any(unicodedata.category(c)[0] == "C" for c in stripped):
        raise InvalidEmail(f"“{shorten(text)}” holds invisible characters.", value=shorten(text))
    return stripped
