"""docker-mailserver by its config volume: the three files in a local folder. No Docker needed.

One compare-and-swap write per changed file: the new file is swapped with the old one in one step of the kernel, then
the old one is looked at; if somebody changed it since we read it, their text is taken and our edit done again on it.
Source: docker-mailserver docs, config volume; renameat2(2).
"""

import os
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from provision.core.errors import Unreachable
from provision.core.state import Change, Key, Outcome, Resource, ServerState
from provision.core.texts import N_
from provision.servers import dms
from provision.servers.dms.config import FILES, READ_FILES, DmsConfig
from provision.servers.dms.diagnosis import refuses_forwards, with_refused_forwards
from provision.servers.dms.swap import Changed, clean_up, swap_in

TRIES = 20


class DmsFiles:
    """The config volume at `settings["path"]`."""

    traits = dms.FILES_TRAITS

    def __init__(self, settings: Mapping[str, Any], timeout_seconds: float) -> None:
        self.folder = Path(settings["path"])
        self.release = str(settings.get("release") or "")
        self._config: DmsConfig | None = None
        self._read: dict[str, str] | None = None  # the texts the last plan was made from, until they are written over

    def close(self) -> None:
        """Nothing is held open."""

    def check(self) -> list[str]:
        problems = list(self._folder_problems())
        if problems:
            return problems
        try:
            state = self.read()
        except Unreachable as error:
            return [error.message]
        if not state.addresses(Resource.MAILBOX):
            problems.append(
                N_(
                    f"There is no account in {self.folder / FILES[0]}: docker-mailserver does not start without one. "
                    "If it should have accounts, this is the wrong folder."
                )
            )
        return problems

    def _folder_problems(self) -> Iterator[str]:
        if not self.folder.is_dir():
            yield N_(f"There is no folder {self.folder}; it should be the one mounted at /tmp/docker-mailserver.")
        elif not os.access(self.folder, os.W_OK | os.X_OK):
            yield N_(
                f"The folder {self.folder} cannot be written by this user (id {os.getuid()}); give it the right to."
            )
        else:
            for name in FILES:
                yield from _file_problems(self.folder / name)

    def recover(self) -> None:
        for name in FILES:
            try:
                clean_up((self.folder / name).resolve())
            except OSError as error:
                raise Unreachable(
                    f"What a broken-off push left of {name} cannot be put right: {error.strerror}."
                ) from None

    # ---- reading ---------------------------------------------------------------------------

    def read(self, keys: Collection[Key] | None = None) -> ServerState:
        self._read = self._texts()
        state = self._parse(self._read).state()
        return with_refused_forwards(state) if refuses_forwards(self.release) else state

    def _parse(self, texts: Mapping[str, str]) -> DmsConfig:
        self._config = DmsConfig(texts, before=self._config)
        return self._config

    def _texts(self) -> dict[str, str]:
        """The files' texts; a missing one is empty. Bytes that are no UTF-8 survive as surrogates."""
        if not self.folder.is_dir():
            raise Unreachable(f"There is no folder {self.folder}: the config volume is not mounted here.")
        texts = {}
        for name in READ_FILES:
            try:
                texts[name] = (self.folder / name).read_bytes().decode("utf-8", "surrogateescape")
            except FileNotFoundError:
                texts[name] = ""
            except OSError as error:
                raise Unreachable(f"{self.folder / name} cannot be read: {error.strerror}.") from None
        return texts

    # ---- writing ---------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        started = time.monotonic()
        if problems := list(self._folder_problems()):
            raise Unreachable(problems[0])
        for _ in range(TRIES):
            # What was read for the plan need not be read again: where it is no longer so, `_write` finds out.
            texts, self._read = self._read or self._texts(), None
            config = self._parse(texts).copy()
            outcomes = config.edit_all(changes)
            try:
                for name, text in config.changed().items():
                    self._write(name, texts[name], text)
                break
            except Changed:
                continue
        else:
            raise Unreachable(f"The files in {self.folder} are being changed all the time by something else.")
        duration_ms = round((time.monotonic() - started) * 1000)
        for outcome in outcomes:
            yield Outcome(
                outcome.change, outcome.command, outcome.exit_code, duration_ms=duration_ms, error=outcome.error
            )

    def _write(self, name: str, old: str, new: str) -> None:
        """Raises: Changed when somebody else wrote the file since it was read."""
        try:
            swap_in((self.folder / name).resolve(), _bytes(old), _bytes(new))  # a link is followed, never replaced
        except OSError as error:
            raise Unreachable(
                f"{self.folder / name} cannot be written: {error.strerror}. Nothing in it was lost."
            ) from None


def _file_problems(path: Path) -> Iterator[str]:
    """Why this one cannot be exchanged for another."""
    target = path.resolve()
    if _is_mounted(path):
        yield N_(f"{path.name} is mounted as a single file, so it cannot be replaced; mount the whole folder instead.")
    elif path.is_symlink() and not os.access(target.parent, os.W_OK | os.X_OK):
        yield N_(f"{path.name} is a link to {target}, and nothing can be written in that folder.")
    elif target.exists() and target.stat().st_nlink > 1:
        yield N_(
            f"{path.name} has further names (hard links), which a new file would not have; "
            "make it a file of its own, or a symbolic link."
        )


def _is_mounted(path: Path) -> bool:
    """Also a file bound from the same file system, which os.path.ismount does not see. Source: proc(5), mountinfo."""
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return os.path.ismount(path)
    escaped = re.sub(rb"[ \t\n\\\\]", lambda c: b"\\%03o" % ord(c[0]), os.fsencode(path.resolve()))
    return any(line.split(b" ")[4] == escaped for line in mounts)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
