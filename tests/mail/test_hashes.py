"""Every hash scheme we accept really lets its owner in."""

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from passlib.hash import sha256_crypt, sha512_crypt

from provision.core.errors import InvalidInput
from provision.core.passwords import ARGON2_MAX_KIB, HASH_SHAPES, check_hash, hash_password
from provision.core.secret import Secret
from tests.conftest import PASSWORD
from tests.mail.clients import imap_login, smtp_auth
from tests.mail.conftest import Mail

TEXT = PASSWORD.reveal()
WRONG = Secret(TEXT + "x")


def add_all(mail: Mail, hashes: dict[str, str]) -> dict[str, str]:
    """A mailbox for each hash: their addresses."""
    addresses = {name: f"box{number}@example.com" for number, name in enumerate(hashes)}
    for name, address in addresses.items():
        mail.world.add(address, password_hash=Secret(hashes[name]))
    mail.host.feed(mail.world.volume)
    return addresses


def test_the_hashes_of_dovecot_itself(mail: Mail) -> None:
    hashes = {scheme: mail.host.hash(scheme, PASSWORD) for scheme in HASH_SHAPES}
    for scheme, address in add_all(mail, hashes).items():
        assert smtp_auth(mail.host, address, PASSWORD), scheme
        assert imap_login(mail.host, address, PASSWORD), scheme
        assert not smtp_auth(mail.host, address, WRONG), scheme


def test_hashes_made_elsewhere(mail: Mail) -> None:
    bcrypt = mail.host.hash("BLF-CRYPT", PASSWORD).removeprefix("{BLF-CRYPT}$2y$")
    hashes = {
        "ours": hash_password(PASSWORD).reveal(),
        "bare $6$ with rounds": sha512_crypt.using(rounds=20_000).hash(TEXT),
        "{CRYPT}$6$": "{CRYPT}" + sha512_crypt.using(rounds=5000).hash(TEXT),
        "small letters and a short salt": "{sha512-crypt}" + sha512_crypt.using(salt="a", rounds=5000).hash(TEXT),
        "bare $5$": sha256_crypt.using(rounds=5000).hash(TEXT),
    }
    for scheme in ("", "{CRYPT}", "{BLF-CRYPT}"):
        hashes |= {f"{scheme}${ident}$": f"{scheme}${ident}${bcrypt}" for ident in ("2a", "2b", "2y")}
    for name, address in add_all(mail, hashes).items():
        assert imap_login(mail.host, address, PASSWORD), name
        assert smtp_auth(mail.host, address, PASSWORD), name


def test_the_most_memory_we_accept_for_argon2_is_what_dovecot_has(mail: Mail) -> None:
    """Dovecot's login process has 256 MiB in all; a hash that needs more looks like a wrong password."""
    hashes = {kib: _argon2id(kib) for kib in (ARGON2_MAX_KIB, 2 * ARGON2_MAX_KIB)}
    addresses = add_all(mail, {"most": hashes[ARGON2_MAX_KIB]})
    assert imap_login(mail.host, addresses["most"], PASSWORD)
    with pytest.raises(InvalidInput, match="more memory"):
        check_hash(hashes[2 * ARGON2_MAX_KIB])


def _argon2id(kib: int) -> str:
    return Argon2id(salt=b"0123456789abcdef", length=32, iterations=1, lanes=1, memory_cost=kib).derive_phc_encoded(
        TEXT.encode()
    )
