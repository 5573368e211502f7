"""When docker exec goes wrong: nothing is lost, the operator reads what it is, and nobody waits long."""

import multiprocessing
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from provision.errors import MailServerError, Unreachable
from provision.passwords import hash_password
from provision.secret import Secret
from provision.servers.dms_exec import DmsExec
from provision.servers.docker_exec import Container, Ran
from provision.state import Change, CreateMailbox, DeleteMailbox, SetAlias, SetEnabled, SetQuota
from tests.servers.engine import Engine
from tests.servers.rig import ACCOUNTS, FOLDER, QUOTAS, VIRTUAL, ContainerRig, put_files, wait_for

pytestmark = pytest.mark.engine
HASH = hash_password(Secret("Some-pass-word-1"))
ANN = f"ann@example.com|{HASH.reveal()}\n"
BATCH: list[Change] = [
    CreateMailbox("bob@example.com", HASH, 1 << 20),
    SetAlias("info@example.com", ("ann@example.com",)),
]
Make = Callable[..., ContainerRig]


@contextmanager
def unreachable(*words: str, within_seconds: float = 3) -> Iterator[None]:
    """The block must raise Unreachable with these words in its sentence, in time."""
    started = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        yield
    assert time.monotonic() - started < within_seconds
    assert all(word in caught.value.message for word in words), caught.value.message
    assert "Traceback" not in caught.value.message and "$6$" not in caught.value.message


def server(timeout_seconds: float = 10, **settings: Any) -> DmsExec:
    return DmsExec({"container": "mailserver", **settings}, timeout_seconds)


def written(opened: Any, changes: list[Change]) -> list[str | None]:
    return [outcome.error for outcome in opened.apply(changes)]


# ---- the engine ----------------------------------------------------------------------------


def test_no_socket(tmp_path: Path) -> None:
    opened = server(docker_host=f"unix://{tmp_path}/docker.sock")
    with unreachable("no Docker socket", str(tmp_path), within_seconds=1):
        opened.read()
    assert "no Docker socket" in opened.check()[0]


def test_nobody_listens_on_the_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/docker.sock")
    with unreachable("refused", within_seconds=1):
        server(docker_host=f"unix://{tmp_path}/docker.sock").read()
    with unreachable("refused", within_seconds=1):
        server(docker_host="tcp://127.0.0.1:1").read()


