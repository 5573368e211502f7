"""Replace a file only if nobody else changed it: compare and swap, without losing the other's write.

The swap exchanges the two names in one step, so whatever the other wrote up to that moment is in the file we get back.
"""

import ctypes
import errno
import hashlib
import os
import re
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

AT_FDCWD = -100
RENAME_EXCHANGE = 2
LINGER_SECONDS = 0.003  # a shell opens the file for `>>` and writes to it within this time
UNFINISHED = ".postroom-new"  # how a file's name ends while it is being written
HELD = ".postroom-old"  # and from just before the exchange until the other's text has been taken out of it
KEY = re.compile(rb"[^|:\s]*")  # what a line is about
NOT_THERE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


class Changed(Exception):
    """The file is not what it was when it was read; nothing of the other's text was lost."""


def swap_in(path: Path, expected: bytes, new: bytes) -> None:
    """Put `new` in place of `expected`, with owner and mode kept. Raises: Changed, OSError."""
    if not path.exists():
        if expected:
            raise Changed
        _create_empty(path)
    # Its name tells a later push what was to be exchanged for what, should this one be killed.
    held = path.with_name(f"{path.name}.{len(expected)}-{_sum(expected)}-{_sum(new)}{HELD}")
    os.replace(_prepare(path, new), held)
    try:
        if path.read_bytes() != expected:
            raise Changed
        if _exchange(held, path):
            _keep_the_others_text(path, held, expected, new)
        else:
            os.replace(held, path)
        _sync_folder(path.parent)
    except Changed:
        held.unlink()
        raise
    # Not after an OSError: what the other wrote may be nowhere else, and `clean_up` finds it.
    held.unlink(missing_ok=True)


def clean_up(path: Path) -> None:
    """Finish or undo what a push that was killed left of this file. No other push may run. Raises: OSError."""
    for half in path.parent.glob(f"{path.name}.*{UNFINISHED}"):
        half.unlink(missing_ok=True)
    for held in path.parent.glob(f"{path.name}.*-*-*{HELD}"):
        length, was, new = held.name.removeprefix(f"{path.name}.").removesuffix(HELD).split("-")
        text = held.read_bytes()
        if _sum(text) == new:
            pass  # it was not exchanged, or exchanged back
        elif _sum(text[: int(length)]) == was:
            _append_missing(path, text[int(length) :])
        elif _sum(path.read_bytes()) == new:
            _exchange(held, path)  # the other had rewritten it; our edit is done again on their text
        held.unlink()


def _append_missing(path: Path, late: bytes) -> None:
    """The lines of `late` about which the file says nothing; a push that was killed may have carried some."""
    there = {_key(line) for line in path.read_bytes().splitlines()}
    if missing := [line for line in late.splitlines() if line and _key(line) not in there]:
        with path.open("ab", buffering=0) as file:
            file.write(b"\n".join(missing) + b"\n")


def _key(line: bytes) -> bytes:
    return KEY.match(line)[0].lower()  # type: ignore[index]  # it matches everything


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]


def _create_empty(path: Path) -> None:
    """A missing config file is made empty first, so that it has an owner and a mode to keep."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
    _keep_owner(path, path.parent.stat())


def _keep_owner(file: int | Path, like: os.stat_result) -> None:
    """Not root, and a file of somebody else's: it becomes ours. docker-mailserver reads as root, so nothing is lost."""
    with suppress(PermissionError):
        os.chown(file, like.st_uid, like.st_gid)


def _prepare(path: Path, content: bytes) -> Path:
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=UNFINISHED, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            status = path.stat()
            _keep_owner(file.fileno(), status)
            os.fchmod(file.fileno(), status.st_mode & 0o7777)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _keep_the_others_text(path: Path, old: Path, expected: bytes, new: bytes) -> None:
    """After the exchange `old` is the file as it was at that very moment, the other's last write included."""
    if old.read_bytes().startswith(expected):
        if _carry_over(old, len(expected), path):
            raise Changed
        return
    _exchange(old, path)  # it was rewritten: the other's text is in place again, and the caller edits that one
    if old.read_bytes().startswith(new):
        _carry_over(old, len(new), path)
    else:
        _exchange(old, path)  # a third writer rewrote ours between the two; the newest text stays in place
    raise Changed


def _carry_over(old: Path, length: int, path: Path) -> bool:
    """Append to `path` what somebody appended to `old`: before the exchange, or a moment later if they had it open."""
    found = False
    for pause in (0.0, LINGER_SECONDS):
        time.sleep(pause)
        if late := old.read_bytes()[length:]:
            with path.open("ab", buffering=0) as file:
                file.write(late)
            length += len(late)
            found = True
    return found


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the file system cannot. Raises: OSError."""
    library = _libc()
    if library is None:
        return False
    if library.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in NOT_THERE:
        return False
    raise OSError(code, os.strerror(code), str(other))


@cache
def _libc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "renameat2") else None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
