"""One process of the product, as `endure` starts it: a web replica or a worker that notes when it writes.

python -m tests.bench.replica web PORT NOTES
python -m tests.bench.replica worker NOTES
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from provision.app import open_postroom
from provision.cli import main as command_line
from provision.core.state import Change, Outcome
from provision.servers.dms.files import DmsFiles
from provision.sync.engine import Sync
from webui.http import running


class NotedFiles(DmsFiles):
    """Says when it begins and ends to write: a line with its process, the moment and which of both."""

    notes: Path

    def apply(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        self._note("begin")
        try:
            yield from super().apply(changes)
        finally:
            self._note("end")

    def _note(self, what: str) -> None:
        line = f"{os.getpid()} {time.monotonic_ns()} {what}\n".encode()
        handle = os.open(self.notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, line)
        os.close(handle)


def open_noted(kind: str, settings: dict[str, Any], timeout_seconds: float) -> NotedFiles:
    return NotedFiles(settings, timeout_seconds)


def main(role: str, *arguments: str) -> None:
    NotedFiles.notes = Path(arguments[-1])
    Sync.__init__.__defaults__ = (open_noted,)  # type: ignore[misc]
    if role == "worker":
        sys.exit(command_line(["worker"]))
    running.use(open_postroom())
    uvicorn.run("dashboard:app", host="127.0.0.1", port=int(arguments[0]), log_level="warning", ws="none")


if __name__ == "__main__":
    main(*sys.argv[1:])
