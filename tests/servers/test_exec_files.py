"""The config volume under docker exec: others write it too, or nobody can; and no password is ever seen outside."""

import subprocess
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from provision.core.secret import Secret
from provision.core.state import Change, CreateMailbox, DeleteMailbox, SetAlias, SetEnabled, SetQuota
from provision.servers.dms import exec
from provision.servers.dms.docker_exec import Ran
from provision.servers.dms.exec import DmsExec
from tests.servers.faults import ANN, BATCH, HASH, Execs, Make, unreachable, written
from tests.servers.rig import ACCOUNTS, FOLDER, QUOTAS, ContainerRig, put_files

pytestmark = pytest.mark.engine


# ---- the files -----------------------------------------------------------------------------


def test_files_change_between_read_and_write(container: ContainerRig) -> None:
    container.put({ACCOUNTS: ANN})
    opened = cast(DmsExec, container.open())
    write = opened._write

    def somebody_is_quicker(*args: Any) -> Ran:
        opened._write = write  # type: ignore[method-assign]
        with (container.folder / ACCOUNTS).open("a") as file:
            file.write(f"cy@example.com|{HASH.reveal()}\n")
        return write(*args)

    opened._write = somebody_is_quicker  # type: ignore[method-assign]
    assert written(opened, BATCH) == [None, None]
    assert sorted(container.open().read().mailboxes) == ["ann@example.com", "bob@example.com", "cy@example.com"]


def test_files_change_all_the_time(container: ContainerRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exec, "TRIES", 3)
    container.put({ACCOUNTS: ANN})
    opened = cast(DmsExec, container.open())
    write = opened._write

    def somebody_is_always_quicker(*args: Any) -> Ran:
        with (container.folder / ACCOUNTS).open("a") as file:
            file.write("# again\n")
        return write(*args)

    opened._write = somebody_is_always_quicker  # type: ignore[method-assign]
    with unreachable("changed all the time"):
        written(opened, [SetEnabled("ann@example.com", False)])
    assert container.text(ACCOUNTS).startswith(ANN)


def test_a_text_that_does_not_arrive_whole_is_never_put_in_place(
    container: ContainerRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exec, "TRIES", 3)
    container.put({ACCOUNTS: ANN})
    opened = cast(DmsExec, container.open())
    run = opened.container.run
    opened.container.run = lambda argv, stdin=b"", **more: run(
        argv, stdin[:-20] + b"x" * 20 if stdin else stdin, **more
    )  # type: ignore[method-assign]
    with unreachable("changed all the time"):
        written(opened, BATCH)
    assert container.text(ACCOUNTS) == ANN


def test_two_dashboards_on_one_container_lose_no_line(container: ContainerRig) -> None:
    container.put({ACCOUNTS: ANN})
    failed: list[BaseException] = []

    def push(who: str) -> None:
        try:
            for n in range(6):
                batch: list[Change] = [CreateMailbox(f"{who}{n}{part}@example.com", HASH) for part in "xy"]
                assert written(container.open(), batch) == [None, None]
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=push, args=(who,)) for who in ("anna", "bert")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(container.open().read().mailboxes) == 1 + 2 * 6 * 2


def test_a_person_runs_setup_meanwhile_and_no_line_is_lost(container: ContainerRig) -> None:
    container.put({ACCOUNTS: ANN})
    adds = "for n in $(seq 30); do printf 'pass-word-%s\\n' 1 1 | setup email add hand$n@example.com; sleep 0.1; done"
    person = threading.Thread(target=lambda: container.run("bash", "-c", adds))
    person.start()
    for n in range(8):
        batch: list[Change] = [CreateMailbox(f"ours{n}{part}@example.com", HASH) for part in "xy"]
        assert written(container.open(), batch) == [None, None]
    person.join()
    found = container.open().read().mailboxes
    assert sum(address.startswith("ours") for address in found) == 16
    assert sum(address.startswith("hand") for address in found) == 30


def test_the_volume_is_read_only(new_container: Make, tmp_path: Path) -> None:
    put_files(tmp_path, {ACCOUNTS: ANN})
    one = new_container(volumes={str(tmp_path): {"bind": FOLDER, "mode": "ro"}})
    assert list(one.open().read().mailboxes) == ["ann@example.com"], "reading goes on"
    for changes in (BATCH, [SetQuota("ann@example.com", 1 << 20)]):
        with unreachable("read-only"):
            written(one.open(), changes)
    assert "read-only" in one.open().check()[0]


def test_the_volume_is_full(new_container: Make) -> None:
    one = new_container(volumes={}, tmpfs={FOLDER: "size=64k"})
    one.run("sh", "-c", f"echo '{ANN.strip()}' > {FOLDER}/{ACCOUNTS}")
    many: list[Change] = [CreateMailbox(f"user{n}@example.com", HASH) for n in range(1000)]
    with unreachable("No space left"):
        written(one.open(), many)
    assert list(one.open().read().mailboxes) == ["ann@example.com"]


