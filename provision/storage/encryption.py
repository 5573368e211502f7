"""Encrypt what must wait for a mail server: seal before it is stored, unseal when it is sent."""

import os
import tempfile
from base64 import urlsafe_b64decode
from pathlib import Path

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from provision.core.errors import InvalidInput, ProvisionError
from provision.core.secret import Secret

log = structlog.get_logger(__name__)


def keys_in(path: Path) -> list[str]:
    """Keys of a file, one a line; made with mode 0600 when it is not there. Raises: ProvisionError."""
    try:
        if not path.exists():
            _make_key(path)
        keys = path.read_text().split()
        MultiFernet([Fernet(key) for key in keys])
    except (ValueError, OSError) as error:
        raise ProvisionError(f"The key file {path} cannot be used: {error}.", code="KEY_UNUSABLE") from None
    return keys


def chain_keys(path: Path) -> tuple[bytes, ...]:
    """For the log's chain: the first one makes links, each proves one. Raises: as `keys_in`."""
    return tuple(urlsafe_b64decode(key) for key in keys_in(path))


class Sealer:
    """Seals with the first key, unseals with any."""

    def __init__(self, keys: list[str]) -> None:
        self._path: Path | None = None
        self._stamp: tuple[int, ...] = ()
        self._keys = MultiFernet([Fernet(key) for key in keys])

    @classmethod
    def from_file(cls, path: Path) -> "Sealer":
        """Raises: as `keys_in`."""
        sealer = cls(keys_in(path))
        sealer._path, sealer._stamp = path, _stamp(path)
        return sealer

    @property
    def _fernet(self) -> MultiFernet:
        """The keys as they are in the file now: a rotation must reach every running process at once.

        A file that cannot be used for a moment loses nothing: the keys in memory still serve.
        """
        if self._path:
            stamp = _stamp(self._path)
            if stamp and stamp != self._stamp:
                try:
                    self._keys, self._stamp = Sealer.from_file(self._path)._keys, stamp
                except ProvisionError as error:
                    log.warning("the keys in memory are used", reason=error.message)
        return self._keys

    def seal(self, secret: Secret) -> str:
        return self._fernet.encrypt(secret.reveal().encode()).decode()

    def unseal(self, sealed: str) -> Secret:
        """Raises: ProvisionError when it was sealed with a key that is gone."""
        try:
            return Secret(self._fernet.decrypt(sealed.encode()).decode())
        except InvalidToken:
            raise _other_key() from None

    def reseal(self, sealed: str) -> str:
        """The same secret under the first key. Raises: as `unseal`."""
        try:
            return self._fernet.rotate(sealed.encode()).decode()
        except InvalidToken:
            raise _other_key() from None

    def opens(self, sealed: str) -> bool:
        try:
            self._fernet.decrypt(sealed.encode())
        except InvalidToken:
            return False
        return True


def _other_key() -> ProvisionError:
    return ProvisionError(
        "A waiting password cannot be read: it was sealed with another key. Put the old key back into the key file, or "
        "reset the password.",
        code="KEY_UNUSABLE",
    )


def _stamp(path: Path) -> tuple[int, ...]:
    """Changes when the file is replaced; empty while it is away, when the keys in memory still serve."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


# ---- the file ------------------------------------------------------------------------------


def add_key(path: Path) -> None:
    """A new key in front of those there are. Raises: InvalidInput where the file cannot be replaced."""
    _replace(path, [Fernet.generate_key().decode(), *path.read_text().split()])


def add_old_keys(path: Path, keys: list[str]) -> None:
    """Keys that only open, below those there are; the file stays as it is where it has them. Raises: as `add_key`."""
    known = path.read_text().split()
    if missing := [key for key in keys if key not in known]:
        _replace(path, [*known, *missing])


def keep_first_key(path: Path) -> None:
    """Raises: as `add_key`."""
    _replace(path, path.read_text().split()[:1])


def _replace(path: Path, keys: list[str]) -> None:
    try:
        temporary, owner = _written(path, keys), path.stat()
        os.chown(temporary, owner.st_uid, owner.st_gid)  # root may do this for the user that Postroom runs as
        temporary.replace(path)
    except OSError as error:
        raise InvalidInput(
            f"The key file {path} cannot be replaced ({error.strerror}). If it comes from a secret store, change it "
            "there: the new key as its first line, the old ones below.",
            code="KEY_UNUSABLE",
        ) from None


def _make_key(path: Path) -> None:
    """Several may start at once, also in containers with the same process id: the first to link makes the key."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = _written(path, [Fernet.generate_key().decode()])
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _written(path: Path, keys: list[str]) -> Path:
    """A file beside `path`, on disk for certain. Its mode is 0600."""
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write("".join(f"{key}\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    return Path(name)
