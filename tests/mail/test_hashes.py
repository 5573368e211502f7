"""Every hash scheme we accept really lets its owner in."""

from passlib.hash import sha256_crypt, sha512_crypt

from provision.passwords import HASH_SHAPES, hash_password
from provision.secret import Secret
from tests.conftest import PASSWORD
from tests.mail.conftest import OPEN, SHUT, Mail

TEXT = PASSWORD.reveal()
WRONG = Secret(TEXT + "x")


def doors_of(mail: Mail, hashes: dict[str, str], password: Secret) -> dict[str, dict[str, bool]]:
    """Which doors let in whose mailbox was made with this hash; one mailbox for each."""
    addresses = {name: f"box{number}@example.com" for number, name in enumerate(hashes)}
    if not mail.world.text():
        for name, address in addresses.items():
            mail.world.add(address, password_hash=Secret(hashes[name]))
        mail.host.feed(mail.world.volume)
    return {name: mail.open_doors(address, password) for name, address in addresses.items()}


def test_the_hashes_of_dovecot_itself(mail: Mail) -> None:
    hashes = {scheme: mail.host.hash(scheme, PASSWORD) for scheme in HASH_SHAPES}
    assert doors_of(mail, hashes, PASSWORD) == dict.fromkeys(HASH_SHAPES, OPEN)
    assert doors_of(mail, hashes, WRONG) == dict.fromkeys(HASH_SHAPES, SHUT)


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
    assert doors_of(mail, hashes, PASSWORD) == dict.fromkeys(hashes, OPEN)
