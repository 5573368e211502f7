"""What only a running docker-mailserver can tell: use of space, who is connected, services, since when in effect.

Answers are remembered for a while, over all pages and pushes of this process: each costs the server an exec.
Source: docker-mailserver 12 to 16, supervisor and doveadm; Dovecot 2.3 and 2.4, `doveadm -f tab`.
"""

import math
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar, cast

from provision.core.errors import MailServerError
from provision.core.state import LiveReport, Usage
from provision.core.texts import N_
from provision.servers.dms.docker_exec import Container, Ran
from provision.servers.dms.scripts import FACTS, SERVICES, USAGE

T = TypeVar("T")
MANY_BYTES = 32 << 20
SLEEP_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(slots=True)
class Facts:
    release: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    queue_length: int = 0
    disk_bytes: int = 0
    disk_free_bytes: int = 0
    changed: float = 0.0  # newest change of the three files, seconds since the epoch
    rebuilt: float = 0.0
    now: float = 0.0
    rebuilding: bool = False
    knows_address: bool = False  # Dovecot has the account's present hash and attributes

    @property
    def in_effect_since(self) -> datetime | None:
        """When Dovecot's users were last rebuilt, or None while something delivered is not in effect yet."""
        # A change made during a rebuild is older than its end; the next poll finds it, so that one is awaited.
        poll_seconds = seconds_of(self.settings.get("DMS_CONFIG_POLL") or "2")
        settled = self.now - self.rebuilt > 1.5 * poll_seconds
        if self.rebuilding or not self.rebuilt or self.rebuilt < self.changed or not settled:
            return None
        return datetime.fromtimestamp(self.rebuilt, UTC)


def seconds_of(text: str) -> float:
    """What sleep(1) takes: `2`, `0.5`, `2s`, `1m`; two seconds for what it would not take."""
    found = re.fullmatch(r"(\d+(?:\.\d*)?)([smhd]?)", text.strip())
    return float(found[1]) * SLEEP_UNITS[found[2]] if found else 2.0


class DmsLive:
    """The running server in one container. Raises: Unreachable; MailServerError when it cannot tell."""

    def __init__(self, container: Container, cache_seconds: float = 60.0) -> None:
        self.container = container
        self.cache_seconds = cache_seconds

    def facts(self) -> Facts:
        return _remembered(self._key("facts"), self.cache_seconds, lambda: self._facts(""))

    def usage(self) -> Mapping[str, Usage]:
        """Every account's use of space, by one call; names of aliases, which Dovecot also lists, are left out."""
        return _remembered(self._key("usage"), self.cache_seconds, self._usage)

    def report(self) -> LiveReport:
        """All of it. Usage that cannot be told is a problem, not an error."""
        facts, problems, usage = self.facts(), list(self.problems()), {}
        try:
            usage = dict(self.usage())
        except MailServerError as error:
            problems.append(error.message)
        since = facts.in_effect_since
        in_effect_since = since.isoformat() if since else None
        return LiveReport(
            facts.release or "docker-mailserver",
            in_effect_since,
            facts.queue_length,
            facts.disk_free_bytes,
            tuple(problems),
            usage,
        )

    def connected(self) -> Mapping[str, int]:
        """Number of sessions of each address that is connected by IMAP or POP3."""
        return _remembered(self._key("connected"), self.cache_seconds, self._connected)

    def in_effect_since(self, address: str) -> datetime | None:
        """Since when an account's latest delivered change is in effect; None: not yet. Never from memory."""
        facts = self._facts(address)
        return facts.in_effect_since if facts.knows_address else None

    def problems(self) -> Iterator[str]:
        """What hinders the server from doing what is delivered, as sentences. Never from memory."""
        facts, name = self._facts(""), self.container.name
        for service in SERVICES:
            state = facts.services.get(service, "not there")
            if state == "RUNNING":
                continue
            effect = (
                N_("changes are delivered but never take effect")
                if service == "changedetector"
                else N_("mail stands still")
            )
            advice = f"docker exec {name} supervisorctl restart {service}"
            yield N_(f"The service {service} is {state}, so {effect}; try: {advice}")
        if facts.settings.get("ENABLE_QUOTAS") == "0":
            yield N_("Quotas are switched off on the server (ENABLE_QUOTAS=0): they are stored there but not enforced.")

    def _key(self, what: str) -> tuple[str, str, str]:
        return (self.container.engine, self.container.wanted, what)

    def _facts(self, address: str) -> Facts:
        ran = self.container.run(["sh", "-c", FACTS, "facts", address])
        facts = Facts()
        for line in ran.output.splitlines():
            word, _, rest = line.partition(" ")
            _note(facts, word, rest)
        return facts

    def _usage(self) -> dict[str, Usage]:
        mark = "-- quotas --"
        ran = self.container.run(["sh", "-c", USAGE, "usage", mark], keep_bytes=MANY_BYTES)
        if ran.exit_code:
            raise MailServerError(_no_usage(ran), code="USAGE_UNKNOWN")
        names, _, table = ran.output.partition(mark + "\n")
        accounts = set(names.splitlines())
        rows: dict[str, dict[str, tuple[str, str]]] = {}
        for name, _, kind, value, limit, *_ in _rows(table):
            if name in accounts:
                rows.setdefault(name, {})[kind] = (value, limit)
        return {name: _usage_of(kinds) for name, kinds in rows.items()}

    def _connected(self) -> dict[str, int]:
        ran = self.container.run(["doveadm", "-f", "tab", "who"], keep_bytes=MANY_BYTES)
        sessions: Counter[str] = Counter()
        for name, count, protocol, *_ in _rows(ran.output):
            if protocol != "lmtp":  # Dovecot 2.4 lists deliveries too
                sessions[name] += int(count)
        return dict(sessions)


