"""One docker-mailserver config file as its lines: find an entry, change it, give the text back.

`render(parse(text)) == text` for any text; an edit touches the lines of its own entry only.
Comments, blank lines, unknown lines and their order stay. After an edit the text ends in a newline:
`setup email add` appends without one and would glue two accounts together.
Source: docker-mailserver 15.1 and 16, target/bin/* and helpers/{accounts,aliases}.sh.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from typing import Self

from provision import address as addresses
from provision.state import Unmanageable

HASH = re.compile(r"(\{[A-Za-z0-9.-]+\}|\$\w{1,12}\$)\S*")

FEW = 8


class ConfigFile:
    """Base of the three files. `entries`: key → number of its first line.

    `doubled` keys have two lines, of which the first counts; `garbage` lines are neither entry nor comment.
    """

    name: str
    separator: str

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines: list[str | None] = list(text.split("\n"))
        self.final_newline = self.lines[-1] == ""
        if self.final_newline:
            self.lines.pop()
        self.entries: dict[str, int] = {}
        self.doubled: set[str] = set()
        self.garbage: list[str] = []
        self.added: dict[str, str] = {}
        self.edited = False
        self._scan()

    def copy(self) -> Self:
        """The same lines, to be edited without touching these."""
        twin = copy(self)
        twin.lines, twin.entries, twin.added = self.lines.copy(), self.entries.copy(), self.added.copy()
        return twin

    def _scan(self) -> None:
        """Find the entries. One loop without calls: files of 100,000 lines are read on every preview."""
        entries, separator = self.entries, self.separator
        for number, line in enumerate(self.lines):
            if not line or line[0] == "#":
                continue
            key, found, _ = line.rpartition(separator) if separator == ":" else line.partition(separator)
            if found and "@" in key:
                if entries.setdefault(key, number) != number:
                    self.doubled.add(key)
            elif not is_blank(line):
                self.garbage.append(line)

    def _split(self, line: str) -> tuple[str, str]:
        """Key and value of an entry's line."""
        raise NotImplementedError

    def _entry_text(self, number: int) -> str:
        return self.lines[number] or ""

    def _entry_lines(self, number: int) -> list[int]:
        return [number]

    def value(self, key: str) -> str | None:
        """What stands behind `key`, or None."""
        if key in self.added:
            return self._split(self.added[key])[1]
        number = self.entries.get(key)
        return None if number is None else self._split(self._entry_text(number))[1]

    def items(self) -> Iterator[tuple[str, str]]:
        """Each key with what stands behind it, as the file was parsed."""
        for key, number in self.entries.items():
            yield key, self._split(self._entry_text(number))[1]

    def put(self, key: str, line: str) -> None:
        """Replace the entry's line, or add it; nothing happens when it already reads so."""
        number = self.entries.get(key)
        if number is None:
            self.edited |= self.added.get(key) != line
            self.added[key] = line
        elif self._entry_text(number) != line:
            self._replace(number, line)

    def remove(self, key: str) -> None:
        if self.added.pop(key, None) is not None:
            return
        number = self.entries.pop(key, None)
        if number is not None:
            self._replace(number, None)

    def _replace(self, number: int, line: str | None) -> None:
        for place in self._entry_lines(number):
            self.lines[place] = None
        self.lines[number] = line
        self.edited = True

    def render(self) -> str:
        if not self.edited:
            return self.text
        kept = [line for line in self.lines if line is not None]
        return "\n".join(self._place(kept, list(self.added.values()))) + "\n"

    def _place(self, kept: list[str], added: list[str]) -> list[str]:
        return kept + added

    def _keyed(self, lines: list[str]) -> list[tuple[str, str]]:
        """Each line with the address it is for, "" for a line that is no entry."""
        keys = ("" if line.startswith("#") else self._split(line)[0] for line in lines)
        return [(key if "@" in key else "", line) for key, line in zip(keys, lines, strict=True)]

    def problems(self) -> Iterator[Unmanageable]:
        for line in self.garbage:
            yield Unmanageable(self.name, shown(line.partition("|")[0]), "the line is no entry of this file")


class AccountsFile(ConfigFile):
    """`address|{SCHEME}hash[|attributes separated by blanks]`."""

    name = "postfix-accounts.cf"
    separator = "|"

    def _split(self, line: str) -> tuple[str, str]:
        key, _, value = line.partition("|")
        return key, value.rstrip("\r")

    def _place(self, kept: list[str], added: list[str]) -> list[str]:
        return shorter_first(self._keyed(kept + added), movable_from=len(kept)) if added else kept


