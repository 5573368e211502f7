"""A push that is killed in the very moment of the exchange, while somebody writes: no line of theirs is lost."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from provision.core.state import CreateMailbox
from provision.servers.dms.files import DmsFiles
from tests.conftest import HASH

ACCOUNTS = "postfix-accounts.cf"
H = HASH.reveal()
OURS, THEIRS, OLD = f"ours@x.io|{H}\n", f"theirs@x.io|{H}\n", f"old@x.io|{H}\n"

# Runs a push. Python tells us of files that are opened or removed, and that `renameat2` is looked up, which is between
# the last look at the file and the exchange. `held` is the old file once it has been exchanged.
CHILD = """
import os, signal, sys
from pathlib import Path
from provision.core.secret import Secret
from provision.servers.dms.files import DmsFiles
from provision.core.state import CreateMailbox

path, act, moment, line, password = Path(sys.argv[1]), *sys.argv[2:]
opened, seen = path.open("ab", buffering=0), []

def hook(event, arguments):
    what = str(arguments[0]) if event in ("open", "os.remove") else ""
    if event == "ctypes.dlsym" and arguments[1] == "renameat2" and act == "rewrite":
        other = path.with_name("sed4hQ2x")  # as `sed -i` does
        other.write_text(line)
        other.rename(path)
    held = what.endswith(".postroom-old")
    carrying = what == str(path) and event == "open" and "a" in str(arguments[1] or "") and act != "rewrite"
    if event == "open" and held and "opened" not in seen:
        seen.append("opened")
        if act == "append":
            opened.write(line.encode())
    now = "removing" if event == "os.remove" and held else "looking" if held else "carrying" if carrying else ""
    if now == moment and (now != "carrying" or "opened" in seen):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
list(DmsFiles({"path": str(path.parent)}, 10).apply([CreateMailbox("ours@x.io", Secret(password))]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "moment"),
    [
        ("append", "looking"),
        ("append", "carrying"),
        ("append", "removing"),
        ("rewrite", "looking"),
        ("nothing", "looking"),
        ("nothing", "removing"),
    ],
)
def test_no_line_is_lost_when_a_push_is_killed(volume: Path, act: str, moment: str) -> None:
    (volume / ACCOUNTS).write_text(OLD)
    line = OLD + THEIRS if act == "rewrite" else THEIRS
    argv = [sys.executable, "-c", CHILD, str(volume / ACCOUNTS), act, moment, line, H]
    assert subprocess.run(argv, timeout=60).returncode == -signal.SIGKILL
    assert [path for path in volume.iterdir() if path.name.endswith(".postroom-old")], "killed in time"
    server = DmsFiles({"path": str(volume)}, 10)
    server.recover()
    assert THEIRS in (volume / ACCOUNTS).read_text() or act == "nothing"
    next(iter(server.apply([CreateMailbox("ours@x.io", HASH)])))
    held = (volume / ACCOUNTS).read_text().splitlines(keepends=True)
    assert sorted(held) == sorted([OLD, OURS] + ([] if act == "nothing" else [THEIRS]))
    assert {path.name for path in volume.iterdir()} == {ACCOUNTS, "dovecot-quotas.cf"}
