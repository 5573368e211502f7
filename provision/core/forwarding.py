"""Where mail goes from alias to alias: does it come back to where it began? Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from provision.core.texts import N_

Targets = Mapping[str, Iterable[str]]


def candidates(address: str) -> tuple[str, ...]:
    """The aliases that a mail server looks for, in order: the address, without its extension, its whole domain."""
    local, _, domain = address.rpartition("@")
    plain = f"{local.partition('+')[0]}@{domain}" if "+" in local[1:] else address
    return tuple(dict.fromkeys((address, plain, f"@{domain}")))


def loop_through(
    alias: str, targets: Iterable[str], lookup: Callable[[set[str]], Targets], is_mailbox: Callable[[str], bool]
) -> list[str] | None:
    """The path by which mail for `alias` would come back to it, or None. `lookup`: the aliases among these addresses.

    An alias that names itself is not looked at: that is the end of its way.
    """
    came_from: dict[str, str] = {}
    frontier = [(alias, target) for target in targets]
    while frontier:
        known = lookup({name for _, target in frontier for name in candidates(target)} - came_from.keys())
        following = []
        for source, target in frontier:
            found = _entry(target, {*known, alias}, is_mailbox)
            if found == alias and source != alias:
                return [*_path(source, came_from), alias]
            if found is None or found in came_from or found == alias:
                continue
            came_from[found] = source
            following += [(found, each) for each in known[found]]
        frontier = following
    return None


def _entry(target: str, known: Iterable[str], is_mailbox: Callable[[str], bool]) -> str | None:
    """The alias that takes this mail. A whole domain's leaves a mailbox its own."""
    for name in candidates(target):
        if name in known:
            return None if name.startswith("@") and is_mailbox(target) else name
    return None


def _path(last: str, came_from: Mapping[str, str]) -> list[str]:
    way = [last]
    while way[-1] in came_from:
        way.append(came_from[way[-1]])
    return way[::-1]


def loops(aliases: Targets, is_mailbox: Callable[[str], bool]) -> Iterator[list[str]]:
    """Each circle once. Only aliases whose mail goes on to an alias are followed."""
    keys = aliases.keys()
    onward: dict[str, list[str]] = {}
    for alias in keys:
        found = [entry for target in aliases[alias] if (entry := _entry(target, keys, is_mailbox))]
        if others := [entry for entry in found if entry != alias]:
            onward[alias] = others
    done: set[str] = set()
    for start in onward:
        yield from _circles(start, onward, done)


def _circles(start: str, onward: Mapping[str, list[str]], done: set[str]) -> Iterator[list[str]]:
    """Depth first, without recursion."""
    way: list[str] = []
    stack = [(start, 0)]
    while stack:
        alias, depth = stack.pop()
        del way[depth:]
        if alias in way:
            yield [*way[way.index(alias) :], alias]
        elif alias not in done:
            done.add(alias)
            way.append(alias)
            stack += [(following, depth + 1) for following in onward.get(alias, ())]


def loop_sentence(path: Iterable[str]) -> str:
    return N_(f"Mail goes round in a circle and arrives nowhere: {' → '.join(path)}.")
