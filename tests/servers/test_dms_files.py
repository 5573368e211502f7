"""The config volume as a folder of the real machine: writers beside us, rights, faults."""

import multiprocessing
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from provision.core.errors import Unreachable
from provision.core.state import Change, CreateMailbox, MailboxState, Outcome, SetAlias, SetPassword, SetQuota
from provision.servers.dms.files import DmsFiles
from tests.conftest import HASH, OTHER_HASH

ACCOUNTS, VIRTUAL, QUOTAS = "postfix-accounts.cf", "postfix-virtual.cf", "dovecot-quotas.cf"
H, O = HASH.reveal(), OTHER_HASH.reveal()  # noqa: E741
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="Only root may mount file systems and give files away.")


def apply(folder: Path, *changes: Change) -> list[Outcome]:
    server = DmsFiles({"path": str(folder)}, 10)
    server.recover()
    return list(server.apply(changes))


def text(folder: Path, name: str = ACCOUNTS) -> str:
    return (folder / name).read_text()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ---- what stays ----------------------------------------------------------------------------


@ROOT_ONLY
def test_it_keeps_owner_and_mode(volume: Path, write_volume: Callable[..., None]) -> None:
    write_volume(f"a@x.io|{H}\n")
    os.chown(volume / ACCOUNTS, 1234, 5678)
    (volume / ACCOUNTS).chmod(0o640)
    apply(volume, CreateMailbox("b@x.io", OTHER_HASH))
    status = (volume / ACCOUNTS).stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1234, 5678, 0o640)
    assert text(volume) == f"a@x.io|{H}\nb@x.io|{O}\n"


@ROOT_ONLY
def test_it_gives_a_new_file_to_the_owner_of_the_folder(volume: Path) -> None:
    os.chown(volume, 1234, 5678)
    apply(volume, CreateMailbox("a@x.io", HASH))
    status = (volume / ACCOUNTS).stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1234, 5678, 0o644)


def test_it_writes_only_the_files_that_change(volume: Path, write_volume: Callable[..., None]) -> None:
    write_volume(f"a@x.io|{H}\n", "s@x.io a@x.io\n", "a@x.io:0\n")
    before = {name: (volume / name).stat() for name in (ACCOUNTS, VIRTUAL, QUOTAS)}
    apply(volume, SetQuota("a@x.io", 5 << 20))
    changed = {name for name, status in before.items() if (volume / name).stat().st_ino != status.st_ino}
    assert changed == {QUOTAS}


def test_it_writes_nothing_that_is_so_already(volume: Path, write_volume: Callable[..., None]) -> None:
    write_volume(f"a@x.io|{H}\n", "s@x.io a@x.io\n", "a@x.io:5M\n")
    before = {name: (volume / name).stat() for name in (ACCOUNTS, VIRTUAL, QUOTAS)}
    apply(volume, CreateMailbox("a@x.io", HASH, 5 << 20), SetQuota("a@x.io", 5 << 20), SetAlias("s@x.io", ("a@x.io",)))
    for name, status in before.items():
        assert (volume / name).stat().st_mtime_ns == status.st_mtime_ns


def test_it_leaves_other_files_of_the_folder_alone(volume: Path) -> None:
    (volume / "postfix-accounts.cf.bak").write_text("kept")
    (volume / "sedAbCdEf").write_text("kept")
    (volume / "check-for-changes.sh.lock").write_text("uuid")
    apply(volume, CreateMailbox("a@x.io", HASH))
    assert names(volume) == {"postfix-accounts.cf.bak", "sedAbCdEf", "check-for-changes.sh.lock", ACCOUNTS, QUOTAS}


def test_it_removes_what_a_killed_push_left_half_written(volume: Path, write_volume: Callable[..., None]) -> None:
    write_volume(f"a@x.io|{H}\n")
    (volume / f"{ACCOUNTS}.abc123.postroom-new").write_text(f"a@x.io|{H}\nb@x")
    (volume / f"{QUOTAS}.def456.postroom-new").write_text("")
    apply(volume, CreateMailbox("b@x.io", OTHER_HASH))
    assert names(volume) == {ACCOUNTS, VIRTUAL, QUOTAS}
    assert text(volume) == f"a@x.io|{H}\nb@x.io|{O}\n"


# ---- odd folders and files -----------------------------------------------------------------


