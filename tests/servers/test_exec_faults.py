"""When docker exec goes wrong: nothing is lost, the operator reads what it is, and nobody waits long."""

import multiprocessing
import os
import socket
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from provision.core.secret import Secret
from provision.core.state import SetPassword, SetQuota
from provision.servers.dms.docker_exec import Container
from provision.servers.dms.exec import DmsExec
from tests.servers.engine import Engine
from tests.servers.faults import ANN, AT_ONCE, BATCH, HASH, Make, Relay, after_first_write, unreachable, written
from tests.servers.rig import ACCOUNTS, FOLDER, VIRTUAL, ContainerRig
from tests.waiting import wait_for

pytestmark = pytest.mark.engine


def server(timeout_seconds: float = 60, **settings: Any) -> DmsExec:
    return DmsExec({"container": "mailserver", **settings}, timeout_seconds)


# ---- the engine ----------------------------------------------------------------------------


def test_no_socket(tmp_path: Path) -> None:
    opened = server(docker_host=f"unix://{tmp_path}/docker.sock")
    with unreachable("no Docker socket", str(tmp_path)):
        opened.read()
    assert "no Docker socket" in opened.check()[0]


def test_nobody_listens_on_the_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/docker.sock")
    with unreachable("refused"):
        server(docker_host=f"unix://{tmp_path}/docker.sock").read()
    with unreachable("refused"):
        server(docker_host="tcp://127.0.0.1:1").read()


@pytest.mark.parametrize(
    "address", ["tcp://host:port", "tcp://[::1", "tcp://127.0.0.1:99999", "ssh://me@host:x", "npipe://x", "engine"]
)
def test_what_is_no_address_of_an_engine(address: str) -> None:
    with unreachable("is no address", address):
        server(docker_host=address).read()
    assert "ssh://user@host" in server(docker_host=address).check()[0]


def test_engine_is_silent(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/docker.sock")
        listener.listen()
        with unreachable("did not answer within 1 seconds"):
            server(1, docker_host=f"unix://{tmp_path}/docker.sock").read()


def test_the_socket_belongs_to_others(engine: Engine) -> None:
    if os.getuid():
        pytest.skip("only root can become another user")
    answer: Any = multiprocessing.get_context("fork").Queue()
    child = multiprocessing.get_context("fork").Process(target=_read_as_nobody, args=(engine.host, answer))
    child.start()
    said = answer.get(timeout=AT_ONCE)
    child.join()
    assert "may not use the Docker socket" in said
    assert "group" in said


def _read_as_nobody(host: str, answer: Any) -> None:
    os.setgroups([])
    os.setuid(65534)
    answer.put(server(docker_host=host).check()[0])


def test_the_engine_goes_away_in_the_middle_of_a_batch(container: ContainerRig, tmp_path: Path) -> None:
    container.put({ACCOUNTS: ANN})
    with Relay(str(tmp_path / "relay.sock"), container.engine.host.removeprefix("unix://")) as relay:
        opened = cast(DmsExec, container.open(docker_host=f"unix://{relay.path}"))
        after_first_write(opened, relay.stop)
        with unreachable():
            written(opened, BATCH)
    assert "bob@example.com" in container.text(ACCOUNTS)
    assert container.text(VIRTUAL) == ""
    assert written(container.open(), BATCH) == [None, None], "the next push goes on where this one ended"
    assert len(container.open().read().mailboxes) == 2


# ---- the container -------------------------------------------------------------------------


def test_no_such_container(engine: Engine) -> None:
    opened = server(container="nosuch", docker_host=engine.host)
    with unreachable("no container nosuch"):
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


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("stop", ["is stopped", "docker start"]),
        ("pause", ["is paused", "docker unpause"]),
        ("remove", ["no container"]),
    ],
)
def test_container_cannot_run_anything(new_container: Make, act: str, words: list[str]) -> None:
    one = new_container()
    {"stop": lambda: one.container.stop(timeout=0), "pause": one.container.pause, "remove": one.remove}[act]()
    with unreachable(*words):
        one.open().read()
    assert words[0] in one.open().check()[0]
    if act == "pause":
        one.container.unpause()


