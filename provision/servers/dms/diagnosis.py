"""What is wrong with what is in docker-mailserver's files, as sentences."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from provision.core.lazy import Lazy
from provision.core.rules import Decides, Rule
from provision.core.state import ServerState
from provision.core.texts import N_
from provision.servers.dms.foreign import RECEIVE, REGEXP, Foreign, Route, sentences
from provision.servers.dms.state import AliasEntries, MailboxEntries

NAMED = 3
FORWARDS_REFUSED = N_(
    "docker-mailserver 16.0 with quotas on refuses mail for a catch-all, and for an alias that leads to no mailbox of "
    "its own (554 Unknown user). Use its release 15.1 or one after 16.0, or switch quotas off (ENABLE_QUOTAS=0)."
)


def warnings(mailboxes: MailboxEntries, aliases: AliasEntries, foreign: Foreign) -> Iterator[str]:
    yield from _nobody(mailboxes)
    yield from _catch_alls(aliases)
    yield from _routes(mailboxes, aliases, foreign)
    yield from _refused(mailboxes, foreign)
    yield from sentences(foreign)


def refuses_forwards(release: str) -> bool:
    """With quotas on: its check at RCPT knows only accounts, and aliases that lead to one.

    Source: docker-mailserver#4767.
    """
    return re.fullmatch(r"v?16\.0(\.\d+)?|edge", release.strip()) is not None


def with_refused_forwards(state: ServerState) -> ServerState:
    """As on a release that refuses them."""
    rule = Rule(Decides.FORWARD, "docker-mailserver 16", effect=FORWARDS_REFUSED)
    warnings = Lazy(lambda: [FORWARDS_REFUSED, *_refused_forwards(state), *state.warnings])
    return replace(state, rules=[*state.rules, rule], warnings=warnings)


def _refused_forwards(state: ServerState) -> Iterator[str]:
    refused = [
        address
        for address, alias in state.aliases.items()
        if address[0] == "@" or not any(target in state.mailboxes for target in alias.destinations)
    ]
    if refused:
        yield N_(f"By this, mail for aliases is refused ({_some(refused)}).")


def _nobody(mailboxes: MailboxEntries) -> Iterator[str]:
    first = next(iter(mailboxes.problems()), None) if mailboxes.accounts.entries and not len(mailboxes) else None
    if first:
        count = f"{len(mailboxes.accounts.entries):,}"
        yield N_(f"No account can be managed, of {count} in the file; {first.text}: {first.reason}.")


def _catch_alls(aliases: AliasEntries) -> Iterator[str]:
    for domain, addresses in aliases.exposed.items():
        yield N_(
            f"The catch-all @{domain} takes the mail of mailboxes that have no alias to themselves "
            f"({_some(addresses)}). On the Sync page let the dashboard win for it: that writes those lines."
        )


def _routes(mailboxes: MailboxEntries, aliases: AliasEntries, foreign: Foreign) -> Iterator[str]:
    """Each rule is told once; where mailboxes lose their mail by it, whose."""
    taken: dict[Route, list[str]] = {}
    routes = [(route, re.compile(route.pattern, re.IGNORECASE)) for route in foreign.routes]
    for address in mailboxes if routes else ():
        first = next((route for route, pattern in routes if pattern.search(address)), None)
        if first and aliases.virtual.value(address) is None:
            taken.setdefault(first, []).append(address)
    for route, _ in routes:
        if addresses := taken.get(route):
            yield N_(f"A rule in {REGEXP} takes the mail of mailboxes ({_some(addresses)}): {route.line}")
        else:
            yield N_(f"A rule in {REGEXP} decides where mail goes, beside what is managed here: {route.line}")


def _refused(mailboxes: MailboxEntries, foreign: Foreign) -> Iterator[str]:
    patterns = [re.compile(rule.pattern) for rule in foreign.rules if rule.decides is Decides.RECEIVE]
    found = [a for a in mailboxes if any(pattern.search(a) for pattern in patterns)] if patterns else []
    if found:
        yield N_(f"A rule in {RECEIVE} refuses all mail for mailboxes ({_some(found)}).")


def _some(addresses: Sequence[str]) -> str:
    """How many, and the first of them."""
    return f"{len(addresses):,}: " + ", ".join(addresses[:NAMED]) + (" …" if len(addresses) > NAMED else "")