def test_it_reads_an_empty_folder_as_an_empty_server(volume: Path) -> None:
    state = DmsFiles({"path": str(volume)}, 10).read()
    assert (dict(state.mailboxes), dict(state.aliases), list(state.unmanageable)) == ({}, {}, [])


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\xff\xfe\x00garbage\x00", b"\r\n\r\n", b"|||\n:::\n@@@\n", b"a@x.io"]
)
def test_it_lives_with_garbage_and_keeps_it(volume: Path, content: bytes) -> None:
    for name in (ACCOUNTS, VIRTUAL, QUOTAS):
        (volume / name).write_bytes(content)
    apply(volume, CreateMailbox("b@x.io", HASH, 5 << 20), SetAlias("s@x.io", ("b@x.io",)))
    state = DmsFiles({"path": str(volume)}, 10).read()
    assert state.mailboxes["b@x.io"] == MailboxState(HASH, 5 << 20)
    assert state.aliases["s@x.io"].destinations == ("b@x.io",)
    for name in (ACCOUNTS, VIRTUAL, QUOTAS):
        assert (volume / name).read_bytes().startswith(content)


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.write_text("a file")])
def test_a_missing_folder_is_an_unreachable_server(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "nowhere"
    make(path)
    server = DmsFiles({"path": str(path)}, 10)
    with pytest.raises(Unreachable, match="no folder"):
        server.read()
    with pytest.raises(Unreachable, match="no folder"):
        list(server.apply([CreateMailbox("a@x.io", HASH)]))
    assert len(server.check()) == 1


def test_a_folder_in_place_of_a_file_is_an_unreachable_server(volume: Path) -> None:
    (volume / ACCOUNTS).mkdir()
    with pytest.raises(Unreachable, match="cannot be read"):
        DmsFiles({"path": str(volume)}, 10).read()


def test_an_empty_server_is_pointed_out_by_the_check(volume: Path) -> None:
    (sentence,) = DmsFiles({"path": str(volume)}, 10).check()
    assert "wrong folder" in sentence


# ---- faults --------------------------------------------------------------------------------


@contextmanager
def mounted(*arguments: str, target: Path) -> Iterator[None]:
    if subprocess.run(["mount", *arguments, str(target)], capture_output=True).returncode:
        pytest.skip("This machine does not let a test mount a file system.")
    try:
        yield
    finally:
        subprocess.run(["umount", str(target)], check=True)


@ROOT_ONLY
def test_it_refuses_a_file_that_is_mounted_by_itself(
    volume: Path, tmp_path: Path, write_volume: Callable[..., None]
) -> None:
    write_volume(f"a@x.io|{H}\n")
    outside = tmp_path / "single.cf"
    outside.write_text(f"a@x.io|{H}\n")
    with mounted("--bind", str(outside), target=volume / ACCOUNTS):
        (sentence,) = DmsFiles({"path": str(volume)}, 10).check()
        assert "mount the whole folder" in sentence
        with pytest.raises(Unreachable, match="mounted as a single file"):
            apply(volume, CreateMailbox("b@x.io", OTHER_HASH))
        assert "a@x.io" in DmsFiles({"path": str(volume)}, 10).read().mailboxes
        assert text(volume) == f"a@x.io|{H}\n"


@ROOT_ONLY
def test_a_read_only_folder_is_a_sentence_and_nothing_changes(volume: Path) -> None:
    with mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs", target=volume):
        (volume / ACCOUNTS).write_text(f"a@x.io|{H}\n")
        subprocess.run(["mount", "-o", "remount,ro", str(volume)], check=True)
        before = contents(volume)
        with pytest.raises(Unreachable, match="cannot be written"):
            apply(volume, CreateMailbox("b@x.io", OTHER_HASH))
        assert len(DmsFiles({"path": str(volume)}, 10).check()) == 1
        assert contents(volume) == before


@ROOT_ONLY
@pytest.mark.parametrize("options", ["size=8k", "size=1m,nr_inodes=3"], ids=["no room", "no names left"])
def test_a_full_disk_is_a_sentence_and_nothing_changes(volume: Path, options: str) -> None:
    with mounted("-t", "tmpfs", "-o", options, "tmpfs", target=volume):
        for name in (ACCOUNTS, QUOTAS):
            (volume / name).write_text("")
        (volume / ACCOUNTS).write_text(f"a@x.io|{H}\n")
        before = contents(volume)
        with pytest.raises(Unreachable, match=r"No space left.*Nothing in it was lost"):
            apply(volume, *(CreateMailbox(f"b{n}@x.io", OTHER_HASH) for n in range(100)))
        assert contents(volume) == before


# ---- writers beside us ---------------------------------------------------------------------


def append(path: str, lines: Sequence[str], pause: float = 0.001) -> None:
    """As `setup email add` does: `>>` for each line."""
    for line in lines:
        with open(path, "ab", buffering=0) as file:
            file.write(line.encode() + b"\n")
        time.sleep(random.random() * pause)


def append_by_shell(path: str, lines: Sequence[str]) -> None:
    for line in lines:
        subprocess.run(["sh", "-c", 'printf "%s\\n" "$2" >>"$1"', "sh", path, line], check=True)


def replace_by_sed(path: str, address: str, times: int) -> None:
    """As `setup email update` does: sed writes a copy and renames it over the file."""
    for number in range(times):
        subprocess.run(["sed", "-i", f"s#^{address}|.*#{address}|{H}|n={number}#", path], check=True)


def push_until_held(folder: Path, changes: Sequence[Change]) -> None:
    """Pushes as sync does: read back, and send again what another writer has lost."""
    for _ in range(30):
        held = DmsFiles({"path": str(folder)}, 10).read().mailboxes
        wanting = [change for change in changes if change.address not in held]
        if not wanting:
            return
        apply(folder, *wanting)


def running(target: Callable[..., None], *arguments: object) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


@pytest.mark.parametrize("writer", [append, append_by_shell])
def test_no_line_of_processes_that_append_is_ever_lost(volume: Path, writer: Callable[..., None]) -> None:
    (volume / ACCOUNTS).write_text(f"a@x.io|{H}\n")
    count = 1000 if writer is append else 200
    theirs = [[f"p{p}-{n}@x.io|{O}" for n in range(count)] for p in range(2)]
    writers = [running(writer, str(volume / ACCOUNTS), lines) for lines in theirs]
    ours = 0
    while any(process.is_alive() for process in writers):
        try:
            apply(volume, CreateMailbox(f"ours-{ours}@x.io", HASH))
            ours += 1
        except Unreachable:  # twenty tries, and each time somebody was quicker
            continue
    for process in writers:
        process.join()
    held = text(volume).splitlines()
    assert len(held) == len(set(held))
    assert set(held) == {f"a@x.io|{H}", *theirs[0], *theirs[1], *(f"ours-{n}@x.io|{H}" for n in range(ours))}


def test_no_line_of_threads_that_append_is_ever_lost(volume: Path) -> None:
    (volume / ACCOUNTS).write_text(f"a@x.io|{H}\n")
    theirs = [[f"t{t}-{n}@x.io|{O}" for n in range(50)] for t in range(3)]
    threads = [threading.Thread(target=append, args=(str(volume / ACCOUNTS), lines, 0.02)) for lines in theirs]
    for thread in threads:
        thread.start()
    for number in range(20):
        apply(volume, CreateMailbox(f"ours-{number}@x.io", HASH))
    for thread in threads:
        thread.join()
    held = DmsFiles({"path": str(volume)}, 10).read().mailboxes
    assert held.keys() >= {line.partition("|")[0] for lines in theirs for line in lines}
    assert held.keys() >= {f"ours-{number}@x.io" for number in range(20)}


def test_what_sed_overwrites_of_ours_comes_back_and_nothing_of_theirs_is_lost(volume: Path) -> None:
    (volume / ACCOUNTS).write_text(f"theirs@x.io|{H}\n")
    changes = [CreateMailbox(f"ours-{n}@x.io", HASH) for n in range(40)]
    sed = running(replace_by_sed, str(volume / ACCOUNTS), "theirs@x.io", 60)
    for change in changes:
        apply(volume, change)
    sed.join()
    push_until_held(volume, changes)
    lines = text(volume).splitlines()
    assert f"theirs@x.io|{H}|n=59" in lines
    assert sorted(line for line in lines if "ours" in line) == sorted(f"ours-{n}@x.io|{H}" for n in range(40))


def test_it_edits_the_text_that_was_written_meanwhile(volume: Path) -> None:
    """A server object that has read the file once writes to what is there now."""
    (volume / ACCOUNTS).write_text(f"a@x.io|{H}\n")
    server = DmsFiles({"path": str(volume)}, 10)
    server.read()
    (volume / ACCOUNTS).write_text(f"b@x.io|{H}\na@x.io|{H}|fail=y\n")
    list(server.apply([SetPassword("a@x.io", OTHER_HASH)]))
    assert text(volume) == f"b@x.io|{H}\na@x.io|{O}|fail=y\n"


def test_readers_never_see_half_a_file(volume: Path) -> None:
    """docker-mailserver reads whenever it likes; each look must find every old account."""
    (volume / ACCOUNTS).write_text("".join(f"u{n}@x.io|{H}\n" for n in range(2000)))
    done = threading.Event()
    short: list[int] = []

    def look() -> None:
        while not done.is_set():
            if (found := text(volume).count("\n")) < 2000:
                short.append(found)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(25):
        apply(volume, CreateMailbox(f"new-{number}@x.io", HASH))
    done.set()
    reader.join()
    assert short == []
