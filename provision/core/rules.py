"""What else on a mail server decides over mail, beside its mailboxes and aliases. Read, shown, never written.

A kind says it as plain values, which are kept with the server's row: pages and services ask without reading it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from provision.core.texts import N_

CATCH_ALL = "an address that nobody has"  # in a question about a whole domain


class Decides(StrEnum):
    """Over what a rule decides."""

    ROUTE = "route"  # where mail for an address without an alias of its own goes
    RECEIVE = "receive"  # whether mail for an address is taken
    SEND = "send"  # whether an address may send
    OCCUPIED = "occupied"  # the address has an entry that cannot be managed
    FORWARD = "forward"  # whether an alias works that leads to no mailbox of the server


class Rule(NamedTuple):
    """`pattern`: a regular expression, searched for in the address; `effect`: where mail goes, or why not."""

    decides: Decides
    where: str
    pattern: str = ""
    effect: str = ""


def from_json(rules: Iterable[Iterable[str]]) -> list[Rule]:
    """As they are kept with the server's row."""
    return [Rule(Decides(decides), *others) for decides, *others in rules]


def exactly(address: str) -> str:
    """The pattern of one address."""
    return rf"\A{re.escape(address)}\Z"


def mailbox_effects(rules: Iterable[Rule], address: str, *, has_alias: bool = False) -> list[str]:
    """What decides over a mailbox, or over an address that is to be one. `has_alias`: to itself, which goes first."""
    kept = [rule for rule in rules if not (has_alias and rule.decides is Decides.ROUTE)]
    return list(_effects(kept, address, Decides.ROUTE, Decides.RECEIVE, Decides.SEND))


def alias_effects(
    rules: Iterable[Rule], address: str, destinations: Iterable[str], is_mailbox: Callable[[str], bool]
) -> list[str]:
    """What decides over an alias, and over where it leads."""
    rules, targets = list(rules), list(destinations)
    if not rules:
        return []
    found = list(_effects(rules, address, Decides.RECEIVE))
    if address.startswith("@"):
        found += _effects(rules, f"{CATCH_ALL.replace(' ', '-')}{address}", Decides.ROUTE)
    for target in targets:
        found += _effects(rules, target, Decides.ROUTE, Decides.RECEIVE)
    if address.startswith("@") or not any(is_mailbox(target) for target in targets):
        found += [rule.effect for rule in rules if rule.decides is Decides.FORWARD]
    return list(dict.fromkeys(found))


def occupied(rules: Iterable[Rule], address: str) -> str | None:
    """Why an address cannot be used: an entry has it that cannot be managed."""
    return next(_effects(rules, address, Decides.OCCUPIED), None)


def _effects(rules: Iterable[Rule], address: str, *about: Decides) -> Iterator[str]:
    """Of each sort the first rule that speaks of the address, as the server asks them."""
    for decides in about:
        first = next((rule for rule in rules if rule.decides is decides and _speaks_of(rule.pattern, address)), None)
        if first and (sentence := _sentence(first, address)):
            yield sentence


def _sentence(rule: Rule, address: str) -> str | None:
    where = rule.where
    match rule.decides:
        case Decides.ROUTE:
            target = _target(rule, address)
            if target == address:
                return None
            return N_(f"Mail for {address} is decided by a rule in {where}: it goes to {target}.")
        case Decides.RECEIVE:
            return N_(f"Mail for {address} is refused by a rule in {where}: {rule.effect}.")
        case Decides.SEND:
            return N_(f"{address} may be refused when it sends, by a rule in {where}: {rule.effect}.")
        case _:
            return N_(f"{address} has an entry on the mail server that cannot be managed: {rule.effect}.")


def _target(rule: Rule, address: str) -> str:
    """Where a rule sends mail, with what its pattern has caught."""
    found = _compiled(rule.pattern).search(address)
    caught = lambda name: (found[int(name[1])] or "") if found and int(name[1]) <= len(found.groups()) else ""  # noqa: E731
    return re.sub(r"\$[({]?(\d+)[)}]?", caught, rule.effect).lower()


def _speaks_of(pattern: str, address: str) -> bool:
    return bool(_compiled(pattern).search(address))


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
