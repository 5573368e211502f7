"""What a kind of mail server is: the protocol every kind speaks, what it may offer besides, and how it is listed."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from provision.core.state import Change, Key, LiveReport, Outcome, ServerState
from provision.core.traits import Traits
from provision.servers.setting import Setting


class MailServer(Protocol):
    """One mail server, opened for one push or read. Nothing is done before the first call."""

    @property
    def traits(self) -> Traits:
        """What this kind can and costs."""

    def recover(self) -> None:
        """Put right what a killed push has left; only the one push that may write asks. Raises: Unreachable."""

    def read(self, keys: Collection[Key] | None = None) -> ServerState:
        """What the server holds now. `keys`: where the kind reads some, only these need be told. Raises: Unreachable.

        An address is asked for as mailbox and as alias: one may stand in the way of the other.
        """

    def apply(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        """Carry out the batch and yield one Outcome per change, in order, as they happen.

        A change that is refused is an Outcome with `error`. Raises: Unreachable, when nothing more
        reaches the server; the changes not yet yielded may have been done or not: it is read again.
        """

    def check(self) -> list[str]:
        """What is wrong with the settings or the server, as sentences; empty when all is well."""

    def close(self) -> None:
        """Give back connections. Never raises."""


@runtime_checkable
class TellsLive(Protocol):
    """A kind that can say what only a running server knows."""

    def report(self) -> LiveReport:
        """Raises: MailServerError."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of mail server as the settings page and `server add` show it."""

    name: str
    label: str
    target: str  # "module:Class", imported when first used
    settings: tuple[Setting, ...]
    traits: Traits