def test_engine_is_silent(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/docker.sock")
        listener.listen()
        with unreachable("did not answer within 1 seconds", within_seconds=3):
            server(1, docker_host=f"unix://{tmp_path}/docker.sock").read()


def test_the_socket_belongs_to_others(engine: Engine) -> None:
    if os.getuid():
        pytest.skip("only root can become another user")
    answer: Any = multiprocessing.get_context("fork").Queue()
    child = multiprocessing.get_context("fork").Process(target=_read_as_nobody, args=(engine.host, answer))
    child.start()
    said = answer.get(timeout=20)
    child.join()
    assert "may not use the Docker socket" in said and "group" in said


def _read_as_nobody(host: str, answer: Any) -> None:
    os.setgroups([])
    os.setuid(65534)
    answer.put(server(docker_host=host).check()[0])


def test_ssh_without_its_package_says_what_is_missing() -> None:
    pytest.importorskip("docker")
    try:
        import paramiko  # noqa: F401
    except ImportError:
        with unreachable("paramiko"):
            server(docker_host="ssh://nobody@localhost").read()


def test_the_engine_goes_away_in_the_middle_of_a_batch(container: ContainerRig, tmp_path: Path) -> None:
    container.put({ACCOUNTS: ANN})
    with Relay(str(tmp_path / "relay.sock"), container.engine.host.removeprefix("unix://")) as relay:
        opened = cast(DmsExec, container.open(docker_host=f"unix://{relay.path}"))
        _after_first_write(opened, relay.stop)
        with unreachable():
            written(opened, BATCH)
    assert "bob@example.com" in container.text(ACCOUNTS) and container.text(VIRTUAL) == ""
    assert written(container.open(), BATCH) == [None, None], "the next push goes on where this one ended"
    assert len(container.open().read().mailboxes) == 2


class Relay:
    """A socket in front of the engine's, to be cut off at will."""

    def __init__(self, path: str, target: str) -> None:
        self.path, self.target = path, target
        self._ends: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> "Relay":
        self._listener.bind(self.path)
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        Path(self.path).unlink(missing_ok=True)
        for end in (self._listener, *self._ends):
            end.close()

    def _accept(self) -> None:
        try:
            while True:
                client, _ = self._listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self.target)
                self._ends += [client, engine]
                for source, sink in ((client, engine), (engine, client)):
                    threading.Thread(target=_copy, args=(source, sink), daemon=True).start()
        except OSError:
            return


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(65536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def _after_first_write(opened: DmsExec, act: Callable[[], object]) -> None:
    """Let something happen right after the first file of a batch was written."""
    write = opened._write

    def write_then_act(*args: Any) -> Ran:
        ran = write(*args)
        opened._write = write  # type: ignore[method-assign]
        act()
        return ran

    opened._write = write_then_act  # type: ignore[method-assign]


# ---- the container -------------------------------------------------------------------------


def test_no_such_container(engine: Engine) -> None:
    opened = server(container="nosuch", docker_host=engine.host)
    with unreachable("no container nosuch", within_seconds=1):
        opened.read()
    assert "no container nosuch" in opened.check()[0]


def test_a_container_is_found_by_its_label(new_container: Make) -> None:
    one = new_container(labels={"mail.test": "one"})
    one.put({ACCOUNTS: ANN})
    assert list(one.open(container="mail.test=one").read().mailboxes) == ["ann@example.com"]
    with unreachable("there is none"):
        one.open(container="mail.test=two").read()
    other = new_container(labels={"mail.test": "one"})
    with unreachable(one.container.name, other.container.name):
        one.open(container="mail.test=one").read()


@pytest.mark.parametrize("act, words", [
    ("stop", ["is stopped", "docker start"]),
    ("pause", ["is paused", "docker unpause"]),
    ("remove", ["no container"]),
])  # fmt: skip
def test_container_cannot_run_anything(new_container: Make, act: str, words: list[str]) -> None:
    one = new_container()
    {"stop": lambda: one.container.stop(timeout=0), "pause": one.container.pause, "remove": one.remove}[act]()
    with unreachable(*words, within_seconds=1):
        one.open().read()
    assert words[0] in one.open().check()[0]
    if act == "pause":
        one.container.unpause()


def test_container_keeps_restarting(new_container: Make) -> None:
    one = new_container(command=["sh", "-c", "exit 3"], restart_policy={"Name": "always"})
    wait_for(lambda: (one.container.reload(), one.container.status)[1] == "restarting")
    with unreachable("keeps restarting", "exit code 3"):
        one.open().read()


@pytest.mark.parametrize("act", ["remove", "kill"])
def test_container_goes_in_the_middle_of_a_batch(new_container: Make, act: str) -> None:
    one = new_container()
    one.put({ACCOUNTS: ANN})
    opened = cast(DmsExec, one.open())
    _after_first_write(opened, one.remove if act == "remove" else one.container.kill)
    with unreachable(one.container.name):
        written(opened, BATCH)
    assert one.text(ACCOUNTS).startswith(ANN) and one.text(VIRTUAL) == ""


def test_container_is_killed_while_a_command_runs(new_container: Make) -> None:
    one = new_container()
    threading.Thread(target=lambda: (_wait_for_process(one, "sleep 30"), one.container.kill()), daemon=True).start()
    with unreachable("broken off", "is stopped", within_seconds=10):
        Container(one.settings, 20).run(["sleep", "30"])


def test_command_is_killed(container: ContainerRig) -> None:
    with unreachable("broken off", "137"):
        container.run("sh", "-c", "kill -9 $$")


def _wait_for_process(one: ContainerRig, text: str) -> None:
    wait_for(lambda: any(text in " ".join(row) for row in one.container.top()["Processes"]))


# ---- commands ------------------------------------------------------------------------------


def test_a_hanging_command_is_stopped_in_the_container_too(container: ContainerRig) -> None:
    with unreachable("did not finish within 1 seconds", within_seconds=5):
        Container(container.settings, 1).run(["sleep", "4242"])
    assert not any("4242" in " ".join(row) for row in container.container.top()["Processes"])


def test_a_command_that_reads_nothing_does_not_hold_us_up(container: ContainerRig) -> None:
    with unreachable("did not finish", within_seconds=8):
        Container(container.settings, 1).run(["sleep", "4242"], b"x" * (8 << 20))


def test_a_container_that_is_paused_during_a_command(new_container: Make) -> None:
    one = new_container()
    threading.Thread(target=lambda: (_wait_for_process(one, "sleep 30"), one.container.pause()), daemon=True).start()
    with unreachable("is paused", within_seconds=10):
        Container(one.settings, 2).run(["sleep", "30"])
    one.container.unpause()


def test_megabytes_of_output_are_cut(container: ContainerRig) -> None:
    ran = container.run("sh", "-c", "head -c 30000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 5")
    assert (ran.exit_code, len(ran.stdout), len(ran.stderr)) == (5, 64 << 10, 64 << 10)


def test_setup_hangs(new_container: Make) -> None:
    one = _with_setup(new_container, "sleep 600")
    with unreachable("setup", "did not finish within 1 seconds", within_seconds=6):
        written(one.open(1), [SetQuota("ann@example.com", 1 << 20)])


def test_setup_talks_for_megabytes_and_fails(new_container: Make) -> None:
    one = _with_setup(new_container, "yes | head -c 5000000; yes | head -c 5000000 >&2; exit 1")
    outcome = next(one.open().apply([SetQuota("ann@example.com", 1 << 20)]))
    assert outcome.exit_code == 1 and outcome.error and len(outcome.stdout) <= 64 << 10 and len(outcome.stderr) <= 64 << 10


def test_setup_prints_a_hash_when_it_fails(new_container: Make) -> None:
    one = _with_setup(new_container, f"read -r p; echo \"sed s/x/{HASH.reveal().replace('$', chr(92) + '$')}/ $p\" >&2; exit 1")
    from provision.state import SetPassword

    outcome = next(one.open().apply([SetPassword("ann@example.com", Secret("Plain-pass-word-9"))]))
    assert outcome.error and "$6$" not in repr(outcome) and "Plain-pass-word-9" not in repr(outcome)


def test_a_container_that_is_no_docker_mailserver(new_container: Make) -> None:
    one = new_container(volumes={})
    with unreachable(FOLDER):
        one.open().read()
    other = _with_setup(new_container, "exit 127")
    with unreachable("not a docker-mailserver"):
        written(other.open(), [SetQuota("ann@example.com", 1 << 20)])


def _with_setup(new_container: Make, script: str) -> ContainerRig:
    one = new_container()
    one.put({ACCOUNTS: ANN})
    text = f"#!/bin/bash\n{script}\n".encode()
    one.run("sh", "-c", 'head -c "$1" > /usr/local/bin/setup', "put", str(len(text)), stdin=text)
    return one


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


def test_files_change_all_the_time(container: ContainerRig) -> None:
    container.put({ACCOUNTS: ANN})
    opened = cast(DmsExec, container.open())
    write = opened._write

    def somebody_is_always_quicker(*args: Any) -> Ran:
        with (container.folder / ACCOUNTS).open("a") as file:
            file.write("# again\n")
        return write(*args)

    opened._write = somebody_is_always_quicker  # type: ignore[method-assign]
    with unreachable("changed all the time", within_seconds=20):
        written(opened, [SetEnabled("ann@example.com", False)])
    assert container.text(ACCOUNTS).startswith(ANN)


def test_a_text_that_does_not_arrive_whole_is_never_put_in_place(container: ContainerRig) -> None:
    container.put({ACCOUNTS: ANN})
    opened = cast(DmsExec, container.open())
    run = opened.container.run
    opened.container.run = lambda argv, stdin=b"", **more: run(argv, stdin[:-20] + b"x" * 20 if stdin else stdin, **more)  # type: ignore[method-assign]
    with unreachable("changed all the time", within_seconds=20):
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
    adds = "for n in $(seq 40); do printf 'pass-word-%s\\n' 1 1 | setup email add hand$n@example.com; done"
    person = threading.Thread(target=lambda: container.run("bash", "-c", adds))
    person.start()
    for n in range(8):
        batch: list[Change] = [CreateMailbox(f"ours{n}{part}@example.com", HASH) for part in "xy"]
        assert written(container.open(), batch) == [None, None]
    person.join()
    found = container.open().read().mailboxes
    assert sum(address.startswith("ours") for address in found) == 16
    assert sum(address.startswith("hand") for address in found) == 40


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
    assert plain.reveal() not in told and "$6$" not in told
    assert QUOTAS in told


class Execs:
    """What the engine announces of execs in a container, as anybody with its socket can see it."""

    def __init__(self, one: ContainerRig) -> None:
        self.one = one
        self.commands: list[str] = []

    def __enter__(self) -> "Execs":
        self._since = time.time()
        return self

    def __exit__(self, *_: object) -> None:
        filters = {"container": self.one.container.id, "event": "exec_create"}
        told = self.one.engine.client.api.events(since=f"{self._since:.6f}", until=f"{time.time():.6f}", filters=filters, decode=True)
        self.commands = [event["Action"] for event in told]


def test_nothing_half_written_is_left_by_a_writer_that_was_killed(container: ContainerRig) -> None:
    container.put({ACCOUNTS: ANN, f"{ACCOUNTS}.abc123.postroom-new": "half"})
    leftover = container.folder / f"{ACCOUNTS}.abc123.postroom-new"
    subprocess.run(["touch", "-d", "10 minutes ago", str(leftover)], check=True)
    assert written(container.open(), BATCH) == [None, None]
    assert not leftover.exists()


def test_errors_of_a_kind_are_the_product_s_own() -> None:
    assert issubclass(Unreachable, MailServerError)
