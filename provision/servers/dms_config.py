"""docker-mailserver's three config files as one value: parse, read as state, edit, render.

Pure, and shared by the kinds that reach the files in different ways. Passwords in changes are hashes.
Source: docker-mailserver docs (account management, quotas) and its helpers/accounts.sh.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from provision import address as addresses
from provision.errors import Rejected
from provision.secret import Secret
from provision.servers.dms_lines import AccountsFile, ConfigFile, QuotasFile, VirtualFile
from provision.state import (
    AliasState,
    Change,
    CreateMailbox,
    DeleteAlias,
    DeleteMailbox,
    MailboxState,
    ServerState,
    SetAlias,
    SetEnabled,
    SetPassword,
    SetQuota,
    Unmanageable,
)

FILES = (AccountsFile.name, QuotasFile.name, VirtualFile.name)
QUOTA = re.compile(r"(\d{1,20})([BkMGT]?)")
UNITS = {"": 1, "B": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
DISABLED = "fail=y"  # passdb field: IMAP, POP3 and submission refuse cleanly; hash and mail survive


class DmsConfig:
    """The files of one docker-mailserver. `files` by name; a missing file is an empty text."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.accounts = AccountsFile(texts.get(AccountsFile.name, ""))
        self.quotas = QuotasFile(texts.get(QuotasFile.name, ""))
        self.virtual = VirtualFile(texts.get(VirtualFile.name, ""))

    @property
    def files(self) -> tuple[ConfigFile, ...]:
        return (self.accounts, self.quotas, self.virtual)

    def changed(self) -> dict[str, str]:
        """The new text of every file that an edit has changed, in the order to write them."""
        return {file.name: file.render() for file in self.files if file.edited}

    # ---- reading ---------------------------------------------------------------------------

    def state(self) -> ServerState:
        problems = [problem for file in self.files for problem in file.problems()]
        mailboxes = dict(self._mailboxes(problems))
        aliases = dict(self._aliases(mailboxes, problems))
        return ServerState(mailboxes, aliases, tuple(problems))

    def _mailboxes(self, problems: list[Unmanageable]) -> Iterator[tuple[str, MailboxState]]:
        quotas = self._quotas(problems)
        for address, value in self.accounts.items():
            if address in self.accounts.doubled:
                continue
            password_hash, _, attributes = value.partition("|")
            if reason := addresses.refusal(address) or (not password_hash and "it has no password hash"):
                problems.append(Unmanageable(self.accounts.name, addresses.shorten(address), reason))
                continue
            enabled = not attributes or not _fails(attributes)
            yield address, MailboxState(Secret(password_hash), quotas.get(address, 0), enabled)

    def _quotas(self, problems: list[Unmanageable]) -> dict[str, int]:
        found = {}
        for address, value in self.quotas.items():
            size = quota_bytes(value)
            if size is not None:
                found[address] = size
            else:
                shown = addresses.shorten(f"{address}:{value}")
                problems.append(Unmanageable(self.quotas.name, shown, "the quota is not a size such as 500M"))
        return found

    def _aliases(
        self, mailboxes: Mapping[str, MailboxState], problems: list[Unmanageable]
    ) -> Iterator[tuple[str, AliasState]]:
        for alias, value in self.virtual.items():
            if alias in self.virtual.doubled:
                continue
            destinations = VirtualFile.destinations(value)
            if reason := _alias_refusal(alias, destinations, mailboxes):
                problems.append(Unmanageable(self.virtual.name, addresses.shorten(alias), reason))
            else:
                yield alias, AliasState(destinations)

    # ---- editing ---------------------------------------------------------------------------

    def edit(self, change: Change) -> str:
        """Carry out one change in the texts; return it as a person would write it, hashes as `***`.

        Doing the same change twice is doing it once. Raises: Rejected.
        """
        return EDITS[type(change)](self, change)

    def create_mailbox(self, change: CreateMailbox) -> str:
        self._refuse_doubled(self.accounts, change.address)
        password_hash = _complete_hash(change.password, change.address)
        value = self.accounts.value(change.address)
        if value is not None and value.partition("|")[0] not in ("", password_hash):
            raise Rejected(f"{change.address} was made on the mail server meanwhile.", code="SYNC_CONFLICT")
        attributes = _with_login((value or "").partition("|")[2], change.enabled)
        self._put_account(change.address, password_hash, attributes)
        self._put_quota(change.address, change.quota_bytes)
        quota = quota_text(change.quota_bytes)
        return f"postfix-accounts.cf: {_account_line(change.address, '***', attributes)}; dovecot-quotas.cf: {change.address}:{quota}"

    def set_password(self, change: SetPassword) -> str:
        attributes = self._account(change.address).partition("|")[2]
        self._put_account(change.address, _complete_hash(change.password, change.address), attributes)
        return f"postfix-accounts.cf: {_account_line(change.address, '***', attributes)}"

    def set_enabled(self, change: SetEnabled) -> str:
        password_hash, _, attributes = self._account(change.address).partition("|")
        attributes = _with_login(attributes, change.enabled)
        self._put_account(change.address, password_hash, attributes)
        return f"postfix-accounts.cf: {_account_line(change.address, '***', attributes)}"

    def set_quota(self, change: SetQuota) -> str:
        self._account(change.address)
        self._put_quota(change.address, change.quota_bytes)
        return f"dovecot-quotas.cf: {change.address}:{quota_text(change.quota_bytes)}"

    def delete_mailbox(self, change: DeleteMailbox) -> str:
        self._refuse_doubled(self.accounts, change.address)
        self.accounts.remove(change.address)
        self.quotas.remove(change.address)
        return f"postfix-accounts.cf, dovecot-quotas.cf: remove {change.address}"

    def set_alias(self, change: SetAlias) -> str:
        self._refuse_doubled(self.virtual, change.address)
        line = f"{change.address} {','.join(change.destinations)}"
        self.virtual.put(change.address, line)
        return f"postfix-virtual.cf: {line}"

    def delete_alias(self, change: DeleteAlias) -> str:
        self._refuse_doubled(self.virtual, change.address)
        self.virtual.remove(change.address)
        return f"postfix-virtual.cf: remove {change.address}"

    def complete_quotas(self) -> None:
        """Give every account a quota line of its own, `0` where there was none.

        Without it docker-mailserver's substring search hands an account the quota of a longer address.
        Only when the quotas are written anyway: a write has a price.
        """
        if self.quotas.edited:
            for address in [*self.accounts.entries, *self.accounts.added]:
                if address not in self.quotas.entries and address not in self.quotas.added:
                    self._put_quota(address, 0)

    def _account(self, address: str) -> str:
        self._refuse_doubled(self.accounts, address)
        value = self.accounts.value(address)
        if value is None:
            raise Rejected(f"{address} is not on the mail server any more.", code="MAILBOX_NOT_FOUND")
        return value

    def _put_account(self, address: str, password_hash: str, attributes: str) -> None:
        self.accounts.put(address, _account_line(address, password_hash, attributes))

    def _put_quota(self, address: str, quota_bytes: int) -> None:
        self.quotas.put(address, f"{address}:{quota_text(quota_bytes)}")

    @staticmethod
    def _refuse_doubled(file: ConfigFile, key: str) -> None:
        if key in file.doubled:
            raise Rejected(f"{file.name} has two lines for {key}; remove one of them by hand.", code="SYNC_CONFLICT")


