"""What docker-mailserver's config files say, entry by entry, read only when it is asked for.

A push of one change looks at one account out of thousands; a preview looks at each once and keeps none.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from typing import overload

from provision.core.address import domain_refusal
from provision.core.secret import Secret
from provision.core.state import AliasState, MailboxState, Unmanageable
from provision.core.texts import N_
from provision.servers.dms import rule
from provision.servers.dms.lines import AccountsFile, QuotasFile, VirtualFile, shown

QUOTA = re.compile(r"([0-9]{1,20})([BkMGT]?)")
UNITS = {"": 1, "B": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


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
        quota = quota_bytes(self.quotas.value(address) or "0") or 0
        return MailboxState(Secret(password_hash), quota, not is_disabled(attributes))

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
        if address in self.accounts.doubled:
            return N_("there are two lines for it; remove one by hand")
        if not value or value[0] == "|":
            return rule.refusal(address) or N_("it has no password hash")
        return rule.refusal(address)

    def problems(self) -> Iterator[Unmanageable]:
        for address, value in self.accounts.items():
            if reason := self.refusal(address, value):
                yield Unmanageable(self.accounts.name, shown(address), reason)
        for address, value in self.quotas.items():
            if quota_bytes(value) is None:
                yield Unmanageable(
                    self.quotas.name, shown(f"{address}:{value}"), N_("the quota is not a size such as 500M")
                )
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

    def __iter__(self) -> Iterator[str]:
        return (alias for alias, value in self.virtual.items() if not self.refusal(alias, value))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def refusal(self, alias: str, value: str) -> str | None:
        """Why this alias is left alone, or None."""
        if alias in self.virtual.doubled:
            return N_("there are two lines for it; remove one by hand")
        if alias in self.mailboxes:
            return N_("a mailbox has the same address (it forwards its own mail)")
        if reason := domain_refusal(alias[1:]) if alias.startswith("@") else rule.refusal(alias):
            return reason
        for destination in VirtualFile.destinations(value):
            if reason := rule.refusal(destination):
                return N_(f"its destination {shown(destination)} cannot be used: {reason}")
        return None

    def problems(self) -> Iterator[Unmanageable]:
        for alias, value in self.virtual.items():
            if (reason := self.refusal(alias, value)) and not (alias in self.mailboxes and is_own_alias(alias, value)):
                yield Unmanageable(self.virtual.name, shown(alias), reason)


class Problems(Sequence[Unmanageable]):
    """Everything in the files that is left alone, with the reason."""

    def __init__(self, mailboxes: MailboxEntries, aliases: AliasEntries) -> None:
        self._mailboxes = mailboxes
        self._aliases = aliases

    @cached_property
    def _found(self) -> tuple[Unmanageable, ...]:
        files = (self._mailboxes.accounts, self._mailboxes.quotas, self._aliases.virtual)
        garbage = (problem for file in files for problem in file.problems())
        return tuple(chain(garbage, self._mailboxes.problems(), self._aliases.problems()))

    @overload
    def __getitem__(self, index: int) -> Unmanageable: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Unmanageable]: ...
    def __getitem__(self, index: int | slice) -> Unmanageable | Sequence[Unmanageable]:
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)


@lru_cache(maxsize=4096)
def quota_bytes(text: str) -> int | None:
    """The bytes of `500M`, `1G`, `0`, or None for anything docker-mailserver does not read."""
    parts = QUOTA.fullmatch(text)
    return int(parts[1]) * UNITS[parts[2]] if parts else None


def is_own_alias(address: str, value: str) -> bool:
    """`a@x.io a@x.io`: how a mailbox keeps its mail in a domain that has a catch-all."""
    return VirtualFile.destinations(value) == (address,)


def is_disabled(attributes: str) -> bool:
    """Whether the third column of an account refuses its login."""
    return "fail" in attributes and any(w == "fail" or w.startswith("fail=") for w in attributes.split())
