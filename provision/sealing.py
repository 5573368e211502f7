"""Encrypt what must wait for a mail server: seal before it is stored, unseal when it is sent."""

import os
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from provision.errors import ProvisionError
from provision.secret import Secret


class Sealer:
    """Seals with the first key, unseals with any: put a new key in front to rotate."""

    def __init__(self, keys: list[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    @classmethod
    def from_file(cls, path: Path) -> "Sealer":
        """Keys of a file, one a line; made with mode 0600 when it is not there."""
        if not path.exists():
            _make_key(path)
        try:
            return cls(path.read_text().split())
        except (ValueError, OSError) as error:
            raise ProvisionError(f"The key file {path} cannot be used: {error}.", code="KEY_UNUSABLE") from None

    def seal(self, secret: Secret) -> str:
        return self._fernet.encrypt(secret.reveal().encode()).decode()

    def unseal(self, sealed: str) -> Secret:
        """Raises: ProvisionError when it was sealed with a key that is gone."""
        try:
            return Secret(self._fernet.decrypt(sealed.encode()).decode())
        except InvalidToken:
            raise ProvisionError(
                "A waiting password cannot be read: it was sealed with another key. Put the old key back into the "
                "key file, or reset the password.",
                code="KEY_UNUSABLE",
            ) from None

    def reseal(self, sealed: str) -> str:
        """The same secret under the first key."""
        return self._fernet.rotate(sealed.encode()).decode()


def _make_key(path: Path) -> None:
    """Several may start at once, also in containers with the same process id: the one that links first makes the key."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # its mode is 0600
    temporary = Path(name)
    with os.fdopen(handle, "wb") as file:
        file.write(Fernet.generate_key() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