class QuotasFile(ConfigFile):
    """`address:500M`, ordered so that no address comes after one that contains it."""

    name = "dovecot-quotas.cf"
    separator = ":"

    def _split(self, line: str) -> tuple[str, str]:
        key, _, value = line.rpartition(":")
        return key, value.strip()

    def _place(self, kept: list[str], added: list[str]) -> list[str]:
        return shorter_first(self._keyed(kept + added), movable_from=0)


class VirtualFile(ConfigFile):
    """`alias destination,destination`; a line that begins with a blank continues the one before."""

    name = "postfix-virtual.cf"
    separator = " "
    _SEPARATORS = re.compile(r"[,\s]+")

    def _scan(self) -> None:
        self.continued: dict[int, list[int]] = {}
        first_lines: list[int] = []
        for number, line in enumerate(self.lines):
            if not line or line[0] == "#" or is_blank(line) or line.lstrip().startswith("#"):
                continue
            if line[0].isspace() and first_lines:
                self.continued.setdefault(first_lines[-1], []).append(number)
            else:
                first_lines.append(number)
        for number in first_lines:
            self._note(number, self.lines[number] or "")

    def _note(self, number: int, line: str) -> None:
        key, value = self._split(line)
        if not value and number not in self.continued:
            self.garbage.append(line)
        elif self.entries.setdefault(key, number) != number:
            self.doubled.add(key)

    def _split(self, line: str) -> tuple[str, str]:
        key, *value = line.split(maxsplit=1)
        return key, value[0].rstrip() if value else ""

    def _entry_text(self, number: int) -> str:
        return " ".join(self.lines[place] or "" for place in self._entry_lines(number))

    def _entry_lines(self, number: int) -> list[int]:
        return [number, *self.continued.get(number, ())]

    @classmethod
    def destinations(cls, value: str) -> tuple[str, ...]:
        """The destinations in order, lower-case, each once."""
        return tuple(dict.fromkeys(d.lower() for d in cls._SEPARATORS.split(value) if d))


def shown(text: str) -> str:
    """A piece of a file as it may be shown: short, printable, hashes as `***`."""
    return addresses.shorten(HASH.sub("***", text).strip())


def is_blank(line: str) -> bool:
    return not line.strip()


def shorter_first(lines: list[tuple[str, str]], movable_from: int) -> list[str]:
    """Order lines so that none comes after one whose address contains its own; the rest stays put.

    docker-mailserver finds an account's quota (and an alias's password) by a plain substring search and
    takes the first hit, so `a@x.io` after `aa@x.io` would get the quota of `aa@x.io`. Only lines from
    `movable_from` on may move. Each `(address or "", line)`.
    """
    positions: dict[str, int] = {}
    for number, (key, _) in enumerate(lines):
        if key:
            positions.setdefault(key.lower(), number)  # of two lines the first counts
    goes_before: dict[int, int] = {}
    movable = [key.lower() for key, _ in lines[movable_from:] if key]
    pairs = _few_containments(movable, positions) if len(movable) <= FEW else _containments(positions)
    for longer, shorter in pairs:
        place, here = positions[longer], positions[shorter]
        if here > place and here >= movable_from:
            goes_before[here] = min(goes_before.get(here, place), place)
    if not goes_before:
        return [line for _, line in lines]
    order = sorted(range(len(lines)), key=lambda n: (goes_before.get(n, n), n not in goes_before, len(lines[n][0]), n))
    return [lines[number][1] for number in order]


def _few_containments(shorter_ones: Sequence[str], known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """`_containments` when only few addresses can move: look for each everywhere."""
    for shorter in shorter_ones:
        yield from ((longer, shorter) for longer in known if shorter in longer and shorter != longer)


def _containments(known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each pair of known addresses of which the second is a part of the first.

    `a@x.io` is a part of `aa@x.io` and of `a@x.io.uk`: it ends the local part and begins the domain.
    """
    locals_by_domain: dict[str, set[str]] = defaultdict(set)
    for address in known:
        local, _, domain = address.partition("@")
        locals_by_domain[domain].add(local)
    for domain, names in locals_by_domain.items():
        for shorter, others in locals_by_domain.items():
            if domain.startswith(shorter):
                yield from _endings(domain, names, shorter, others)


def _endings(domain: str, names: set[str], shorter: str, others: set[str]) -> Iterator[tuple[str, str]]:
    lengths = {len(other) for other in others}
    for local in names:
        for length in lengths:
            is_part = length < len(local) or (length == len(local) and domain != shorter)
            if is_part and (ending := local[-length:]) in others:
                yield f"{local}@{domain}", f"{ending}@{shorter}"
