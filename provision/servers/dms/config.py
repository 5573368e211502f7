"""docker-mailserver's three config files as one value: parse, read as state, edit, render.

Pure, and shared by the kinds that reach the files in different ways. Passwords in changes are hashes.
Source: docker-mailserver docs (account management, quotas) and its helpers/accounts.sh.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from provision.core.errors import Rejected
from provision.core.lazy import Lazy
from provision.core.secret import Secret
from provision.core.state import (
    Change,
    CreateMailbox,
    DeleteAlias,
    DeleteMailbox,
    Key,
    Outcome,
    Resource,
    ServerState,
    SetAlias,
    SetEnabled,
    SetPassword,
    SetQuota,
)
from provision.servers.dms import catch_all
from provision.servers.dms.diagnosis import warnings
from provision.servers.dms.foreign import RULE_FILES, Foreign
from provision.servers.dms.lines import AccountsFile, ConfigFile, QuotasFile, VirtualFile
from provision.servers.dms.state import (
    UNITS,
    AliasEntries,
    MailboxEntries,
    is_disabled,
    is_own_alias,
    problems,
)
from provision.servers.dms.words import HASH, shown

File = TypeVar("File", AccountsFile, QuotasFile, VirtualFile)
FILES = (AccountsFile.name, QuotasFile.name, VirtualFile.name)
READ_FILES = (*FILES, *RULE_FILES)  # the others are never written
PASSWORD = re.compile(r"(pass\w*=)\S+")  # fields that hold one, for proxies and master users
ANY_HASH = Secret("{SHA512-CRYPT}$6$to-be-looked-at-only")
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
        self.foreign = Foreign(texts)

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
        mailboxes, aliases = self._entries()
        entries: Mapping[Resource, MailboxEntries | AliasEntries]
        entries = {Resource.MAILBOX: mailboxes, Resource.ALIAS: aliases}
        return ServerState(
            mailboxes,
            aliases,
            Lazy(lambda: problems(mailboxes, aliases)),
            present={Resource.MAILBOX: self.accounts.entries, Resource.ALIAS: self.virtual.entries},
            # Two lines of one account: the change itself is refused, and tried again until a person has chosen.
            obstacle=lambda key: None if self._is_doubled(key) else entries[key.resource].obstacle(key.address),
            takes=lambda alias: len(aliases.exposed.get(alias[1:], ())) if alias.startswith("@") else 0,
            rules=self.foreign.rules,
            warnings=Lazy(lambda: warnings(mailboxes, aliases, self.foreign)),
            beside=lambda changes: self.copy().beside(changes),
        )

    def _is_doubled(self, key: Key) -> bool:
        return key.resource is Resource.MAILBOX and key.address in self.accounts.doubled

    def _entries(self) -> tuple[MailboxEntries, AliasEntries]:
        mailboxes = MailboxEntries(self.accounts, self.quotas)
        return mailboxes, AliasEntries(self.virtual, mailboxes)

    # ---- editing ---------------------------------------------------------------------------

    def edit(self, change: Change) -> str:
        """Carry out one change in the texts; return it as a person would write it, hashes as `***`.

        Doing the same change twice is doing it once. Raises: Rejected.
        """
        return EDITS[type(change)](self, change)

    def create_mailbox(self, change: CreateMailbox) -> str:
        self._require_free(Resource.MAILBOX, change.address)
        password_hash = _complete_hash(change.password, change.address)
        value = self.accounts.value(change.address)
        if value is not None and value.partition("|")[0] not in ("", password_hash):
            raise Rejected(f"{change.address} was made on the mail server meanwhile.", code="SYNC_CONFLICT")
        attributes = _with_login((value or "").partition("|")[2], change.enabled)
        self._put_account(change.address, password_hash, attributes)
        quota = self._put_quota(change.address, change.quota_bytes)
        return f"postfix-accounts.cf: {_shown_line(change.address, attributes)}; {quota}"

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
        return self._put_quota(change.address, change.quota_bytes)

    def delete_mailbox(self, change: DeleteMailbox) -> str:
        self._require_free(Resource.MAILBOX, change.address)
        self.accounts.remove(change.address)
        self.quotas.remove(change.address)
        done = f"postfix-accounts.cf, dovecot-quotas.cf: remove {change.address}"
        forward = self.virtual.value(change.address)
        if forward is None:
            return done
        if is_own_alias(change.address, forward):
            self.virtual.remove(change.address)
            return f"{done}; postfix-virtual.cf: remove {change.address} {change.address}"
        return f"{done}; left alone in postfix-virtual.cf: {change.address} {HASH.sub('***', forward)}"

    def set_alias(self, change: SetAlias) -> str:
        self._require_free(Resource.ALIAS, change.address)
        for destination in change.destinations:
            if line := self.accounts.hashless_hit(destination):
                raise Rejected(
                    f"{self.accounts.name} names {destination} in a line without a password hash (“{shown(line)}”). "
                    "docker-mailserver would take that for the account of this alias, and stop; remove it by hand."
                )
        line, before = f"{change.address} {','.join(change.destinations)}", self.virtual.value(change.address)
        self.virtual.put(change.address, line)
        return f"postfix-virtual.cf: {line}{_before(before, ','.join(change.destinations))}"

    def delete_alias(self, change: DeleteAlias) -> str:
        self._require_free(Resource.ALIAS, change.address)
        before = self.virtual.value(change.address)
        self.virtual.remove(change.address)
        removed = [change.address, *(self._end_protection(change.address) if change.address[:1] == "@" else ())]
        return f"postfix-virtual.cf: remove {', '.join(removed)}{_before(before, '')}"

    def _end_protection(self, catch_all: str) -> Iterator[str]:
        """Without its catch-all, aliases of a domain's mailboxes to themselves mean nothing any more; what is removed.

        Those stay that keep a rule in another file from taking the mail.
        """
        for key, value in list(self.virtual.items()):
            is_protection = key in self.accounts.entries and key.endswith(catch_all) and is_own_alias(key, value)
            if is_protection and not self.foreign.is_routed(key):
                self.virtual.remove(key)
                yield key

    def edit_all(self, changes: Sequence[Change]) -> list[Outcome]:
        """Carry out a batch in the texts: an Outcome for each change, in order; a refused one leaves no trace."""
        outcomes = []
        for change in changes:
            try:
                outcomes.append(Outcome(change, self.edit(change)))
            except Rejected as error:
                outcomes.append(Outcome(change, "", exit_code=1, error=error.message))
        for place, lines in self._write_beside(outcomes).items():
            outcomes[place] = replace(outcomes[place], command="; ".join((outcomes[place].command, *lines)))
        return outcomes

    def beside(self, changes: Sequence[Change]) -> list[str]:
        """What a batch would write beside what it is about. It is done in these texts, so ask a copy."""
        hashed = [replace(c, password=ANY_HASH) if isinstance(c, CreateMailbox | SetPassword) else c for c in changes]
        outcomes = []
        for change in hashed:
            with suppress(Rejected):
                outcomes.append(Outcome(change, self.edit(change)))
        return list(chain.from_iterable(self._write_beside(outcomes).values()))

    def _write_beside(self, outcomes: Sequence[Outcome]) -> dict[int, list[str]]:
        """What else these take; the lines, by the place of the outcome that they belong to."""
        done = [(place, outcome.change) for place, outcome in enumerate(outcomes) if not outcome.error]
        lines: dict[int, list[str]] = {}
        domains = catch_all.domains(self.virtual)
        for place, change in done if domains else ():
            concerned = [change.address]
            if isinstance(change, SetAlias):
                concerned = self._served(change.address) if change.address.startswith("@") else []
            elif not isinstance(change, CreateMailbox):
                continue
            lines[place] = catch_all.protect(self.virtual, catch_all.exposed(concerned, self.virtual, domains))
        quotas = [place for place, change in done if isinstance(change, CreateMailbox | SetQuota | DeleteMailbox)]
        if quotas:
            lines.setdefault(quotas[0], []).extend(self.complete_quotas())
        return lines

    def _served(self, domain: str) -> list[str]:
        """The accounts in `@domain` that can be managed."""
        mailboxes, _ = self._entries()
        accounts = (*self.accounts.entries, *self.accounts.added)
        return [address for address in accounts if address.endswith(domain) and address in mailboxes]

    def complete_quotas(self) -> list[str]:
        """Give a quota line of its own, `0`, to every account that has none and would be found in another's.

        docker-mailserver's substring search hands such an account the quota of the longer address. The others keep
        what the server gives by default. Only when the quotas are written anyway: a write has a price.
        """
        if not self.quotas.edited:
            return []
        accounts = [*self.accounts.entries, *self.accounts.added]
        bare = set(accounts).difference(self.quotas.entries, self.quotas.added)
        hidden = self.quotas.found_elsewhere(bare) if bare else set()
        return [self._put_quota(address, 0) for address in accounts if address in hidden]

    def _account(self, address: str) -> str:
        self._require_free(Resource.MAILBOX, address)
        value = self.accounts.value(address)
        if value is None:
            raise Rejected(f"{address} is not on the mail server any more.", code="MAILBOX_NOT_FOUND")
        return value

    def _put_account(self, address: str, password_hash: str, attributes: str) -> None:
        self.accounts.put(address, _account_line(address, password_hash, attributes))

    def _put_quota(self, address: str, quota_bytes: int) -> str:
        before, text = self.quotas.value(address), quota_text(quota_bytes)
        self.quotas.put(address, f"{address}:{text}")
        return f"dovecot-quotas.cf: {address}:{text}{_before(before, text)}"

    def _require_free(self, resource: Resource, address: str) -> None:
        """Raises: Rejected, where something stands that may not be touched."""
        mailboxes, aliases = self._entries()
        is_alias = resource is Resource.ALIAS
        name = self.virtual.name if is_alias else self.accounts.name
        if reason := aliases.obstacle(address) if is_alias else mailboxes.unclear(address):
            raise Rejected(f"{name} has an entry of {address} that is not touched: {reason}.", code="SYNC_CONFLICT")


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
        if quota_bytes and quota_bytes % UNITS[unit.upper()] == 0:
            return f"{quota_bytes // UNITS[unit.upper()]}{unit}"
    return f"{quota_bytes}B" if quota_bytes else "0"


def _before(before: str | None, now: str) -> str:
    """For the record: the value that was overwritten."""
    return "" if before in (None, now) else f" (before: {HASH.sub('***', before or '')})"


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
