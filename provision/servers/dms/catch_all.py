"""A catch-all and the mailboxes of its domain: each needs an alias to itself, or the catch-all takes its mail too.

Postfix looks an address up among the aliases before it looks for a mailbox. Source: virtual(5), `@domain`.
"""

from collections.abc import Collection, Iterable, Iterator

from provision.core.address import domain_of
from provision.servers.dms.lines import VirtualFile


def domains(virtual: VirtualFile) -> set[str]:
    return {key[1:] for key in (*virtual.entries, *virtual.added) if key.startswith("@")}


def exposed(accounts: Iterable[str], virtual: VirtualFile, caught: Collection[str]) -> Iterator[str]:
    """Those of these accounts that lose their mail to the catch-all of their domain, one of `caught`."""
    return (a for a in accounts if domain_of(a) in caught and virtual.value(a) is None)


def protect(virtual: VirtualFile, addresses: Iterable[str]) -> list[str]:
    """Give each an alias to itself; what was written, as it stands in a record."""
    lines = [f"{address} {address}" for address in addresses]
    for line in lines:
        virtual.put(line.partition(" ")[0], line)
    return [f"{virtual.name}: {line}" for line in lines]
