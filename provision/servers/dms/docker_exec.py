"""Run commands in a container, and say in a sentence why one could not be run.

Arguments are lists, standard input carries what is secret, `timeout` runs
inside the container (a client that gives up does not stop the process there), output comes back in two streams.
Source: Docker Engine API, exec and attach; docker SDK 7.
"""

import re
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from docker.errors import APIError, NotFound

from provision.core.errors import Unreachable
from provision.core.texts import N_
from provision.servers.dms.docker_engine import ENGINE_ERRORS, EngineClient, connect, engine_address, trouble_of

KEPT_BYTES = 64 * 1024  # of each stream of a command; a snapshot asks for more
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
KILL_AFTER_SECONDS = 2
STATE_TROUBLES = N_(
    {
        "created": "The container {name} was never started; start it with: docker start {name}",
        "paused": "The container {name} is paused; continue it with: docker unpause {name}",
        "restarting": "The container {name} keeps restarting (last exit code {code}); look at: docker logs {name}",
        "dead": "The container {name} is dead and must be created again.",
        "removing": "The container {name} is being removed.",
    }
)
STOPPED = N_("The container {name} is stopped (exit code {code}{memory}); start it with: docker start {name}")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command answered; the output is cut after the bytes that were to be kept."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    duration_ms: int

    @property
    def output(self) -> str:
        return plain_text(self.stdout)

    @property
    def errors(self) -> str:
        return plain_text(self.stderr)


def plain_text(raw: bytes) -> str:
    return ANSI.sub("", raw.decode(errors="replace")).strip()


