"""One docker-mailserver config file as its lines: find an entry, change it, give the text back.

`render(parse(text)) == text` for any text; an edit touches the lines of its own entry only. Keys are compared without
regard to case, as Postfix and docker-mailserver do; of two lines for one address the first counts.
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

from provision.core.state import Unmanageable
from provision.core.texts import N_
from provision.servers.dms.order import FEW, find_pairs, first_hit, own_line_first
from provision.servers.dms.words import BLANKS, fold, is_blank, shown, words

NO_ENTRY = N_("the line is no entry of this file")
CAPITALS = N_("it has capital letters, with which nobody can log in")
BEGINS_BLANK = N_("nothing stands before this line that begins with a blank, so Postfix ignores it")


class ConfigFile(ABC):
    """Base of the three files. `entries`: key → number of its first line.

    `doubled`: the numbers of further lines for a key; `recased`: keys that are not in small letters in the file;
    `garbage`: lines that are neither entry nor comment, and why.
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
        self.doubled: dict[str, list[int]] = {}
        self.garbage: list[tuple[str, str]] = []
        self.recased: set[str] = set()
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
        """Find the entries. Files of 100,000 lines are read on every preview."""
        separator = self.separator
        for number, line in enumerate(self.lines):
            if not line or line[0] == "#" or (line[0] in " \t" and is_comment(line)):
                continue
            key, found, _ = line.rpartition(separator) if separator == ":" else line.partition(separator)
            if found and "@" in key:
                if key.islower() and key.isascii() and key not in self.entries:  # nearly all of 100,000
                    self.entries[key] = number
                else:
                    self._note_key(key, number)
            elif not is_blank(line):
                self.garbage.append((line, NO_ENTRY))

    def _note_key(self, written: str, number: int) -> None:
        key = fold(written)
        if self.entries.setdefault(key, number) != number:
            self.doubled.setdefault(key, []).append(number)
        elif key != written:
            self.recased.add(key)

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
        """Every line of it: a second one left behind would count from then on."""
        if self.added.pop(key, None) is not None:
            return
        number = self.entries.pop(key, None)
        if number is not None:
            for each in (number, *self.doubled.get(key, ())):
                self._replace(each, None)

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

    def written(self, key: str) -> str:
        """The key as it stands in the file."""
        number = self.entries.get(key)
        return key if number is None else self._split(self.lines[number] or "")[0]

    def problems(self) -> Iterator[Unmanageable]:
        for line, reason in self.garbage:
            yield Unmanageable(self.name, shown(line.partition("|")[0]), reason)


class AccountsFile(ConfigFile):
    """`address|{SCHEME}hash[|attributes separated by blanks]`.

    Dovecot looks for small letters only: of `Anna@x.io` and `anna@x.io`, wherever they stand, that is the account.
    """

    name = "postfix-accounts.cf"
    separator = "|"

    def _note_key(self, written: str, number: int) -> None:
        key = fold(written)
        before = self.entries.get(key)
        if before is None or (key in self.recased) == (key != written):
            super()._note_key(written, number)
            return
        if key == written:
            self.recased.discard(key)
            self.entries[key], number = number, before
        self.garbage.append((self.lines[number] or "", CAPITALS))

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
        return key, value.rstrip()

    def found_elsewhere(self, addresses: set[str]) -> set[str]:
        """Those of these addresses without a line that a search finds all the same: in another's, or in a comment."""
        texts = dict.fromkeys((*self.entries, *self.added), 0)
        comments = (line.lower() for line in self.lines if line and "@" in line and not self._key_of(line))
        texts |= dict.fromkeys((address for line in comments for address in self.mention.findall(line)), 0)
        return {address for _, address in find_pairs(addresses, texts)}

    def _place(self, kept: list[str], added: list[str]) -> list[str]:
        return own_line_first(kept + added, self._key_of, self._to_be_placed(), self.mention)

    def _to_be_placed(self) -> set[str]:
        """After a few edits: those addresses, and what stands in them; a whole file is gone through by a batch only."""
        keys = {*self.entries, *self.added}
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
    """`alias destination,destination`; a line that begins with a blank continues the one before.

    Source: postmap(1), "TABLE FORMAT", and what `postmap -s texthash:` answers.
    """

    name = "postfix-virtual.cf"
    separator = " "

    def _scan(self) -> None:
        self.continued: dict[int, list[int]] = {}
        first_lines: list[int] = []
        for number, line in enumerate(self.lines):
            if not line or line[0] == "#" or is_blank(line) or is_comment(line):
                continue
            if line[0] not in BLANKS:
                first_lines.append(number)
            elif first_lines:
                self.continued.setdefault(first_lines[-1], []).append(number)
            else:
                self.garbage.append((line, BEGINS_BLANK))
        for number in first_lines:
            self._note(number, self.lines[number] or "")

    def _note(self, number: int, line: str) -> None:
        key, value = self._split(line)
        if not value and number not in self.continued:
            self.garbage.append((line, NO_ENTRY))
        else:
            self._note_key(key, number)

    def _split(self, line: str) -> tuple[str, str]:
        key, *value = words(line, 1)
        return key, value[0].rstrip(BLANKS) if value else ""

    def _entry_text(self, number: int) -> str:
        return " ".join(self.lines[place] or "" for place in self._entry_lines(number))

    def _entry_lines(self, number: int) -> list[int]:
        return [number, *self.continued.get(number, ())]

    def problems(self) -> Iterator[Unmanageable]:
        yield from super().problems()
        for key, numbers in self.doubled.items():
            for number in numbers:
                value = shown(self._split(self._entry_text(number))[1])
                reason = N_("there is a line for it before; Postfix takes that one, and this one counts for nothing")
                yield Unmanageable(self.name, f"{shown(key)} {value}", reason)

    @staticmethod
    def destinations(value: str) -> tuple[str, ...]:
        """The destinations in order, lower-case, each once."""
        return tuple(dict.fromkeys(map(fold, words(value.replace(",", " ")))))


def is_comment(line: str) -> bool:
    return line.lstrip(BLANKS).startswith("#")


def _is_hashless(line: str) -> bool:
    return line.partition("|")[2][:1] in ("", "|", "\r")
