"""What the tests of docker exec's faults share: the sentence that must come, a socket to cut, what the engine saw."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from provision.core.errors import Unreachable
from provision.core.passwords import hash_password
from provision.core.secret import Secret
from provision.core.state import Change, CreateMailbox, SetAlias
from provision.servers.dms.docker_exec import Ran
from provision.servers.dms.exec import DmsExec
from tests.servers.rig import ContainerRig

HASH = hash_password(Secret("Some-pass-word-1"))
ANN = f"ann@example.com|{HASH.reveal()}\n"
BATCH: list[Change] = [
    CreateMailbox("bob@example.com", HASH, 1 << 20),
    SetAlias("info@example.com", ("ann@example.com",)),
]
Make = Callable[..., ContainerRig]
AT_ONCE = 20  # seconds: far from the 60 that the rig is patient, with room for a busy machine


@contextmanager
def unreachable(*words: str) -> Iterator[None]:
    """The block must raise Unreachable with these words in its sentence, without sitting out a minute's patience."""
    started = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        yield
    assert time.monotonic() - started < AT_ONCE
    assert all(word in caught.value.message for word in words), caught.value.message
    assert "Traceback" not in caught.value.message
    assert "$6$" not in caught.value.message


def written(opened: Any, changes: list[Change]) -> list[str | None]:
    return [outcome.error for outcome in opened.apply(changes)]


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


def after_first_write(opened: DmsExec, act: Callable[[], object]) -> None:
    """Let something happen right after the first file of a batch was written."""
    write = opened._write

    def write_then_act(*args: Any) -> Ran:
        ran = write(*args)
        opened._write = write  # type: ignore[method-assign]
        act()
        return ran

    opened._write = write_then_act  # type: ignore[method-assign]


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
        told = self.one.engine.client.api.events(
            since=f"{self._since:.6f}", until=f"{time.time():.6f}", filters=filters, decode=True
        )
        self.commands = [event["Action"] for event in told]