class Container:
    """One container of one engine. `settings`: container (name, or label as key=value), docker_host, tls_path."""

    def __init__(self, settings: Mapping[str, Any], timeout_seconds: float) -> None:
        self.wanted = str(settings["container"])
        self.docker_host = str(settings.get("docker_host") or "")
        self.tls_path = str(settings.get("tls_path") or "")
        self.timeout_seconds = timeout_seconds

    @property
    def engine(self) -> str:
        return engine_address(self.docker_host)

    @cached_property
    def _api(self) -> EngineClient:
        return connect(self.engine, self.tls_path, self.timeout_seconds)

    @cached_property
    def name(self) -> str:
        """The container's name; looked for when a label was given. Raises: Unreachable."""
        if "=" not in self.wanted:
            return self.wanted
        with self._translated(self.wanted):
            found = self._api.containers(all=True, filters={"label": self.wanted})
        names = sorted(each["Names"][0].lstrip("/") for each in found)
        if len(names) != 1:
            which = N_(f"they are {', '.join(names)}") if names else N_("there is none")
            raise Unreachable(f"One container must have the label {self.wanted}; {which}.")
        return str(names[0])

    def close(self) -> None:
        if "_api" in self.__dict__:
            with suppress(Exception):
                self._api.close()

    # ---- running -----------------------------------------------------------------------------

    def run(self, argv: Sequence[str], stdin: bytes = b"", keep_bytes: int = KEPT_BYTES) -> Ran:
        """Run a command that reads no more than `stdin`. Raises: Unreachable, also when it was killed or hung."""
        name, started = self.name, time.monotonic()
        limited = ["timeout", "-k", str(KILL_AFTER_SECONDS), f"{self.timeout_seconds:g}", *argv]
        deadline = started + self.timeout_seconds + KILL_AFTER_SECONDS + 1
        with self._translated(name):
            exec_id = self._api.exec_create(
                name, limited, stdin=bool(stdin), tty=False, environment={"LOG_LEVEL": "error"}
            )["Id"]
            stdout, stderr = self._converse(exec_id, stdin, keep_bytes, deadline)
            exit_code = self._exit_code(exec_id, deadline)
        seconds = time.monotonic() - started
        self._require_finished(exit_code, argv, seconds)
        return Ran(exit_code, stdout, stderr, round(seconds * 1000))

    def _converse(self, exec_id: str, stdin: bytes, keep_bytes: int, deadline: float) -> tuple[bytes, bytes]:
        stream = self._api.exec_start(exec_id, tty=False, socket=True)
        connection = getattr(stream, "_sock", stream)
        try:
            connection.settimeout(max(deadline - time.monotonic(), 0.1))
            _send(connection, stdin)
            return _two_streams(_reader(stream), connection, keep_bytes, deadline)
        except TimeoutError:
            raise Unreachable(self.trouble() or self._unfinished("A command")) from None
        finally:
            for closable in (stream, connection):
                with suppress(Exception):
                    closable.close()

    def _exit_code(self, exec_id: str, deadline: float) -> int:
        """The output may end a moment before the engine knows the exit code."""
        while True:
            answer = self._api.exec_inspect(exec_id)
            if not answer["Running"] and answer["ExitCode"] is not None:
                return int(answer["ExitCode"])
            if time.monotonic() > deadline:
                raise TimeoutError("timed out")
            time.sleep(0.01)

    def _require_finished(self, exit_code: int, argv: Sequence[str], seconds: float) -> None:
        if exit_code in (124, 137) and seconds >= self.timeout_seconds:
            raise Unreachable(self._unfinished(argv[0]))
        if exit_code == 137:
            raise Unreachable(f"{argv[0]} in the container {self.name} was broken off. {self._why_killed()}")
        if exit_code in (126, 127):
            raise Unreachable(f"The container {self.name} has no {argv[0]}: it is not a docker-mailserver.")

    def _unfinished(self, what: str) -> str:
        return N_(
            f"{what} in the container {self.name} did not finish within {self.timeout_seconds:g} seconds and was "
            "stopped; whether it did its work is found out by the next read."
        )

    def _why_killed(self) -> str:
        """The commands of a container that stops end a moment before the engine calls it stopped."""
        for _ in range(10):
            if trouble := self.trouble():
                return trouble
            time.sleep(0.1)
        return N_("Its process was killed (exit code 137), perhaps for want of memory.")

    # ---- what is wrong -----------------------------------------------------------------------

    def trouble(self) -> str | None:
        """Why nothing can be run in the container now, as a sentence, or None."""
        try:
            with self._translated(self.name):
                state = self._api.inspect_container(self.name)["State"]
        except Unreachable as error:
            return error.message
        if state["Status"] == "running":
            return None
        memory = N_(", out of memory") if state.get("OOMKilled") else ""
        sentence = STATE_TROUBLES.get(state["Status"], STOPPED)
        return sentence.format(name=self.name, code=state.get("ExitCode"), memory=memory)

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        """Raises: Unreachable in place of whatever the engine, the SDK or the connection raise."""
        try:
            yield
        except NotFound:
            raise Unreachable(f"There is no container {name} on the Docker engine at {self.engine}.") from None
        except APIError as error:
            busy = error.status_code == 409 and self.trouble()
            raise Unreachable(busy or f"The Docker engine refused: {error.explanation or error}.") from None
        except ENGINE_ERRORS as error:
            raise Unreachable(trouble_of(error, self.engine, self.timeout_seconds)) from None


def _send(connection: Any, stdin: bytes) -> None:
    """A process that ends without reading all breaks the pipe; its exit code tells why. Raises: TimeoutError."""
    try:
        connection.sendall(stdin)
    except TimeoutError:
        raise
    except OSError:
        return


def _reader(stream: Any) -> Any:
    """The buffer behind the stream: it may already hold the first bytes, read together with the HTTP header."""
    response = getattr(stream, "_response", None)
    return response.raw._fp.fp if response is not None else stream.makefile("rb")


def _two_streams(reader: Any, connection: Any, keep_bytes: int, deadline: float) -> tuple[bytes, bytes]:
    """Standard output and error until the end; beyond `keep_bytes` they are read and dropped."""
    kept = {1: bytearray(), 2: bytearray()}
    while True:
        connection.settimeout(max(deadline - time.monotonic(), 0.01))
        header = reader.read(8)
        if not header or len(header) < 8:
            return bytes(kept[1]), bytes(kept[2])
        number, length = struct.unpack(">BxxxL", header)
        chunk = reader.read(length)
        stream = kept.get(number, kept[2])
        stream += chunk[: max(keep_bytes - len(stream), 0)]
