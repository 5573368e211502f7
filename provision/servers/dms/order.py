"""The order of lines in which docker-mailserver's searches find the right one.

It finds an account's quota, and the password of an alias's user, with `grep` for the address and takes the first
hit: any line that contains it, comments included, and a dot stands for any letter. So `a@x.io` behind `aa@x.io`,
`j.smith@x.io` behind `j-smith@x.io` or either behind a comment that names it would get what is not theirs.
Source: docker-mailserver, target/scripts/helpers/accounts.sh.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

FEW = 8


def own_line_first(
    lines: list[str], key_of: Callable[[str], str], movable: Collection[str], mention: re.Pattern[str]
) -> list[str]:
    """Put the line of each `movable` address before all others in which that address would be found.

    `key_of` says whose a line is, or "" of one that is no entry; in those, `mention` finds addresses.
    """
    movable = {key for key in map(str.lower, movable) if key}
    numbers = _naming(lines, movable) if len(movable) <= FEW else range(len(lines))
    keys = {number: key_of(lines[number]).lower() for number in numbers}
    own, found_at = _positions(lines, keys, mention)
    goes_before: dict[int, int] = {}
    for text, key in find_pairs(movable & own.keys(), found_at):
        place, here = found_at[text], own[key]
        if here > place:
            goes_before[here] = min(goes_before.get(here, place), place)
    if not goes_before:
        return lines

    def order(number: int) -> tuple[int, bool, int, int, int]:
        key = keys.get(number, "")
        return goes_before.get(number, number), number not in goes_before, len(key), -key.count("."), number

    return [lines[number] for number in sorted(range(len(lines)), key=order)]


def _naming(lines: list[str], addresses: Iterable[str]) -> list[int]:
    """Numbers of the lines that a search for one of these few would find, in one look at the whole text."""
    text = "\n".join(lines).lower()
    found = set()
    for address in addresses:
        number = place = 0
        for hit in _pattern(address).finditer(text):
            number += text.count("\n", place, hit.start())
            place = hit.start()
            found.add(number)
    return sorted(found)


def _positions(
    lines: list[str], keys: Mapping[int, str], mention: re.Pattern[str]
) -> tuple[dict[str, int], dict[str, int]]:
    """The number of each address's first entry, and of the first line of any sort that names it."""
    own: dict[str, int] = {}
    found_at: dict[str, int] = {}
    for number, key in keys.items():
        if key:
            own.setdefault(key, number)
            found_at.setdefault(key, number)
        elif "@" in lines[number]:
            for address in mention.findall(lines[number].lower()):
                found_at.setdefault(address, number)
    return own, found_at


def first_hit(lines: Iterable[str], address: str) -> str | None:
    """The line that docker-mailserver takes for this address."""
    search = _pattern(address).search
    return next((line for line in lines if search(line)), None)


def find_pairs(keys: Collection[str], texts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Each address of `texts` with each of `keys` that grep would find in it."""
    if len(keys) <= FEW:  # one change among 100,000 lines: look for each everywhere
        for key in keys:
            search = _pattern(key).search
            yield from ((text, key) for text in texts if search(text))
        return
    locals_by_domain = defaultdict(list)
    for key in keys:
        local, _, domain = key.partition("@")
        locals_by_domain[domain].append(local)
    domains = Endings(domain[::-1] for domain in locals_by_domain)  # a domain is found at the beginning of another
    locals_of = {domain: Endings(names) for domain, names in locals_by_domain.items()}
    within: dict[str, list[str]] = {}
    for text in texts:
        local, _, domain = text.partition("@")
        if domain not in within:
            within[domain] = [found[::-1] for found in domains.found(domain[::-1])]
        for shorter in within[domain]:
            yield from ((text, f"{name}@{shorter}") for name in locals_of[shorter].found(local))


def _pattern(address: str) -> re.Pattern[str]:
    return re.compile(re.escape(address).replace(r"\.", "."))


class Endings:
    """Which of these names another one ends with, where a dot in a name stands for any letter."""

    __slots__ = ("dotted", "lengths", "plain")

    def __init__(self, names: Iterable[str]) -> None:
        heads_by_tail: dict[str, list[str]] = defaultdict(list)
        self.plain = set()
        for name in names:
            head, dot, tail = name.rpartition(".")
            if dot:
                heads_by_tail[tail].append(head)
            else:
                self.plain.add(name)
        self.lengths = {len(name) for name in self.plain}
        self.dotted = {tail: Endings(heads) for tail, heads in heads_by_tail.items()}

    def found(self, text: str) -> Iterator[str]:
        end = len(text)
        for length in self.lengths:
            if length <= end and text[end - length :] in self.plain:
                yield text[end - length :]
        if self.dotted:
            for place in range(end):
                tail = text[place + 1 :]
                if tail in self.dotted:
                    yield from (f"{head}.{tail}" for head in self.dotted[tail].found(text[:place]))
