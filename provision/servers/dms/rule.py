"""Which addresses docker-mailserver can be given.

It uses them as regular expressions, sed scripts and paths: what could mean something there is refused, never cleaned.
What exists and is served there is read more widely than what may be made.
Source: docker-mailserver 15.1 and 16, `setup email add` and its helpers (address quoting).
"""

import re
from functools import lru_cache

from provision.core import address as addresses
from provision.core.state import Resource
from provision.core.texts import N_

LOCAL = re.compile(r"[a-z0-9](?:[a-z0-9._+=-]*[a-z0-9_+=-])?")


@lru_cache(maxsize=1 << 18)
def refusal(address: str) -> str | None:
    """Why an address in stored form cannot be in its files, or None.

    Pure, and remembered: it judges every line found on a server, several times in one comparison.
    """
    if reason := addresses.refusal(address):
        return reason
    if LOCAL.fullmatch(address.rpartition("@")[0]):
        return None
    return N_("docker-mailserver takes a–z, 0–9 and . _ + = - only before the @, with a letter or digit first")


@lru_cache(maxsize=1 << 18)
def unserved(address: str) -> str | None:
    """Why an address that is in its files, in small letters, is left alone, or None."""
    local, at, domain = address.rpartition("@")
    if address.startswith("\ufeff"):
        return N_("the file begins with a byte order mark, which is taken for a part of it; save the file without")
    if not domain.isascii():
        return N_("the domain has letters outside a–z, which no mail reaches; write it as xn--…")
    if at and len(address) <= addresses.MAX_ADDRESS and LOCAL.fullmatch(local) and ".." not in local:
        return addresses.domain_refusal(domain)
    return refusal(address)


def address_rule(resource: Resource, address: str) -> str | None:
    """Why it cannot be made there, or None."""
    # Source: Dovecot, auth_username_chars, which docker-mailserver leaves at its default.
    if resource is Resource.MAILBOX and set(address) & set("+="):
        return N_("Dovecot accepts no + or = in the name of somebody who logs in; make it an alias")
    return refusal(address)