EDITS: Mapping[type[Change], Callable[..., str]] = {
    CreateMailbox: DmsConfig.create_mailbox,
    SetPassword: DmsConfig.set_password,
    SetEnabled: DmsConfig.set_enabled,
    SetQuota: DmsConfig.set_quota,
    DeleteMailbox: DmsConfig.delete_mailbox,
    SetAlias: DmsConfig.set_alias,
    DeleteAlias: DmsConfig.delete_alias,
}


@lru_cache(maxsize=4096)
def quota_bytes(text: str) -> int | None:
    """The bytes of `500M`, `1G`, `0`, or None for anything docker-mailserver does not read."""
    parts = QUOTA.fullmatch(text)
    return int(parts[1]) * UNITS[parts[2]] if parts else None


def quota_text(quota_bytes: int) -> str:
    """`0` for no limit, else a whole number of the largest of M, k, B that fits.

    Never G or T: Dovecot 2.4 takes a tenth of the number as grace, which is 0 for 1G and 102M for 1024M.
    """
    for unit in ("M", "k"):
        if quota_bytes and quota_bytes % UNITS[unit] == 0:
            return f"{quota_bytes // UNITS[unit]}{unit}"
    return f"{quota_bytes}B" if quota_bytes else "0"


def _account_line(address: str, password_hash: str, attributes: str) -> str:
    return f"{address}|{password_hash}|{attributes}" if attributes else f"{address}|{password_hash}"


def _fails(attributes: str) -> bool:
    return any(word == "fail" or word.startswith("fail=") for word in attributes.split())


def _with_login(attributes: str, enabled: bool) -> str:
    """The third column with `fail=y` added or taken away; every other attribute stays as it is."""
    if enabled != _fails(attributes):
        return attributes
    others = [word for word in attributes.split() if word != "fail" and not word.startswith("fail=")]
    return " ".join(others if enabled else [*others, DISABLED])


def _complete_hash(password: Secret, address: str) -> str:
    """The hash to write. An account without one that an alias points to stops the whole container."""
    text = password.reveal()
    if not text.startswith("{") or len(text) < 20 or any(c in text for c in "|\n\r") or "*0" in text:
        raise Rejected(f"The password hash for {address} is not complete; nothing was written for it.")
    return text


def _alias_refusal(alias: str, destinations: tuple[str, ...], mailboxes: Mapping[str, MailboxState]) -> str | None:
    if alias in mailboxes:
        return "a mailbox has the same address (it forwards its own mail)"
    if reason := addresses.domain_refusal(alias[1:]) if alias.startswith("@") else addresses.refusal(alias):
        return reason
    for destination in destinations:
        if destination not in mailboxes and (reason := addresses.refusal(destination)):
            return f"its destination {addresses.shorten(destination)} cannot be used: {reason}"
    return None
