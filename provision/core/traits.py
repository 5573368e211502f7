"""What a kind of mail server can and costs, said by the kind: the core, sync, services and pages go by it.

Pure values. What a kind declares stands in its own folder in `provision.servers`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from provision.core.state import Resource

AddressRule = Callable[[Resource, str], str | None]
ALL_AT_ONCE = 1_000_000


class Feature(StrEnum):
    """What not every kind can."""

    QUOTA = "quota"
    MESSAGE_QUOTA = "message_quota"  # a limit on the number of messages
    DISABLE = "disable"  # no login, and mail is still taken
    ERASE_MAIL = "erase_mail"  # a mailbox can go together with its mail
    EXTERNAL_DESTINATIONS = "external_destinations"  # aliases to addresses on other servers
    CATCH_ALL = "catch_all"


USUAL = frozenset({Feature.QUOTA, Feature.DISABLE, Feature.EXTERNAL_DESTINATIONS, Feature.CATCH_ALL})


@dataclass(frozen=True, slots=True)
class Quiet:
    """How long changes are gathered after a write, from how many accounts on."""

    from_accounts: int = 0
    seconds: float = 0.0

    def seconds_for(self, accounts: int) -> float:
        return self.seconds if accounts >= self.from_accounts else 0.0


def any_address(resource: Resource, address: str) -> str | None:
    """What every address in stored form is allowed by: no kind has to say more."""
    return None


@dataclass(frozen=True, slots=True)
class Traits:
    """Of one kind.

    `password`: what a change carries. `takes_hash`: it may be a hash in Dovecot's notation, also for a kind that likes
    the plain one. `reads_password`: what `read` tells can be compared with a wanted password. `reads_some`:
    `read(keys)` costs less than reading all. `quota_step_bytes`: wanted and had are compared after rounding up.
    `address_rule`: why such an address cannot be made, or None; what is there already may be read more widely.
    `destination_rule`: why an alias cannot lead to such an address on another server; left out: as for an alias.
    `confirm_after_seconds`: after which an entry is looked at once more, because another writer on the server may have
    overwritten it; None where none can. `chunk`: changes in one call of `apply`, recorded together. `cost`: what a push
    costs people on the server, `catch_all_cost`: what it costs from a catch-all on, in a domain with many mailboxes.
    """

    password: Literal["hash", "plain"] = "hash"
    takes_hash: bool = True
    reads_password: bool = True
    reads_some: bool = False
    features: frozenset[Feature] = USUAL
    quota_step_bytes: int = 1
    address_rule: AddressRule = any_address
    destination_rule: Callable[[str], str | None] | None = None
    quiet: Quiet = Quiet()
    confirm_after_seconds: float | None = None
    chunk: int = ALL_AT_ONCE
    cost: str = ""
    catch_all_cost: str = ""

    def can(self, feature: Feature) -> bool:
        return feature in self.features

    def destination_refusal(self, address: str, *, is_ours: bool) -> str | None:
        """Why an alias cannot lead there. In a domain of ours it has to be an address that could be made."""
        if self.destination_rule is None or is_ours:
            return self.address_rule(Resource.ALIAS, address)
        return self.destination_rule(address)

    def quota(self, wanted_bytes: int) -> int:
        """As the kind can hold it: never less, and 0 (no limit) stays 0."""
        return -(-wanted_bytes // self.quota_step_bytes) * self.quota_step_bytes
