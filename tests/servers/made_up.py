"""A mail server that exists in memory only, of a kind that differs from docker-mailserver wherever a kind may.

What it holds outlives each opening, as a real one's would. How it differs is said when it is set up.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from provision.core.errors import Unreachable
from provision.core.secret import Secret
from provision.core.state import (
    AliasState,
    Change,
    CreateMailbox,
    DeleteAlias,
    DeleteMailbox,
    Key,
    MailboxState,
    Outcome,
    Resource,
    ServerState,
    SetAlias,
    SetEnabled,
    SetPassword,
    SetQuota,
)
from provision.core.traits import Traits
from provision.servers.kinds import KINDS
from provision.servers.protocol import Kind
from provision.servers.setting import Setting, one_of

KIND = "made_up"
API_KEY = "Key-of-the-made-up-server-4711"
SETTINGS = (
    Setting("url", "where its API answers", required=True),
    Setting("api_key", "key of its API", required=True, secret=True),
    Setting("region", "where it stands", check=one_of("here or there", "here", "there"), default="here"),
)
MB = 1 << 20


@dataclass
class Account:
    password: str
    quota_bytes: int
    enabled: bool
    mark: str | None


@dataclass
class Remote:
    """The server itself. `tells`: what reading says of a password; `marks`: whether it has a place for one."""

    traits: Traits
    tells: str = "nothing"
    marks: bool = False
    accounts: dict[str, Account] = field(default_factory=dict)
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    key: str = API_KEY
    fail_after: int | None = None  # changes; then the connection is gone, once, before an answer is given
    retry_after: float | None = None
    refused: frozenset[str] = frozenset()
    reads: list[int | None] = field(default_factory=list)  # how many keys were asked for; None: all
    batches: list[int] = field(default_factory=list)

    def told(self, account: Account) -> Secret | None:
        if self.tells == "nothing":
            return None
        return Secret("{OTHER}" + account.password[::-1] if self.tells == "other scheme" else account.password)


REMOTES: dict[str, Remote] = {}


class MadeUp:
    def __init__(self, settings: Mapping[str, Any], timeout_seconds: float) -> None:
        self.settings = settings
        self.remote = REMOTES[settings["url"]]
        self.traits = self.remote.traits

    def _sign_in(self) -> None:
        key = self.settings["api_key"].reveal()
        if key != self.remote.key:  # a driver that is not careful with what it says
            raise Unreachable(f"GET {self.settings['url']}?key={key} → 403.", retry_after=self.remote.retry_after)

    def recover(self) -> None:
        self._sign_in()

    def close(self) -> None:
        pass

    def check(self) -> list[str]:
        try:
            self._sign_in()
        except Unreachable as error:
            return [error.message]
        return []

    def read(self, keys: Collection[Key] | None = None) -> ServerState:
        self._sign_in()
        self.remote.reads.append(None if keys is None else len(keys))
        mailboxes = {
            address: MailboxState(self.remote.told(it), it.quota_bytes, it.enabled, owner_uid=it.mark)
            for address, it in self.remote.accounts.items()
            if keys is None or Key(Resource.MAILBOX, address) in keys
        }
        aliases = {
            address: AliasState(destinations)
            for address, destinations in self.remote.aliases.items()
            if keys is None or Key(Resource.ALIAS, address) in keys
        }
        return ServerState(mailboxes, aliases)

    def apply(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        self._sign_in()
        remote = self.remote
        remote.batches.append(len(changes))
        assert len(changes) <= max(remote.traits.chunk, 3), "more than it takes at once"
        for change in changes:
            error = "It is refused here." if change.address in remote.refused else self._carry_out(change)
            if remote.fail_after is not None:
                remote.fail_after -= 1
                if remote.fail_after < 0:  # done there, and nobody here is told
                    remote.fail_after = None
                    raise Unreachable("The connection is gone.", retry_after=remote.retry_after)
            yield Outcome(change, f"POST {change.address}?key={self.settings['api_key'].reveal()}", error=error)

    def _carry_out(self, change: Change) -> str | None:
        """What it has against it, or None."""
        accounts, step = self.remote.accounts, self.remote.traits.quota_step_bytes
        match change:
            case CreateMailbox(address=address):
                if address in accounts:
                    return "It exists already."
                if change.quota_bytes % step:
                    return "A quota is a number of MiB."
                mark = change.owner_uid if self.remote.marks else None
                accounts[address] = Account(change.password.reveal(), change.quota_bytes, change.enabled, mark)
            case SetPassword():
                accounts[change.address].password = change.password.reveal()
            case SetQuota():
                accounts[change.address].quota_bytes = change.quota_bytes
            case SetEnabled():
                accounts[change.address].enabled = change.enabled
            case DeleteMailbox():
                accounts.pop(change.address, None)
            case SetAlias():
                self.remote.aliases[change.address] = change.destinations
            case DeleteAlias():
                self.remote.aliases.pop(change.address, None)
        return None


@contextmanager
def made_up(traits: Traits, **how: Any) -> Iterator[Remote]:
    """The kind is known, and one server of it answers, for as long as this lasts."""
    kind = Kind(KIND, "Made up", "tests.servers.made_up:MadeUp", SETTINGS, traits)
    remote = Remote(traits, **how)
    with patch.dict(KINDS, {KIND: kind}), patch.dict(REMOTES, {"https://made.up": remote}):
        yield remote
