"""How changes went to the mail servers: what was sent together."""

from collections.abc import Iterator, Sequence

from provision.app import Postroom
from provision.core.state import Change, Outcome
from provision.servers.dms.files import DmsFiles


def note_batches(app: Postroom) -> list[int]:
    """How many changes are in each batch that this product sends from now on."""
    batches: list[int] = []

    class Noting(DmsFiles):
        def apply(self, changes: Sequence[Change]) -> Iterator[Outcome]:
            batches.append(len(changes))
            return super().apply(changes)

    app.sync.open_kind = lambda kind, settings, timeout: Noting(settings, timeout)
    return batches