def test_container_keeps_restarting(new_container: Make) -> None:
    one = new_container(command=["sh", "-c", "exit 3"], restart_policy={"Name": "always"})
    # Docker waits longer each time, so that after some restarts the state stays long enough to be met.
    wait_for(lambda: _restarts(one) >= 5 and one.container.status == "restarting", 60)
    with unreachable("keeps restarting", "exit code 3"):
        one.open().read()


def _restarts(one: ContainerRig) -> int:
    one.container.reload()
    return int(one.container.attrs["RestartCount"])


@pytest.mark.parametrize("act", ["remove", "kill"])
def test_container_goes_in_the_middle_of_a_batch(new_container: Make, act: str) -> None:
    one = new_container()
    one.put({ACCOUNTS: ANN})
    opened = cast(DmsExec, one.open())
    after_first_write(opened, one.remove if act == "remove" else one.container.kill)
    with unreachable(one.container.name):
        written(opened, BATCH)
    assert one.text(ACCOUNTS).startswith(ANN)
    assert one.text(VIRTUAL) == ""


def test_container_is_killed_while_a_command_runs(new_container: Make) -> None:
    one = new_container()
    threading.Thread(target=lambda: (_wait_for_process(one, "sleep 30"), one.container.kill()), daemon=True).start()
    with unreachable("broken off", "is stopped"):
        Container(one.settings, 60).run(["sleep", "30"])


def test_command_is_killed(container: ContainerRig) -> None:
    with unreachable("broken off", "137"):
        container.run("sh", "-c", "kill -9 $$")


def _wait_for_process(one: ContainerRig, text: str) -> None:
    wait_for(lambda: any(text in " ".join(row) for row in one.container.top()["Processes"]))


# ---- commands ------------------------------------------------------------------------------


def test_a_hanging_command_is_stopped_in_the_container_too(container: ContainerRig) -> None:
    with unreachable("did not finish within 1 seconds"):
        Container(container.settings, 1).run(["sleep", "4242"])
    assert not any("4242" in " ".join(row) for row in container.container.top()["Processes"])


def test_a_command_that_reads_nothing_does_not_hold_us_up(container: ContainerRig) -> None:
    with unreachable("did not finish"):
        Container(container.settings, 1).run(["sleep", "4242"], b"x" * (8 << 20))


def test_a_container_that_is_paused_during_a_command(new_container: Make) -> None:
    one = new_container()
    threading.Thread(target=lambda: (_wait_for_process(one, "sleep 30"), one.container.pause()), daemon=True).start()
    with unreachable("is paused"):
        Container(one.settings, 2).run(["sleep", "30"])
    one.container.unpause()


def test_megabytes_of_output_are_cut(container: ContainerRig) -> None:
    ran = container.run("sh", "-c", "head -c 30000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 5")
    assert (ran.exit_code, len(ran.stdout), len(ran.stderr)) == (5, 64 << 10, 64 << 10)


def test_setup_hangs(new_container: Make) -> None:
    one = _with_setup(new_container, "sleep 600")
    with unreachable("setup", "did not finish within 1 seconds"):
        written(one.open(1), [SetQuota("ann@example.com", 1 << 20)])


def test_setup_talks_for_megabytes_and_fails(new_container: Make) -> None:
    one = _with_setup(new_container, "yes | head -c 5000000; yes | head -c 5000000 >&2; exit 1")
    outcome = next(one.open().apply([SetQuota("ann@example.com", 1 << 20)]))
    assert outcome.exit_code == 1
    assert outcome.error
    assert len(outcome.stdout) <= 64 << 10
    assert len(outcome.stderr) <= 64 << 10


def test_setup_prints_a_hash_when_it_fails(new_container: Make) -> None:
    one = _with_setup(
        new_container, f'read -r p; echo "sed s/x/{HASH.reveal().replace("$", chr(92) + "$")}/ $p" >&2; exit 1'
    )
    outcome = next(one.open().apply([SetPassword("ann@example.com", Secret("Plain-pass-word-9"))]))
    assert outcome.error
    assert "$6$" not in repr(outcome)
    assert "Plain-pass-word-9" not in repr(outcome)


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
