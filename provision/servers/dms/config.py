"""docker-mailserver's three config files as one value: parse, read as state, edit, render.

Pure, and shared by the kinds that reach the files in different ways. Passwords in changes are hashes.
Source: docker-mailserver docs (account management, quotas) and its helpers/accounts.sh.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import TypeVar

from provision.core.address import domain_of
from provision.core.errors import Rejected
from provision.core.secret import Secret
from provision.core.state import (
    Change,
    CreateMailbox,
    DeleteAlias,
    DeleteMailbox,
    Outcome,
    Resource,
    ServerState,
    SetAlias,
    SetEnabled,
    SetPassword,
    SetQuota,
)
from provision.servers.dms.lines import HASH, AccountsFile, ConfigFile, QuotasFile, VirtualFile, shown
from provision.servers.dms.state import UNITS, AliasEntries, MailboxEntries, Problems, is_disabled, is_own_alias

File = TypeVar("File", AccountsFile, QuotasFile, VirtualFile)
FILES = (AccountsFile.name, QuotasFile.name, VirtualFile.name)
PASSWORD = re.compile(r"(pass\w*=)\S+")  # fields that hold one, for proxies and master users
DISABLED = "fail=y"  # passdb field: IMAP, POP3 and submission refuse cleanly; hash and mail survive


class DmsConfig:
    """The files of one docker-mailserver. `files` by name; a missing file is an empty text."""

    def __init__(self, texts: Mapping[str, str], before: "DmsConfig | None" = None) -> None:
        """`before`: files whose text is still the same are taken from there instead of being parsed again."""
        known = {file.text: file for file in before.files if not file.edited} if before else {}

        def parse(kind: type[File]) -> File:
            text = texts.get(kind.name, "")
            same = known.get(text)
            return same if isinstance(same, kind) else kind(text)

        self.accounts = parse(AccountsFile)
        self.quotas = parse(QuotasFile)
        self.virtual = parse(VirtualFile)

    def copy(self) -> "DmsConfig":
        """The same files, to be edited without touching these."""
        twin = copy(self)
        twin.accounts, twin.quotas, twin.virtual = self.accounts.copy(), self.quotas.copy(), self.virtual.copy()
        return twin

    @property
    def files(self) -> tuple[ConfigFile, ...]:
        return (self.accounts, self.quotas, self.virtual)

    def changed(self) -> dict[str, str]:
        """The new text of every file that an edit has changed, in the order to write them."""
        return {file.name: file.render() for file in self.files if file.edited}

    # ---- reading ---------------------------------------------------------------------------

    def state(self) -> ServerState:
        """What the files say. Entries are read when they are asked for, so edit a DmsConfig of its own."""
        mailboxes = MailboxEntries(self.accounts, self.quotas)
        aliases = AliasEntries(self.virtual, mailboxes)
        present = {Resource.MAILBOX: self.accounts.entries, Resource.ALIAS: self.virtual.entries}
        return ServerState(mailboxes, aliases, Problems(mailboxes, aliases), present)

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
        quota = f"{change.address}:{quota_text(change.quota_bytes)}"
        return f"postfix-accounts.cf: {_shown_line(change.address, attributes)}; dovecot-quotas.cf: {quota}"

    def set_password(self, change: SetPassword) -> str:
        attributes = self._account(change.address).partition("|")[2]
        self._put_account(change.address, _complete_hash(change.password, change.address), attributes)
        return f"postfix-accounts.cf: {_shown_line(change.address, attributes)}"

    def set_enabled(self, change: SetEnabled) -> str:
        password_hash, _, attributes = self._account(change.address).partition("|")
        attributes = _with_login(attributes, change.enabled)
        self._put_account(change.address, password_hash, attributes)
        return f"postfix-accounts.cf: {_shown_line(change.address, attributes)}"

    def set_quota(self, change: SetQuota) -> str:
        self._account(change.address)
        self._put_quota(change.address, change.quota_bytes)
        return f"dovecot-quotas.cf: {change.address}:{quota_text(change.quota_bytes)}"

    def delete_mailbox(self, change: DeleteMailbox) -> str:
        self._refuse_doubled(self.accounts, change.address)
        self.accounts.remove(change.address)
        self.quotas.remove(change.address)
        if is_own_alias(change.address, self.virtual.value(change.address) or ""):
            self.virtual.remove(change.address)
        return f"postfix-accounts.cf, dovecot-quotas.cf: remove {change.address}"

    def set_alias(self, change: SetAlias) -> str:
        self._refuse_doubled(self.virtual, change.address)
        for destination in change.destinations:
            if line := self.accounts.hashless_hit(destination):
                raise Rejected(
                    f"{self.accounts.name} names {destination} in a line without a password hash (“{shown(line)}”). "
                    "docker-mailserver would take that for the account of this alias, and stop; remove it by hand."
                )
        line = f"{change.address} {','.join(change.destinations)}"
        self.virtual.put(change.address, line)
        return f"postfix-virtual.cf: {line}"

    def delete_alias(self, change: DeleteAlias) -> str:
        self._refuse_doubled(self.virtual, change.address)
        self.virtual.remove(change.address)
        if change.address.startswith("@"):
            self._end_protection(change.address[1:])
        return f"postfix-virtual.cf: remove {change.address}"

    def _end_protection(self, domain: str) -> None:
        """Without its catch-all, aliases of a domain's mailboxes to themselves mean nothing any more."""
        for key, value in list(self.virtual.items()):
            if key in self.accounts.entries and domain_of(key) == domain and is_own_alias(key, value):
                self.virtual.remove(key)

    def edit_all(self, changes: Sequence[Change]) -> list[Outcome]:
        """Carry out a batch in the texts: an Outcome for each change, in order; a refused one leaves no trace."""
        outcomes = []
        for change in changes:
            try:
                outcomes.append(Outcome(change, self.edit(change)))
            except Rejected as error:
                outcomes.append(Outcome(change, "", exit_code=1, error=error.message))
        self.complete_quotas()
        self.protect_from_catch_alls()
        return outcomes

    def catch_all_domains(self) -> set[str]:
        return {key[1:] for key in (*self.virtual.entries, *self.virtual.added) if key.startswith("@")}

    def protect_from_catch_alls(self) -> None:
        """Give each account in the domain of a catch-all an alias to itself, or the catch-all takes its mail too.

        Postfix looks an address up among the aliases before it looks for a mailbox. Source: virtual(5), `@domain`.
        """
        if not (self.accounts.added or self.virtual.edited) or not (domains := self.catch_all_domains()):
            return
        for address in [*self.accounts.entries, *self.accounts.added]:
            if domain_of(address) in domains and self.virtual.value(address) is None:
                self.virtual.put(address, f"{address} {address}")

    def complete_quotas(self) -> None:
        """Give a quota line of its own, `0`, to every account that has none and would be found in another's.

        docker-mailserver's substring search hands such an account the quota of the longer address. The others keep
        what the server gives by default. Only when the quotas are written anyway: a write has a price.
        """
        if not self.quotas.edited:
            return
        accounts = [*self.accounts.entries, *self.accounts.added]
        bare = set(accounts).difference(self.quotas.entries, self.quotas.added)
        hidden = self.quotas.found_elsewhere(bare) if bare else set()
        for address in filter(hidden.__contains__, accounts):
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


def _shown_line(address: str, attributes: str) -> str:
    """The line for the log. The third column is a person's: it may hold a password, or a hash of a glued line."""
    return _account_line(address, "***", PASSWORD.sub(r"\1***", HASH.sub("***", attributes)))


def _with_login(attributes: str, enabled: bool) -> str:
    """The third column with `fail=y` added or taken away; every other attribute stays as it is."""
    if enabled != is_disabled(attributes):
        return attributes
    others = [word for word in attributes.split() if word != "fail" and not word.startswith("fail=")]
    return " ".join(others if enabled else [*others, DISABLED])


def _complete_hash(password: Secret, address: str) -> str:
    """The hash to write. An account without one that an alias points to stops the whole container."""
    text = password.reveal()
    if not text.startswith("{") or len(text) < 20 or any(c in text for c in "|\n\r") or "*0" in text:
        raise Rejected(f"The password hash for {address} is not complete; nothing was written for it.")
    return text
