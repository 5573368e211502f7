"""One docker-mailserver config file as its lines: find an entry, change it, give the text back.

`render(parse(text)) == text` for any text; an edit touches the lines of its own entry only.
Comments, blank lines, unknown lines and their order stay. After an edit the text ends in a newline:
`setup email add` appends without one and would glue two accounts together.
Source: docker-mailserver 15.1 and 16, target/bin/* and helpers/{accounts,aliases}.sh.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from copy import copy
from functools import cached_property
from typing import Self

from provision.core import address as addresses
from provision.core.state import Unmanageable
from provision.core.texts import N_
from provision.servers.dms.order import FEW, find_pairs, first_hit, own_line_first

HASH = re.compile(r"(\{[A-Za-z0-9.-]+\}|\$\w{1,12}\$)\S*")


class ConfigFile(ABC):
    """Base of the three files. `entries`: key → number of its first line.

    `doubled` keys have two lines, of which the first counts; `garbage` lines are neither entry nor comment.
    """

    name: str
    separator: str
    mention = re.compile(r"[^\s|:,;<>]+@[^\s|:,;<>]+")  # an address in a comment, as a search would find it

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
        self.touched: set[str] = set()
        self.edited = False
        self._scan()

    def copy(self) -> Self:
        """The same lines, to be edited without touching these."""
        twin = copy(self)
        twin.lines, twin.entries, twin.added = self.lines.copy(), self.entries.copy(), self.added.copy()
        twin.touched = self.touched.copy()
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

    @abstractmethod
    def _split(self, line: str) -> tuple[str, str]:
        """Key and value of an entry's line."""

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
        self.touched.add(key)
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

    def _key_of(self, line: str) -> str:
        """The address a line is for, "" for a line that is no entry."""
        key = "" if line.startswith("#") else self._split(line)[0]
        return key if "@" in key else ""

    def problems(self) -> Iterator[Unmanageable]:
        for line in self.garbage:
            yield Unmanageable(self.name, shown(line.partition("|")[0]), N_("the line is no entry of this file"))


class AccountsFile(ConfigFile):
    """`address|{SCHEME}hash[|attributes separated by blanks]`."""

    name = "postfix-accounts.cf"
    separator = "|"

    def _split(self, line: str) -> tuple[str, str]:
        key, _, value = line.partition("|")
        return key, value.rstrip("\r")

    def _place(self, kept: list[str], added: list[str]) -> list[str]:
        return own_line_first(kept + added, self._key_of, self.added, self.mention) if added else kept

    def hashless_hit(self, address: str) -> str | None:
        """The line without a hash that is found in place of this account, a comment for instance.

        docker-mailserver stops when it looks for the account of an alias and finds such a line.
        """
        if address in self.added or not self._hashless_lines:
            return None
        last = self.entries.get(address, len(self.lines))
        lines = (self.lines[number] or "" for number in self._hashless_lines if number <= last)
        return first_hit((line for line in lines if _is_hashless(line)), address)

    @cached_property
    def _hashless_lines(self) -> list[int]:
        return [number for number, line in enumerate(self.lines) if line and "@" in line and _is_hashless(line)]


class QuotasFile(ConfigFile):
    """`address:500M`, ordered so that each address that we write is found in its own line first, and hides no other."""

    name = "dovecot-quotas.cf"
    separator = ":"
    mention = re.compile(r"([^\s|:,;<>]+@[^\s|:,;<>]+):")

    def _split(self, line: str) -> tuple[str, str]:
        key, _, value = line.rpartition(":")
        return key, value.strip()

    def remove(self, key: str) -> None:
        """Every line of it: a second one left behind would count when the address is made anew."""
        super().remove(key)
        if key in self.doubled:
            others = (n for n, line in enumerate(self.lines) if line and line[0] != "#" and self._split(line)[0] == key)
            for number in others:
                self.lines[number] = None

    def found_elsewhere(self, addresses: set[str]) -> set[str]:
        """Those of these addresses without a line that a search finds all the same: in another's, or in a comment."""
        texts = dict.fromkeys(map(str.lower, (*self.entries, *self.added)), 0)
        comments = (line.lower() for line in self.lines if line and "@" in line and not self._key_of(line))
        texts |= dict.fromkeys((address for line in comments for address in self.mention.findall(line)), 0)
        return {address for _, address in find_pairs(addresses, texts)}

    def _place(self, kept: list[str], added: list[str]) -> list[str]:
        return own_line_first(kept + added, self._key_of, self._to_be_placed(), self.mention)

    def _to_be_placed(self) -> set[str]:
        """After a few edits: those addresses, and what stands in them; a whole file is gone through by a batch only."""
        keys = {*map(str.lower, self.entries), *map(str.lower, self.added)}
        return self.touched | (keys & _addresses_in(self.touched)) if len(self.touched) <= FEW else keys


def _addresses_in(texts: set[str]) -> set[str]:
    """Every address that a search for it would find in one of these: `a@x.i`, `a@x.io` … in `aa@x.io`."""
    found = set()
    for text in texts:
        local, _, domain = text.partition("@")
        found |= {
            f"{local[start:]}@{domain[:end]}" for start in range(len(local) + 1) for end in range(len(domain) + 1)
        }
    return found


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


def _is_hashless(line: str) -> bool:
    return line.partition("|")[2][:1] in ("", "|", "\r")


def shown(text: str) -> str:
    """A piece of a file as it may be shown: short, printable, hashes as `***`."""
    return addresses.shorten(HASH.sub("***", text).strip())


def is_blank(line: str) -> bool:
    return not line.strip()