def test_single_files_are_mounted(new_container: Make, tmp_path: Path) -> None:
    put_files(tmp_path, {ACCOUNTS: ANN})
    one = new_container(volumes={str(tmp_path / ACCOUNTS): {"bind": f"{FOLDER}/{ACCOUNTS}", "mode": "rw"}})
    with unreachable("single files are mounted", ACCOUNTS):
        written(one.open(), BATCH)
    assert "single files" in one.open().check()[0]


def test_accounts_are_kept_somewhere_else(new_container: Make) -> None:
    one = new_container(environment={"ACCOUNT_PROVISIONER": "LDAP"})
    with unreachable("LDAP"):
        one.open().read()
    assert "LDAP" in one.open().check()[0]


# ---- what is slow is done once -------------------------------------------------------------


def test_a_batch_of_a_thousand_is_one_read_and_three_writes(container: ContainerRig) -> None:
    container.put({ACCOUNTS: ANN})
    changes: list[Change] = [CreateMailbox(f"user{n}@example.com", HASH, 1 << 20) for n in range(700)]
    changes += [SetAlias(f"alias{n}@example.com", (f"user{n}@example.com",)) for n in range(300)]
    with Execs(container) as execs:
        assert written(container.open(), changes) == [None] * 1000
    assert len(execs.commands) == 4, [command[:80] for command in execs.commands]


def test_the_engine_never_sees_a_password_or_a_hash(container: ContainerRig) -> None:
    container.put({ACCOUNTS: ANN})
    plain = Secret("Plain-pass-word-7")
    with Execs(container) as execs:
        list(container.open().apply([CreateMailbox("bob@example.com", plain)]))
        list(container.open().apply([CreateMailbox("cy@example.com", HASH)]))
        list(container.open().apply([CreateMailbox("dan@example.com", plain), DeleteMailbox("cy@example.com")]))
    told = "\n".join(execs.commands)
    assert "setup email add bob@example.com" in told
    assert plain.reveal() not in told
    assert "$6$" not in told
    assert QUOTAS in told


def test_nothing_half_written_is_left_by_a_writer_that_was_killed(container: ContainerRig) -> None:
    container.put({ACCOUNTS: ANN, f"{ACCOUNTS}.abc123.postroom-new": "half"})
    leftover = container.folder / f"{ACCOUNTS}.abc123.postroom-new"
    subprocess.run(["touch", "-d", "10 minutes ago", str(leftover)], check=True)
    assert written(container.open(), BATCH) == [None, None]
    assert not leftover.exists()


# ---- mail ----------------------------------------------------------------------------------


def test_an_account_whose_mail_cannot_be_erased_stays(new_container: Make, tmp_path: Path) -> None:
    names = ("ann", "bob", "cy", "dan")
    put_files(tmp_path, {ACCOUNTS: "".join(f"{name}@example.com|{HASH.reveal()}\n" for name in names)})
    mail = "/var/mail/example.com"
    one = new_container(tmpfs={f"{mail}/ann/cur": ""})  # a mount point cannot be removed
    one.run("sh", "-c", f"mkdir -p {mail}/bob {mail}/cy && touch {mail}/ann/cur/1 {mail}/bob/1 {mail}/cy/1")
    gone, also, bare, kept = (
        DeleteMailbox("bob@example.com", erase_mail=True),
        DeleteMailbox("ann@example.com", erase_mail=True),
        DeleteMailbox("dan@example.com", erase_mail=True),
        DeleteMailbox("cy@example.com"),
    )
    outcomes = list(one.open().apply([gone, also, bare, kept]))
    assert [outcome.change for outcome in outcomes] == [gone, also, bare, kept]
    assert [outcome.error is None for outcome in outcomes] == [True, False, True, True]
    assert "The mail of ann@example.com could not be erased, so the account stays: rm: " in str(outcomes[1].error)
    assert list(one.open().read().mailboxes) == ["ann@example.com"]
    assert one.run("ls", mail).output.split() == ["ann", "cy"]


def test_an_address_that_names_no_folder_of_mail_keeps_its_account(container: ContainerRig) -> None:
    container.put({ACCOUNTS: ANN + f"o'neil@example.com|{HASH.reveal()}\n"})
    changes: list[Change] = [
        DeleteMailbox("o'neil@example.com", erase_mail=True),
        CreateMailbox("bob@example.com", HASH),
    ]
    error, none = written(container.open(), changes)
    assert none is None
    assert "o'neil@example.com could not be erased" in str(error)
    assert "o'neil@example.com|" in container.text(ACCOUNTS)
