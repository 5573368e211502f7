"""What docker-mailserver's config files say, entry by entry, read only when it is asked for.

A push of one change looks at one account out of thousands; a preview looks at each once and keeps none.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache

from provision.core.address import destination_refusal, domain_of, domain_refusal
from provision.core.secret import Secret
from provision.core.state import AliasState, MailboxState, Unmanageable
from provision.core.texts import N_
from provision.servers.dms import catch_all, rule
from provision.servers.dms.lines import CAPITALS, AccountsFile, QuotasFile, VirtualFile
from provision.servers.dms.words import shown

# Source: Dovecot 2.3, quota rules, and 2.4, settings of type size; both were asked by `doveadm quota get`.
QUOTA = re.compile(r"([0-9]{1,19})(?:B|([KMGT])I?B?)?", re.IGNORECASE | re.ASCII)
UNITS = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
MOST_BYTES = (1 << 63) - 1  # above that Dovecot refuses the account
TWO_LINES = N_("there are two lines for it; remove one by hand")
NO_SIZE = N_("the quota is not a size such as 500M; Dovecot may let nobody into the account, correct it by hand")


class MailboxEntries(Mapping[str, MailboxState]):
    """The accounts that can be managed, with their quotas."""

    def __init__(self, accounts: AccountsFile, quotas: QuotasFile) -> None:
        self.accounts = accounts
        self.quotas = quotas

    def __getitem__(self, address: str) -> MailboxState:
        value = self.accounts.value(address)
        if value is None or self.refusal(address, value):
            raise KeyError(address)
        password_hash, _, attributes = value.partition("|")
        return MailboxState(Secret(password_hash), self._quota(address), not is_disabled(attributes))

    def _quota(self, address: str) -> int | None:
        value = self.quotas.value(address)
        return 0 if value is None else quota_bytes(value)

    def __contains__(self, address: object) -> bool:
        value = self.accounts.value(address) if isinstance(address, str) else None
        return value is not None and not self.refusal(str(address), value)

    def __iter__(self) -> Iterator[str]:
        return (address for address, value in self.accounts.items() if not self.refusal(address, value))

    @cached_property
    def _length(self) -> int:
        return sum(1 for _ in self)

    def __len__(self) -> int:
        return self._length

    def refusal(self, address: str, value: str) -> str | None:
        """Why this account is left alone, or None."""
        if reason := self.unclear(address) or rule.unserved(address):
            return reason
        return None if value and value[0] != "|" else N_("it has no password hash")

    def unclear(self, address: str) -> str | None:
        """Why it is not clear which line is its account, or None."""
        if address in self.accounts.doubled:
            return TWO_LINES
        return CAPITALS if address in self.accounts.recased else None

    def obstacle(self, address: str) -> str | None:
        """Why nothing may be done about the account that is there, or None. One without a hash can be completed."""
        value = self.accounts.value(address)
        return self.refusal(address, value) if value and value[0] != "|" else None

    def problems(self) -> Iterator[Unmanageable]:
        for address, value in self.accounts.items():
            if reason := self.refusal(address, value):
                yield Unmanageable(self.accounts.name, shown(self.accounts.written(address)), reason)
        for address, value in self.quotas.items():
            if quota_bytes(value) is None:
                yield Unmanageable(self.quotas.name, shown(f"{address}:{value}"), NO_SIZE)
            elif address in self.quotas.doubled:
                yield Unmanageable(
                    self.quotas.name, shown(address), N_("there are two lines for it; the first one counts")
                )


class AliasEntries(Mapping[str, AliasState]):
    """The aliases that can be managed."""

    def __init__(self, virtual: VirtualFile, mailboxes: MailboxEntries) -> None:
        self.virtual = virtual
        self.mailboxes = mailboxes

    def __getitem__(self, alias: str) -> AliasState:
        value = self.virtual.value(alias)
        if value is None or self.refusal(alias, value):
            raise KeyError(alias)
        return AliasState(VirtualFile.destinations(value))

    @cached_property
    def exposed(self) -> dict[str, list[str]]:
        """The mailboxes that lose their mail to a catch-all, by domain."""
        found: dict[str, list[str]] = {}
        caught = catch_all.domains(self.virtual)
        for address in catch_all.exposed(self.mailboxes, self.virtual, caught) if caught else ():
            domain = domain_of(address)
            if VirtualFile.destinations(self.virtual.value(f"@{domain}") or "") != (address,):
                found.setdefault(domain, []).append(address)
        return found

    def __iter__(self) -> Iterator[str]:
        return (alias for alias, value in self.virtual.items() if not self.refusal(alias, value))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def refusal(self, alias: str, value: str) -> str | None:
        """Why this alias is left alone, or None."""
        if alias in self.mailboxes:
            return N_("a mailbox has the same address (it forwards its own mail)")
        if reason := domain_refusal(alias[1:]) if alias.startswith("@") else rule.unserved(alias):
            return reason
        for destination in VirtualFile.destinations(value):
            if reason := destination_refusal(destination):
                return N_(f"its destination {shown(destination)} cannot be used: {reason}")
        if not VirtualFile.destinations(value):
            return N_("it has no destination")
        return (
            N_("it leads to itself, and there is no such mailbox") if alias in VirtualFile.destinations(value) else None
        )

    def obstacle(self, alias: str) -> str | None:
        """Why nothing may be done about the entry that is there, or None."""
        value = self.virtual.value(alias)
        return None if value is None or is_own_alias(alias, value) else self.refusal(alias, value)

    def problems(self) -> Iterator[Unmanageable]:
        for alias, value in self.virtual.items():
            if (reason := self.refusal(alias, value)) and not (alias in self.mailboxes and is_own_alias(alias, value)):
                yield Unmanageable(self.virtual.name, shown(self.virtual.written(alias)), reason)


def problems(mailboxes: MailboxEntries, aliases: AliasEntries) -> Iterator[Unmanageable]:
    """Everything in the files that is left alone, with the reason."""
    for file in (mailboxes.accounts, mailboxes.quotas, aliases.virtual):
        yield from file.problems()
    yield from mailboxes.problems()
    yield from aliases.problems()


@lru_cache(maxsize=4096)
def quota_bytes(text: str) -> int | None:
    """The bytes of `500M`, `1g`, `2GiB`, `0`, or None for what Dovecot does not take for a size."""
    parts = QUOTA.fullmatch(text)
    size = int(parts[1]) * UNITS[(parts[2] or "").upper()] if parts else MOST_BYTES + 1
    return size if size <= MOST_BYTES else None


def is_own_alias(address: str, value: str) -> bool:
    """`a@x.io a@x.io`: how a mailbox keeps its mail in a domain that has a catch-all."""
    return VirtualFile.destinations(value) == (address,)


def is_disabled(attributes: str) -> bool:
    """Whether the third column of an account refuses its login."""
    return "fail" in attributes and any(w == "fail" or w.startswith("fail=") for w in attributes.split())
