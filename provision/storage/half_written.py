"""The file that a backup is written to until it is whole, and what is left of one that was killed."""

import fcntl
import gzip
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BEGIN = b'{"postroom"'
NOTE = "backup-under-way"
UNTOLD = re.compile(r"\..+\.[a-z0-9_]{8}")  # as tempfile makes names


@contextmanager
def half_written(data_dir: Path, target: Path) -> Iterator[tuple[str, int]]:
    """A file beside the target, its mode 0600, locked while we live; a note in the data folder says where it is."""
    remove_leftovers(data_dir)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    fcntl.flock(handle, fcntl.LOCK_EX)
    note = data_dir / f"{NOTE}{os.path.basename(name)}"
    with suppress(OSError):  # of a data folder that cannot be written a backup is wanted all the more
        note.write_text(os.path.abspath(name), encoding="utf-8")
    try:
        yield name, handle
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)


def remove_leftovers(data_dir: Path) -> None:
    """What backups left that were killed: half of a database, with the keys. Also those of releases without notes."""
    for note in data_dir.glob(f"{NOTE}*"):
        with suppress(OSError):
            if _is_removed(Path(note.read_text(encoding="utf-8"))):
                note.unlink()
    for file in data_dir.glob(".*"):
        if UNTOLD.fullmatch(file.name) and _is_backup(file):
            _is_removed(file)


def _is_removed(file: Path) -> bool:
    """Whether it is gone now; one that is still written stays."""
    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.unlink()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _is_backup(file: Path) -> bool:
    """Also one that was cut off after a few bytes."""
    try:
        with gzip.open(file, "rb") as opened:
            return opened.read(len(BEGIN)) == BEGIN
    except EOFError:
        return True
    except OSError:
        return False
