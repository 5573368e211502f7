"""What is done in the container for the addresses of a batch, beside the files: sessions are ended, mail is erased."""

from collections.abc import Sequence

from provision.core.errors import Unreachable
from provision.core.state import DeleteMailbox, Outcome, SetEnabled
from provision.core.texts import N_
from provision.servers.dms.docker_exec import Container, Ran
from provision.servers.dms.scripts import ERASE_MAIL, KICK

KICKED_AT_ONCE = 50  # beyond that the rebuild, some seconds later, ends the sessions
KEPT_BYTES = 64 << 20  # of the answer: it may tell something of each address


def end_sessions(container: Container, outcomes: Sequence[Outcome]) -> None:
    """Of those who may not log in any more."""
    disabled = [o.change.address for o in outcomes if isinstance(o.change, SetEnabled) and not o.change.enabled]
    if disabled:
        _run(container, KICK, disabled[:KICKED_AT_ONCE])


def erase_mail(container: Container, outcomes: Sequence[Outcome]) -> dict[int, Outcome]:
    """Where it is wanted; what could not be erased, by its place among the outcomes. Raises: Unreachable.

    Before the account goes, as `setup` does it: were it broken off afterwards, nobody would do it again.
    """
    places = {o.change.address: place for place, o in enumerate(outcomes) if _erases(o)}
    if not places:
        return {}
    ran = _run(container, ERASE_MAIL, list(places))
    if ran.exit_code:
        why = ran.errors[:200] or N_("not all addresses arrived")
        raise Unreachable(f"Mail in the container {container.name} cannot be erased: {why}.")
    left = {}
    for line in ran.output.splitlines():
        address, _, why = line.partition("\t")
        error = N_(f"The mail of {address} could not be erased, so the account stays: {why}.")
        left[places[address]] = Outcome(outcomes[places[address]].change, "", exit_code=1, error=error)
    return left


def _erases(outcome: Outcome) -> bool:
    return isinstance(outcome.change, DeleteMailbox) and outcome.change.erase_mail and not outcome.error


def _run(container: Container, script: str, addresses: Sequence[str]) -> Ran:
    lines = "".join(f"{address}\n" for address in addresses)
    argv = ["sh", "-c", script, "addresses", str(len(addresses))]
    return container.run(argv, lines.encode(), keep_bytes=KEPT_BYTES)
