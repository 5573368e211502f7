"""What one create by the API goes through: files, functions and calls of the product, and how often the server's files
are read: `python -m tests.bench.trace`, with `--each` every function by its file."""

import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from provision.services.tokens import SCOPES
from tests.api.conftest import client
from tests.bench.world import ADMIN, fill, products, table, volume

ROOT = Path(__file__).parents[2]
PRODUCT = tuple(f"{ROOT}/{name}/" for name in ("api", "provision"))
NEW = {"email": "new{}@corp01.example", "password": "Correct-Horse-1"}


class Trace:
    """Every call of a function of the product, in all threads, and every opening of a file in `watched`."""

    def __init__(self, watched: Path) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.reads: Counter[str] = Counter()
        self.watched = str(watched)
        self.active = False
        sys.addaudithook(self.note_open)

    def note_call(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if (
            event == "call"
            and self.active
            and code.co_filename.startswith(PRODUCT)
            and not code.co_name.startswith("<")
        ):
            self.calls[code.co_filename.removeprefix(f"{ROOT}/"), code.co_qualname] += 1

    def note_open(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.active and event == "open" and str(arguments[0]).startswith(self.watched):
            mode = arguments[1] or ""
            if "w" not in mode and "a" not in mode and arguments[2] & 3 == 0:
                self.reads[Path(str(arguments[0])).name] += 1


def main() -> None:
    with products() as make:
        app = make("sqlite")
        fill(app, 1_000, 500, synced=True)
        _row, token = app.services.tokens.create(ADMIN, "trace", SCOPES)
        headers = {"Authorization": f"Bearer {token.reveal()}"}
        trace = Trace(volume(app))
        threading.setprofile(trace.note_call)
        sys.setprofile(trace.note_call)
        with client(app) as http:
            for number in range(2):  # the first finds nothing imported yet
                trace.active = number == 1
                new = {**NEW, "email": NEW["email"].format(number)}
                answer = http.post("/api/provision/mailboxes", json=new, headers=headers)
                assert answer.json()["syncStatus"] == "SYNCED", answer.text
            trace.active = False
        sys.setprofile(None)
    tell(trace)


def tell(trace: Trace) -> None:
    files = {file for file, _ in trace.calls}
    row = [
        str(len(files)),
        str(len(trace.calls)),
        str(sum(trace.calls.values())),
        str(trace.reads.get("postfix-accounts.cf", 0)),
    ]
    table("One create by the API, delivered", ["files", "functions", "calls", "readings of the accounts"], [row])
    if "--each" in sys.argv:
        for (file, function), times in sorted(trace.calls.items()):
            print(f"{file:45} {function:55} {times}")
        print(dict(trace.reads))


if __name__ == "__main__":
    main()
