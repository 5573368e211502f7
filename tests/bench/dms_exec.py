"""docker exec beside the naive loop of `setup` calls, on the test image: `python -m tests.bench.dms_exec`.

The engine and the image are those of the tests (docs/testing.md). Naive means what a simple dashboard does: read by
`setup email list`, write by one `setup` call for each change. Both are measured in one run; what would take minutes
on a part, and scaled: the list, which asks Dovecot once for each account, from 100 accounts (its time is linear).
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from provision.core.passwords import hash_password
from provision.core.secret import Secret
from provision.core.state import Change, CreateMailbox, SetPassword
from provision.servers.protocol import MailServer
from tests.bench.world import few, table
from tests.servers.engine import Engine
from tests.servers.rig import ACCOUNTS, QUOTAS, ContainerRig
from tests.waiting import wait_for

HASH = hash_password(Secret("Some-pass-word-1"))
PLAIN = Secret("Other-pass-word-2")
NEW = few(1000)
LISTED = few(100)
TIMES = 5  # of which the median is told
SAMPLE = 20  # naive calls that are run, of those that would be needed


def main() -> None:
    with Engine() as engine:
        listing = _listing_seconds(engine)
        with tempfile.TemporaryDirectory(prefix="postroom-bench-") as folder:
            rig = ContainerRig(engine, Path(folder))
            rows = [
                row for accounts in (few(1_000), few(10_000)) for row in _reading_and_one_change(rig, accounts, listing)
            ]
            rows.append(_many_mailboxes(rig))
            rig.remove()
    table("docker exec on the test image", ["what", "accounts", "ours", "naive loop of setup", "factor"], rows)


def _listing_seconds(engine: Engine) -> float:
    """`setup email list` on a running server, per account."""
    with tempfile.TemporaryDirectory(prefix="postroom-bench-") as folder:
        rig = ContainerRig(engine, Path(folder), services=True)
        _fill(rig, LISTED)
        wait_for(lambda: rig.run("doveadm", "user", f"user{LISTED - 1}@example.com").exit_code == 0, 60)
        took = _seconds(lambda: rig.run("setup", "email", "list"))
        rig.remove()
        return took / LISTED


def _reading_and_one_change(rig: ContainerRig, accounts: int, listing: float) -> list[list[str]]:
    _fill(rig, accounts)
    opened = rig.open()
    read = _median(opened.read)
    change = _median(lambda: _delivered(rig.open(), SetPassword("user7@example.com", PLAIN)))
    hashes = iter([hash_password(PLAIN) for _ in range(TIMES)])  # another one each time, or nothing would be written
    by_file = _median(lambda: _delivered(rig.open(), SetPassword("user7@example.com", next(hashes))))
    naive = _median(lambda: _setup_update(rig)) + listing * accounts
    return [
        _row("snapshot: accounts, quotas, aliases", accounts, read, listing * accounts),
        _row("one change, read and read back, by setup", accounts, change, naive),
        _row("one change, read and read back, by file", accounts, by_file, naive),
    ]


def _many_mailboxes(rig: ContainerRig) -> list[str]:
    _fill(rig, 1)
    changes: list[Change] = [CreateMailbox(f"new{n}@example.com", HASH, 1 << 30) for n in range(NEW)]
    ours = _seconds(lambda: _delivered(rig.open(), *changes))
    _fill(rig, 1)
    naive = _seconds(lambda: [_setup_add(rig, n) for n in range(SAMPLE)]) * NEW / SAMPLE
    return _row(f"{NEW:,} new mailboxes with quota ({SAMPLE} naive ones run)", 1, ours, naive)


def _fill(rig: ContainerRig, accounts: int) -> None:
    lines = [f"user{n}@example.com|{HASH.reveal()}\n" for n in range(accounts)]
    rig.put({ACCOUNTS: "".join(lines), QUOTAS: "".join(f"user{n}@example.com:1024M\n" for n in range(accounts))})


def _delivered(opened: MailServer, *changes: Change) -> None:
    """As a push does it: read, apply, read back."""
    opened.read()
    assert not [outcome.error for outcome in opened.apply(changes) if outcome.error]
    opened.read()
    opened.close()


def _setup_update(rig: ContainerRig) -> None:
    rig.run("setup", "email", "update", "user7@example.com", stdin=f"{PLAIN.reveal()}\n".encode() * 2)


def _setup_add(rig: ContainerRig, number: int) -> None:
    rig.run("setup", "email", "add", f"new{number}@example.com", stdin=f"{PLAIN.reveal()}\n".encode() * 2)
    rig.run("setup", "quota", "set", f"new{number}@example.com", "1024M")


def _seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _median(act: Callable[[], object]) -> float:
    return sorted(_seconds(act) for _ in range(TIMES))[TIMES // 2]


def _row(what: str, accounts: int, ours: float, naive: float) -> list[str]:
    return [what, f"{accounts:,}", f"{ours:.2f} s", f"{naive:.2f} s", f"{naive / ours:.0f}×"]


if __name__ == "__main__":
    main()
