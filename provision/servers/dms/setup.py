"""Which single changes docker-mailserver's own `setup` gets right, and the commands for them.

Pure. Everything else (see `commands_for`) is written into the files. A password goes on standard input only.
Source: docker-mailserver 12 to 16, target/bin/{add,update,del}mailuser, setquota.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

from provision.core.address import domain_of
from provision.core.passwords import hash_passwords, is_hash
from provision.core.secret import Secret
from provision.core.state import Change, CreateMailbox, DeleteMailbox, Outcome, SetPassword, SetQuota
from provision.core.texts import N_
from provision.servers.dms import catch_all
from provision.servers.dms.config import DmsConfig, quota_text

# A rejected `update` prints the new hash in its error message.
SECRETS = re.compile(r"(\{[A-Z0-9.-]+\})?\$[0-9a-z]+\$[^\s|:]+|\{[A-Z0-9.-]{3,}\}[^\s|:]{8,}")
NO_MAIL_FOLDER = re.compile(r"directory '/var/mail/[^']*' does not exist")  # and not that it cannot be removed
LOG_LINE = re.compile(r"^(?:\S+ \S+ )?\[?\s*ERROR\s*\]?\s*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SetupCommand:
    """One call of `setup`; `stdin` may hold a password."""

    argv: tuple[str, ...]
    stdin: Secret | None = None


def with_hashes(changes: Sequence[Change]) -> list[Change]:
    """The changes with plain passwords turned into hashes, on all cores."""
    hashes = hash_passwords([change.password for change in changes if _has_plain_password(change)])
    return [replace(change, password=next(hashes)) if _has_plain_password(change) else change for change in changes]


def _has_plain_password(change: Change) -> TypeGuard[CreateMailbox | SetPassword]:
    return isinstance(change, CreateMailbox | SetPassword) and not is_hash(change.password)


def commands_for(change: Change, config: DmsConfig) -> list[SetupCommand] | None:
    """The commands for one change, or None when `setup` would get it wrong and the files must be written.

    Wrong are: an address that is part of another one, has two lines or one in capitals, or that an alias line matches
    as a pattern; a file that does not end in a newline; a line with attributes (`setup` drops them); a password that
    it would trim.
    """
    address = change.address
    files = (config.accounts, config.quotas)
    doubled = any(address in file.doubled or address in file.recased for file in files)
    if domain_of(address) in catch_all.domains(config.virtual):
        return None  # the account has, or needs, an alias to itself
    if doubled or not config.accounts.final_newline or _collides(address, config):
        return None
    match change:
        case CreateMailbox() if change.enabled and _fits_stdin(change.password) and not _is_there(address, config):
            return [_with_password("add", address, change.password), _set_quota(address, change.quota_bytes)]
        case SetPassword() if _fits_stdin(change.password) and not _has_attributes(address, config):
            return [_with_password("update", address, change.password)]
        case SetQuota():
            return [_set_quota(address, change.quota_bytes)]
        case DeleteMailbox() if not _is_destination(address, config):
            return [delete(address, change.erase_mail)]
    return None


def delete(address: str, erase_mail: bool) -> SetupCommand:
    """Always with an answer: up to v14 no answer means that the mail goes too, and `-n` exists since v16 only."""
    if erase_mail:
        return SetupCommand(("setup", "email", "del", "-y", address))
    return SetupCommand(("setup", "email", "del", address), Secret("n\n"))


def _with_password(verb: str, address: str, password: Secret) -> SetupCommand:
    typed_twice = Secret(f"{password.reveal()}\n" * 2)
    return SetupCommand(("setup", "email", verb, address), typed_twice)


def _set_quota(address: str, quota_bytes: int) -> SetupCommand:
    return SetupCommand(("setup", "quota", "set", address, quota_text(quota_bytes)))


def _fits_stdin(password: Secret) -> bool:
    text = password.reveal()
    return not is_hash(password) and text.isprintable() and text == text.strip() and text not in ("", "--help")


def _is_there(address: str, config: DmsConfig) -> bool:
    return config.accounts.value(address) is not None


def _has_attributes(address: str, config: DmsConfig) -> bool:
    return "|" in (config.accounts.value(address) or "|")


def _is_destination(address: str, config: DmsConfig) -> bool:
    """`setup email del` also takes the address out of every alias; what an alias says is decided elsewhere."""
    return any(address in value.lower() for _, value in config.virtual.items())


def _collides(address: str, config: DmsConfig) -> bool:
    """Whether `setup`, which searches by prefix, part and pattern, may take another entry for this address."""
    as_pattern = re.compile(re.escape(address).replace(r"\.", "."), re.IGNORECASE)
    if any(as_pattern.match(line or "") for line in config.virtual.lines):
        return True
    return any(other != address and (address in other.lower() or other.lower() in address) for other in _keys(config))


def _keys(config: DmsConfig) -> Iterator[str]:
    yield from config.accounts.entries
    yield from config.quotas.entries


# ---- what came of it -----------------------------------------------------------------------


def with_command(
    so_far: Outcome, command: SetupCommand, exit_code: int, stdout: str, stderr: str, duration_ms: int
) -> Outcome:
    """The outcome with one more command added, as it was run, nothing secret in it."""
    shown = shlex.join(command.argv)
    stdout, stderr = _without_secrets(stdout, command), _without_secrets(stderr, command)
    gone = (
        isinstance(so_far.change, DeleteMailbox) and "' does not exist" in stderr and not NO_MAIL_FOLDER.search(stderr)
    )
    return replace(
        so_far,
        command="; ".join(
            filter(None, (so_far.command, shown + (" (answers on stdin: ***)" if command.stdin else "")))
        ),
        exit_code=0 if gone else exit_code,
        stdout="\n".join(filter(None, (so_far.stdout, stdout))),
        stderr="\n".join(filter(None, (so_far.stderr, stderr))),
        duration_ms=so_far.duration_ms + duration_ms,
        error=N_(f"{shown} failed: {_reason(stderr)}.") if exit_code and not gone else None,
    )


def _without_secrets(text: str, command: SetupCommand) -> str:
    if command.stdin and (sent := command.stdin.reveal().split("\n")[0]) != "n":
        text = text.replace(sent, "***")
    return SECRETS.sub("***", text)


def _reason(errors: str) -> str:
    """The message of a failed `setup` without its decoration."""
    lines = [LOG_LINE.sub("", line).strip() for line in errors.splitlines()]
    told = [line.partition(": ")[2] or line for line in lines if line and not line.endswith("Aborting")]
    return "; ".join(told)[:500] or N_("it gave no reason")
