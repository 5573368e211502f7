"""Hand a config volume to Dovecot and Postfix the way docker-mailserver does it, its bugs included: 15.1 with Dovecot
2.3, 16.0 with Dovecot 2.4.

What is copied:

* the accounts file loses every CR, and its last line counts even without a newline;
* blank lines and lines whose first visible letter is `#` are no entries;
* one line `login:hash:uid:gid::home::fields` per account in Dovecot's passwd-file; the third column of the account
  is copied to the fields as it stands, so `fail=y` there becomes a field of the password lookup;
* a quota becomes the field `userdb_quota_rule=*:bytes=…`, in 16.0 `userdb_quota_storage_size=…` and the grace, a tenth
  of it. It is looked for with `grep -i "address:"`, of which the first line found counts. So `a@x.io` finds the line
  of `aa@x.io`, a dot finds any letter, a comment is found too;
* one line `login domain/user/` per account in Postfix's vmailbox; the virtual file is taken as it is;
* an alias with one destination becomes a Dovecot user of its own ("dummy account", for asking its quota), with the
  hash and fields of the first line that `grep "destination"` finds in the accounts file: again any line that
  contains it, comments included. If that line has no hash, docker-mailserver stops altogether. 16.0 takes the first
  destination that is found, and leaves out catch-alls;
* a missing file changes nothing, an empty one empties.

Source: docker-mailserver, target/scripts/helpers/accounts.sh and aliases.sh.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ACCOUNTS, QUOTAS, VIRTUAL = "postfix-accounts.cf", "dovecot-quotas.cf", "postfix-virtual.cf"


class ContainerStopped(Exception):
    """docker-mailserver would shut down here: an alias found an account line without a hash."""


@dataclass(frozen=True)
class Feeder:
    """Writes `userdb`, `vmailbox` and `virtual` into `folder`; mail belongs to this user and lies below `mail`."""

    folder: Path
    mail: Path
    uid: int
    gid: int
    v16: bool = False

    def feed(self, volume: Path, *more_users: str) -> None:
        """Rebuild the three files from the volume. `more_users`: lines that only a test wants."""
        accounts, quotas, virtual = (self._read(volume / name) for name in (ACCOUNTS, QUOTAS, VIRTUAL))
        accounts = accounts.replace("\r", "")
        users = [self._user(login, pw, fields, quotas) for login, pw, fields in _accounts(accounts)]
        users += self._dummies(accounts, quotas, virtual, users)
        vmailbox = ["{} {}/{}/".format(login, *_parts(login)) for login, *_ in _accounts(accounts)]
        self._write("vmailbox", vmailbox)
        (self.folder / "virtual").write_text(virtual, newline="")
        self._write("userdb", [*users, *more_users])

    @staticmethod
    def _read(path: Path) -> str:
        return path.read_bytes().decode() if path.exists() else ""

    def _write(self, name: str, lines: Iterable[str]) -> None:
        unfinished = self.folder / f"{name}.new"
        unfinished.write_text("".join(f"{line}\n" for line in dict.fromkeys(lines)))
        unfinished.rename(self.folder / name)

    def _user(self, login: str, password_hash: str, fields: str, quotas: str, owner: str = "") -> str:
        domain, user = _parts(owner or login)
        fields = " ".join([*([fields] if fields else []), *self._quota(owner or login, quotas)])
        return f"{login}:{password_hash}:{self.uid}:{self.gid}::{self.mail}/{domain}/{user}/home::{fields}"

    def _quota(self, address: str, quotas: str) -> list[str]:
        found = (_grep(f"{address}:", quotas, re.IGNORECASE) or "").split(":")
        if len(found) != 2:
            return []
        if not self.v16:
            return [f"userdb_quota_rule=*:bytes={found[1]}"]
        size = re.fullmatch(r"([1-9]\d*)([BkMGT])", found[1])
        grace = [f"userdb_quota_storage_grace={int(size[1]) // 10}{size[2]}"] if size else []
        return [f"userdb_quota_storage_size={found[1]}", *grace]

    def _dummies(self, accounts: str, quotas: str, virtual: str, users: list[str]) -> Iterator[str]:
        taken = {(line if self.v16 else line.partition(":")[0]).lower() for line in users}
        for line in _entries(virtual):
            alias, _, targets = line.strip().partition(" ")
            targets = targets.strip()
            asked = targets.replace(",", " ").split() if self.v16 else [targets]
            if not re.search(".+@.+" if self.v16 else "@", alias):
                continue
            target, found = next(((each, line) for each in asked if each and (line := _grep(each, accounts))), ("", ""))
            if not found or (not self.v16 and alias.lower() in taken):
                continue
            _, password_hash, fields, *_ = [*found.split("|"), "", "", ""]
            if not password_hash:
                raise ContainerStopped(alias)
            made = self._user(alias, password_hash, fields, quotas, owner=target)
            if (made if self.v16 else alias).lower() not in taken:
                taken.add((made if self.v16 else alias).lower())
                yield made


def _entries(text: str) -> Iterator[str]:
    return (line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#"))


def _accounts(text: str) -> Iterator[tuple[str, str, str]]:
    for line in _entries(text):
        login, password_hash, fields = [*line.split("|", 2), "", ""][:3]
        yield login, password_hash, fields


def _parts(login: str) -> tuple[str, str]:
    user, _, domain = login.partition("@")
    return domain, user


def _grep(pattern: str, text: str, flags: int = 0) -> str | None:
    """The first line that the pattern is found in, as grep finds an address: a dot is any letter."""
    search = re.compile(re.escape(pattern).replace(r"\.", "."), flags).search
    return next((line for line in text.split("\n") if search(line)), None)
