"""A process of its own that pushes one server until it is done or killed; see test_crash.py."""

import sys
import time
from pathlib import Path
from typing import Any

from provision.app import open_postroom
from provision.servers.dms.files import DmsFiles
from provision.settings.config import Settings


class Noted(DmsFiles):
    """Notes when it begins and ends to hold the server, in a file of this process."""

    notes: Path

    def __init__(self, settings: Any, timeout_seconds: float) -> None:
        super().__init__(settings, timeout_seconds)
        self.began = time.monotonic_ns()
        time.sleep(0.01)

    def close(self) -> None:
        with self.notes.open("a") as file:
            file.write(f"{self.began} {time.monotonic_ns()}\n")


def open_app(database_url: str, data_dir: str) -> Any:
    settings = Settings(
        data_dir=Path(data_dir), database_url=database_url, retry_base_seconds=0.01, retry_cap_seconds=0.02
    )
    return open_postroom(settings, migrate=False)


def main(database_url: str, data_dir: str, server_id: str, notes: str = "", times: str = "1") -> None:
    """`times`: how often, but no more once there is a file `stop` beside the notes."""
    app = open_app(database_url, data_dir)
    if notes:
        Noted.notes = Path(notes)
        app.sync.open_kind = lambda kind, settings, timeout: Noted(settings, timeout)
    print("ready", flush=True)
    for _ in range(int(times)):
        if notes and Path(notes).with_name("stop").exists():
            break
        app.sync.push(int(server_id), ignore_backoff=True)
    app.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
