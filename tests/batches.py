"""How changes went to the mail servers: what was sent together."""

from collections.abc import Iterator, Sequence

from provision.bootstrap import Postroom
from provision.servers.dms_files import DmsFiles
from provision.state import Change, Outcome


def note_batches(app: Postroom) -> list[int]:
    """How many changes are in each batch that this product sends from now on."""
    batches: list[int] = []

    class Noting(DmsFiles):
        def apply(self, changes: Sequence[Change]) -> Iterator[Outcome]:
            batches.append(len(changes))
            return super().apply(changes)

    app.sync.open_kind = lambda kind, settings, timeout: Noting(settings, timeout)
    return batches
