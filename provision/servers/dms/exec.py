"""docker-mailserver through its container, by `docker exec`.

One exec reads the three files. A simple single change goes by `setup`; whatever `setup` gets wrong, and every batch,
by one compare-and-swap write per file: the container checks that the file is still what was read, and that all of
the new text arrived, before the two files change places. Source: docker-mailserver docs, config volume; rename(2).
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from provision.core.errors import Unreachable
from provision.core.state import Change, Key, LiveReport, Outcome, ServerState
from provision.core.texts import N_
from provision.servers import dms
from provision.servers.dms.addresses import end_sessions, erase_mail
from provision.servers.dms.config import FILES, DmsConfig
from provision.servers.dms.diagnosis import with_refused_forwards
from provision.servers.dms.docker_exec import Container, Ran
from provision.servers.dms.live import DmsLive
from provision.servers.dms.scripts import AGAIN, WRITE_FILE
from provision.servers.dms.setup import NO_MAIL_FOLDER, SetupCommand, commands_for, delete, with_command, with_hashes
from provision.servers.dms.snapshot import FOLDER, SNAPSHOT_BYTES, Snapshot, read_snapshot, to_bytes, to_text

TRIES = 20
NOT_WRITABLE = ("Read-only file system", "No space left on device", "Permission denied", "Disk quota exceeded")


class DmsExec:
    """`settings`: see KINDS of the package. Nothing is done in the constructor."""

    traits = dms.EXEC_TRAITS

    def __init__(self, settings: Mapping[str, Any], timeout_seconds: float) -> None:
        self.container = Container(settings, timeout_seconds)
        self._config: DmsConfig | None = None
        self.cache_seconds = float(settings.get("live_cache_seconds") or 60)

    @cached_property
    def live(self) -> DmsLive:
        return DmsLive(self.container, self.cache_seconds)

    def report(self) -> LiveReport:
        return self.live.report()

    def close(self) -> None:
        self.container.close()

    def recover(self) -> None:
        """Nothing to do: the script in the container finishes or undoes an exchange also when its caller is killed."""

    def check(self) -> list[str]:
        if trouble := self.container.trouble():
            return [trouble]
        try:
            snapshot = read_snapshot(self.container)
            problems = [trouble] if (trouble := snapshot.trouble(self.container.name)) else []
            if self._parse(snapshot.texts).accounts.entries:
                return [*problems, *self.live.problems()]
            nobody = N_(f"There is no account in {FOLDER}/{FILES[0]}: docker-mailserver does not start without one.")
            return [*problems, nobody]
        except Unreachable as error:
            return [error.message]

    # ---- reading ---------------------------------------------------------------------------

    def read(self, keys: Collection[Key] | None = None) -> ServerState:
        snapshot = read_snapshot(self.container)
        state = self._parse(snapshot.texts).state()
        return with_refused_forwards(state) if snapshot.refuses_forwards else state

    def _parse(self, texts: Mapping[str, str]) -> DmsConfig:
        self._config = DmsConfig(texts, before=self._config)
        return self._config

    # ---- writing ---------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        snapshot = self._writable_snapshot()
        single = len(changes) == 1 and not snapshot.links  # `setup` would put files in the place of links
        if single and (commands := commands_for(changes[0], self._parse(snapshot.texts))):
            yield self._by_setup(changes[0], commands)
        elif changes:
            yield from self._by_files(changes, snapshot)

    def _writable_snapshot(self) -> Snapshot:
        snapshot = read_snapshot(self.container)
        if trouble := snapshot.trouble(self.container.name):
            raise Unreachable(trouble)
        return snapshot

    def _by_setup(self, change: Change, commands: Sequence[SetupCommand]) -> Outcome:
        outcome = Outcome(change, "")
        for command in commands:
            outcome = self._setup(outcome, command)
            if outcome.error and NO_MAIL_FOLDER.search(outcome.stderr):
                # A mailbox so new that it has no folder yet: `-y` refuses, and there is no mail to erase.
                command = delete(change.address, erase_mail=False)
                outcome = self._setup(outcome, command)
            if outcome.exit_code:
                break
        return outcome

    def _setup(self, so_far: Outcome, command: SetupCommand) -> Outcome:
        ran = self.container.run(command.argv, command.stdin.reveal().encode() if command.stdin else b"")
        self._require_written(ran)
        return with_command(so_far, command, ran.exit_code, ran.output, ran.errors, ran.duration_ms)

    def _require_written(self, ran: Ran) -> None:
        reason = next((text for text in NOT_WRITABLE if text in ran.errors), None)
        if ran.exit_code and reason:
            raise Unreachable(
                f"The folder {FOLDER} in the container {self.container.name} cannot be written: {reason}."
            )

    def _by_files(self, changes: Sequence[Change], snapshot: Snapshot) -> Iterator[Outcome]:
        delivered, texts, duration_ms = with_hashes(changes), dict(snapshot.texts), 0
        for _ in range(TRIES):
            config, outcomes = self._edited(texts, delivered)
            again = False
            for name, text in config.changed().items():
                ran = self._write(name, texts[name], text)
                # What somebody else wrote meanwhile comes back with the refusal: our edit is done again on that.
                texts[name] = to_text(ran.stdout) if ran.exit_code else text
                again |= ran.exit_code != 0
                duration_ms += ran.duration_ms
            if not again:
                break
        else:
            raise Unreachable(f"The files in {FOLDER} are being changed all the time by something else.")
        end_sessions(self.container, outcomes)
        for change, outcome in zip(changes, outcomes, strict=True):
            yield replace(outcome, change=change, duration_ms=duration_ms)

    def _edited(self, texts: Mapping[str, str], changes: Sequence[Change]) -> tuple[DmsConfig, list[Outcome]]:
        """The batch carried out in the texts, the mail erased. Where that fails the account stays, to be tried again:
        whoever were given the address next would find the mail.
        """
        config = self._parse(texts).copy()
        outcomes = config.edit_all(changes)
        left = erase_mail(self.container, outcomes)
        if left:
            config = self._parse(texts).copy()
            others = iter(config.edit_all([change for place, change in enumerate(changes) if place not in left]))
            outcomes = [left[place] if place in left else next(others) for place in range(len(changes))]
        return config, outcomes

    def _write(self, name: str, old: str, new: str) -> Ran:
        """Exit code AGAIN, with the file as it is now, when somebody else wrote it or the text did not arrive whole."""
        content = to_bytes(new)
        sums = [hashlib.sha256(each).hexdigest() for each in (to_bytes(old), content)]
        argv = ["sh", "-c", WRITE_FILE, "write", name, *sums, str(len(content))]
        ran = self.container.run(argv, content, keep_bytes=SNAPSHOT_BYTES)
        self._require_written(ran)
        if ran.exit_code not in (0, AGAIN):
            raise Unreachable(f"{name} in the container {self.container.name} cannot be written: {ran.errors[:200]}.")
        return ran