def _note(facts: Facts, word: str, rest: str) -> None:
    match word:
        case "release":
            facts.release = rest
        case "setting":
            key, _, value = rest.partition("=")
            facts.settings[key] = value
        case "service":
            name, _, state = rest.partition(" ")
            facts.services[name] = state
        case "queue":
            facts.queue_length = int(rest)
        case "disk":
            size, _, free, *_ = rest.split()
            facts.disk_bytes, facts.disk_free_bytes = int(size) * 1024, int(free) * 1024
        case "changed":
            facts.changed = max(facts.changed, float(rest))
        case "rebuilt":
            facts.rebuilt = float(rest)
        case "now":
            facts.now = float(rest)
        case "rebuilding":
            facts.rebuilding = True
        case "known":
            facts.knows_address = True


def _rows(table: str) -> Iterator[list[str]]:
    """The rows of `doveadm -f tab`, without its header."""
    yield from (line.split("\t") for line in table.splitlines()[1:] if "\t" in line)


def _usage_of(kinds: Mapping[str, tuple[str, str]]) -> Usage:
    """Dovecot counts storage in KiB."""
    used, limit = kinds.get("STORAGE", ("0", "-"))
    messages, _ = kinds.get("MESSAGE", ("0", "-"))
    return Usage(int(used) * 1024, int(messages), None if limit == "-" else int(limit) * 1024)


def _no_usage(ran: Ran) -> str:
    if "Unknown command" in ran.errors:
        return N_("The mail server does not count space: quotas are switched off (ENABLE_QUOTAS=0).")
    return N_(f"Dovecot did not tell how much space is used (exit code {ran.exit_code}); is it running?")


_MEMORY: dict[tuple[str, str, str], tuple[float, object]] = {}
_MEMORY_LOCK = threading.Lock()


def _remembered(key: tuple[str, str, str], seconds: float, ask: Callable[[], T]) -> T:
    """The last answer if it is not older than `seconds`, else a new one."""
    with _MEMORY_LOCK:
        asked_at, value = _MEMORY.get(key, (-math.inf, None))
    if time.monotonic() - asked_at < seconds:
        return cast(T, value)
    fresh = ask()
    with _MEMORY_LOCK:
        _MEMORY[key] = (time.monotonic(), fresh)
    return fresh
