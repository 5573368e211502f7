"""docker-mailserver through its container, by `docker exec`.

One exec reads the three files. A simple single change goes by `setup`; whatever `setup` gets wrong, and every batch,
by one compare-and-swap write per file: the container checks that the file is still what was read, and that all of
the new text arrived, before the two files change places. Source: docker-mailserver docs, config volume; rename(2).
"""

import hashlib
import secrets
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from provision.errors import Rejected, Unreachable
from provision.passwords import hash_password
from provision.servers.dms_config import FILES, DmsConfig
from provision.servers.dms_live import DmsLive
from provision.servers.dms_scripts import AGAIN, ERASE_MAIL, KICK, READ_FILES, WRITE_FILE
from provision.servers.dms_setup import SetupCommand, commands_for, delete, is_plain, reason_of, without_secrets
from provision.servers.docker_exec import Container, Ran
from provision.state import Change, CreateMailbox, DeleteMailbox, Outcome, ServerState, SetEnabled, SetPassword

FOLDER = "/tmp/docker-mailserver"
TRIES = 20
SNAPSHOT_BYTES = 256 << 20
KICKED_AT_ONCE = 50  # beyond that the rebuild, some seconds later, ends the sessions
NOT_WRITABLE = ("Read-only file system", "No space left on device", "Permission denied", "Disk quota exceeded")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files as read at one moment, and what forbids to write them."""

    texts: Mapping[str, str]
    provisioner: str
    single_files: str
    writable: bool

    def trouble(self, name: str) -> str | None:
        if self.single_files:
            return f"In the container {name} single files are mounted ({self.single_files}); mount the whole folder {FOLDER}."
        if not self.writable:
            return f"The folder {FOLDER} in the container {name} is read-only; mount it without “:ro”."
        return None


class DmsExec:
    """`settings`: see KINDS. Nothing is done in the constructor."""

    supports: frozenset[str] = frozenset({"erase_mail", "plain_password"})

    def __init__(self, settings: Mapping[str, Any], timeout_seconds: float) -> None:
        self.container = Container(settings, timeout_seconds)
        self.cache_seconds = float(settings.get("live_cache_seconds") or 60)

    @cached_property
    def live(self) -> DmsLive:
        return DmsLive(self.container, self.cache_seconds)

    def close(self) -> None:
        self.container.close()

    def check(self) -> list[str]:
        if trouble := self.container.trouble():
            return [trouble]
        try:
            snapshot = self._snapshot()
            problems = [trouble] if (trouble := snapshot.trouble(self.container.name)) else []
            if DmsConfig(snapshot.texts).accounts.entries:
                return [*problems, *self.live.problems()]
            return [
                *problems,
                f"There is no account in {FOLDER}/{FILES[0]}: docker-mailserver does not start without one.",
            ]
        except Unreachable as error:
            return [error.message]

    # ---- reading ---------------------------------------------------------------------------

    def read(self) -> ServerState:
        return DmsConfig(self._snapshot().texts).state()

    def _snapshot(self) -> Snapshot:
        """One exec for all. A missing file is empty; bytes that are no UTF-8 survive as surrogates."""
        mark = secrets.token_hex(16)
        ran = self.container.run(["sh", "-c", READ_FILES, "read", mark, *FILES], keep_bytes=SNAPSHOT_BYTES)
        head, *bodies = ran.stdout.decode("utf-8", "surrogateescape").split(f"\n{mark}\n")
        if ran.exit_code or len(bodies) != len(FILES) + 1:
            why = ran.errors or "the answer was incomplete"
            raise Unreachable(f"The files in {FOLDER} of the container {self.container.name} cannot be read: {why}.")
        provisioner, single_files, writable = head.split("\n")
        if provisioner != "FILE":
            raise Unreachable(
                f"The mail server in {self.container.name} keeps its accounts in {provisioner} "
                "(ACCOUNT_PROVISIONER); only FILE can be managed here."
            )
        return Snapshot(dict(zip(FILES, bodies, strict=False)), provisioner, single_files.strip(), writable == "yes")

    # ---- writing ---------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        snapshot = self._writable_snapshot()
        if len(changes) == 1 and (commands := commands_for(changes[0], DmsConfig(snapshot.texts))):
            yield self._by_setup(changes[0], commands)
        elif changes:
            yield from self._by_files(changes, snapshot)

    def _writable_snapshot(self) -> Snapshot:
        snapshot = self._snapshot()
        if trouble := snapshot.trouble(self.container.name):
            raise Unreachable(trouble)
        return snapshot

    def _by_setup(self, change: Change, commands: Sequence[SetupCommand]) -> Outcome:
        outcome = Outcome(change, "")
        for command in commands:
            outcome = _joined(outcome, command, self._setup(command))
            if "directory" in outcome.stderr and isinstance(change, DeleteMailbox) and change.erase_mail:
                # A mailbox so new that it has no folder yet: `-y` refuses, and there is no mail to erase.
                command = delete(change.address, erase_mail=False)
                outcome = _joined(replace(outcome, error=None), command, self._setup(command))
            if outcome.exit_code:
                break
        return outcome

    def _setup(self, command: SetupCommand) -> Ran:
        ran = self.container.run(command.argv, command.stdin.reveal().encode() if command.stdin else b"")
        self._require_written(ran)
        return ran

    def _require_written(self, ran: Ran) -> None:
        reason = next((text for text in NOT_WRITABLE if text in ran.errors), None)
        if ran.exit_code and reason:
            raise Unreachable(
                f"The folder {FOLDER} in the container {self.container.name} cannot be written: {reason}."
            )

    def _by_files(self, changes: Sequence[Change], snapshot: Snapshot) -> Iterator[Outcome]:
        delivered = [_with_hash(change) for change in changes]
        duration_ms = 0
        for _ in range(TRIES):
            config = DmsConfig(snapshot.texts)
            results = [_edited(config, change) for change in delivered]
            config.complete_quotas()
            written = [self._write(name, snapshot.texts[name], text) for name, text in config.changed().items()]
            duration_ms += sum(ran.duration_ms for ran in written)
            if not any(ran.exit_code for ran in written):
                break
            snapshot = self._writable_snapshot()
        else:
            raise Unreachable(f"The files in {FOLDER} are being changed all the time by something else.")
        self._after_writing([change for change, (_, error) in zip(changes, results, strict=True) if error is None])
        for change, (command, error) in zip(changes, results, strict=True):
            yield Outcome(change, command, exit_code=int(error is not None), duration_ms=duration_ms, error=error)

    def _write(self, name: str, old: str, new: str) -> Ran:
        """Exit code AGAIN when somebody else wrote the file since it was read, or the text did not arrive whole."""
        content = new.encode("utf-8", "surrogateescape")
        old_sum = hashlib.sha256(old.encode("utf-8", "surrogateescape")).hexdigest()
        argv = ["sh", "-c", WRITE_FILE, "write", name, old_sum, hashlib.sha256(content).hexdigest(), str(len(content))]
        ran = self.container.run(argv, content)
        self._require_written(ran)
        if ran.exit_code not in (0, AGAIN):
            raise Unreachable(f"{name} in the container {self.container.name} cannot be written: {ran.errors[:200]}.")
        return ran

    def _after_writing(self, done: Sequence[Change]) -> None:
        """End the sessions of the disabled; erase the mail of those whose deletion asked for it."""
        disabled = [c.address for c in done if isinstance(c, SetEnabled) and not c.enabled]
        erased = [c.address for c in done if isinstance(c, DeleteMailbox) and c.erase_mail]
        for script, addresses in ((KICK, disabled[:KICKED_AT_ONCE]), (ERASE_MAIL, erased)):
            if addresses:
                lines = "".join(f"{address}\n" for address in addresses)
                self.container.run(["sh", "-c", script, "addresses", str(len(addresses))], lines.encode())


def _with_hash(change: Change) -> Change:
    if isinstance(change, CreateMailbox | SetPassword) and is_plain(change.password):
        return replace(change, password=hash_password(change.password))
    return change


def _edited(config: DmsConfig, change: Change) -> tuple[str, str | None]:
    try:
        return config.edit(change), None
    except Rejected as error:
        return "", error.message


def _joined(so_far: Outcome, command: SetupCommand, ran: Ran) -> Outcome:
    """The outcome with one more command added, nothing secret in it."""
    shown = shlex.join(command.argv) + (" (answers on stdin: ***)" if command.stdin else "")
    gone = (
        isinstance(so_far.change, DeleteMailbox) and "' does not exist" in ran.errors and "directory" not in ran.errors
    )
    stdout, stderr = (without_secrets(text, command) for text in (ran.output, ran.errors))
    failed = ran.exit_code and not gone
    return replace(
        so_far,
        command="; ".join(filter(None, (so_far.command, shown))),
        exit_code=0 if gone else ran.exit_code,
        stdout="\n".join(filter(None, (so_far.stdout, stdout))),
        stderr=stderr,
        duration_ms=so_far.duration_ms + ran.duration_ms,
        error=f"{shlex.join(command.argv)} failed: {reason_of(stderr)}." if failed else None,
    )
