"""Files of docker-mailserver that decide over mail beside accounts, quotas and aliases. They are read, never written.

Source: docker-mailserver, helpers/aliases.sh, setup.d/postfix.sh; Postfix, pcre_table(5), access(5), virtual(5).
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from provision.core.rules import Decides, Rule, exactly
from provision.core.texts import N_
from provision.servers.dms.lines import VirtualFile
from provision.servers.dms.words import logical_lines, shown

REGEXP, RECEIVE, SEND = "postfix-regexp.cf", "postfix-receive-access.cf", "postfix-send-access.cf"
ALIASES, MASTERS = "postfix-aliases.cf", "dovecot-masters.cf"
RULE_FILES = (REGEXP, RECEIVE, SEND, ALIASES, MASTERS)
PASSES = re.compile(r"ok|dunno|permit|prepend|warn|info", re.IGNORECASE)  # what lets mail through
POSIX = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "lower": "a-z",
    "upper": "A-Z",
    "space": r"\s",
    "xdigit": "0-9a-fA-F",
    "word": r"\w",
}
REPEATS_REPEATS = re.compile(r"\([^()]*[+*}][^()]*\)[+*{]")  # may take longer than a person lives
RULE_LINE = re.compile(r"(if\s+)?(!?)\s*([^\w\s])(.*)", re.DOTALL | re.ASCII)


class Route(NamedTuple):
    """One rule of the regexp file; `line` as a person would recognise it."""

    line: str
    pattern: str
    target: str


class Foreign:
    """What these files say."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = {name: texts.get(name, "") for name in RULE_FILES}

    @cached_property
    def _regexp(self) -> tuple[list[Route], list[str]]:
        return read_regexp(self.texts[REGEXP])

    @property
    def routes(self) -> list[Route]:
        return self._regexp[0]

    @property
    def unreadable(self) -> list[str]:
        """Rules that cannot be followed here."""
        return self._regexp[1]

    @cached_property
    def rules(self) -> list[Rule]:
        """In the order in which the server asks them."""
        routes = [Rule(Decides.ROUTE, REGEXP, route.pattern, route.target) for route in self.routes]
        return [*routes, *self._access(RECEIVE, Decides.RECEIVE), *self._access(SEND, Decides.SEND)]

    def _access(self, name: str, decides: Decides) -> Iterator[Rule]:
        for key, action in VirtualFile(self.texts[name]).items():
            if not PASSES.match(action):
                yield Rule(decides, name, _access_pattern(key), shown(action))

    def is_routed(self, address: str) -> bool:
        """Whether a rule would take its mail, had it no alias."""
        return any(re.search(route.pattern, address, re.IGNORECASE) for route in self.routes)

    def masters(self) -> list[str]:
        lines = logical_lines(self.texts[MASTERS])
        return [shown(line.partition("|")[0]) for line in lines if "|" in line]

    def aliases_in_vain(self) -> list[str]:
        """Addresses in the file of local aliases, where only names without a domain mean something."""
        keys = (line.partition(":")[0].strip() for line in logical_lines(self.texts[ALIASES]))
        return [shown(key) for key in keys if "@" in key]


def _access_pattern(key: str) -> str:
    """An address, a domain with what is below it, or `user@` in any domain."""
    if key.endswith("@"):
        return rf"\A{re.escape(key)}"
    return exactly(key) if "@" in key else rf"@(?:[^@]*\.)?{re.escape(key.removeprefix('.'))}\Z"


# ---- the regexp file -----------------------------------------------------------------------


def read_regexp(text: str) -> tuple[list[Route], list[str]]:
    """Its rules, in order; and those that cannot be followed here."""
    routes: list[Route] = []
    unreadable: list[str] = []
    conditions: list[str] = []
    for line in logical_lines(text):
        if line[:5].lower() == "endif":
            conditions = conditions[:-1]
            continue
        rule = _rule(line)
        if rule is None:
            unreadable.append(shown(line))
            conditions += ["(?!)"] if line[:2].lower() == "if" else []  # nothing within is followed either
        elif rule.is_condition:
            conditions.append(rule.pattern)
        elif rule.target:
            routes.append(Route(shown(line), rule.pattern + "".join(conditions), rule.target))
    return routes, unreadable


class _Rule(NamedTuple):
    is_condition: bool
    pattern: str
    target: str


def _rule(line: str) -> _Rule | None:
    found = RULE_LINE.match(line)
    if not found:
        return None
    condition, negated, delimiter, rest = found.groups()
    body = re.match(rf"((?:\\.|[^\\{re.escape(delimiter)}])*){re.escape(delimiter)}(\w*)\s*(.*)", rest, re.DOTALL)
    pattern = _python_pattern(body[1], body[2]) if body else None
    if body is None or pattern is None:
        return None
    # The first pattern begins what is searched; a condition after it looks at the whole address as well.
    looked_for = rf"\A(?{'!' if negated else '='}[\s\S]*?{pattern})"
    return _Rule(bool(condition), looked_for.removeprefix(r"\A") if condition else looked_for, body[3].strip())


def _python_pattern(pattern: str, flags: str) -> str | None:
    """The same in this language's notation; None for what it does not have, or what could take for ever."""
    if set(flags) - set("ismx") or REPEATS_REPEATS.search(pattern):
        return None
    changed = re.sub(r"\[:(\w+):\]", lambda name: POSIX.get(name[1], name[0]), pattern)
    changed = re.sub(r"\(\?<(?![=!])", "(?P<", changed)
    letters = "".join(sorted({"s", *(set(flags) & set("mx"))} ^ (set(flags) & {"s"})))
    scoped = f"(?{letters}{'-i' if 'i' in flags else ''}:{changed})"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(scoped)
    except (re.error, FutureWarning, OverflowError, RecursionError):
        return None
    return scoped


def sentences(foreign: Foreign) -> Iterator[str]:
    """What is in these files at all, whomever it is about."""
    for line in foreign.unreadable:
        yield N_(f"A rule in {REGEXP} cannot be followed here, and may decide over any address: {line}")
    if masters := foreign.masters():
        yield N_(f"Who knows a password of {MASTERS} can read every mailbox: {', '.join(masters[:5])}.")
    if vain := foreign.aliases_in_vain():
        yield N_(f"{', '.join(vain[:5])} in {ALIASES} means nothing there; aliases of addresses stand elsewhere.")
