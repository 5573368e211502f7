"""Passwords: the rule, new passwords, hashes in Dovecot's notation."""

import re

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passlib.hash import sha256_crypt, sha512_crypt

from provision.core.errors import InvalidInput, WeakPassword
from provision.core.passwords import (
    PasswordRules,
    check_hash,
    check_password,
    generate_password,
    hash_password,
    hash_passwords,
    is_hash,
    verify_password,
)
from provision.core.secret import Secret
from tests.conftest import STANDARD

DOVECOT = re.compile(r"\{SHA512-CRYPT\}\$6\$[./A-Za-z0-9]{16}\$[./A-Za-z0-9]{86}")


@pytest.mark.parametrize(
    "good",
    ["Abcdef12", "abcdef1!", "ABCDEF1!", "Abcdefg!", "A" * 29 + "b1!", "pass Wort 1", "Пароль-1", "a'\"\\$(x)1A"],
)
def test_it_accepts_three_of_four_kinds_of_characters(good: str) -> None:
    check_password(Secret(good), STANDARD)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("Abcde1!", "8 to 32"),
        ("A1!" + "b" * 30, "8 to 32"),
        ("", "8 to 32"),
        ("abcdefgh", "three of"),
        ("abcdefg1", "three of"),
        ("ABCDEFG1", "three of"),
        ("12345678", "three of"),
        ("!!!!!!!1", "three of"),
        (" Abcdef12", "blank"),
        ("Abcdef12 ", "blank"),
        ("Abcdef1\t2", "invisible"),
        ("Abcdef1\n2", "invisible"),
        ("Abcdef1\x002", "invisible"),
        ("Abcdef1\u200b2", "invisible"),
        ("Ab1" + "€" * 25, "72 bytes"),
    ],
)
def test_it_refuses_weak_ones_and_says_why(bad: str, reason: str) -> None:
    with pytest.raises(WeakPassword, match=reason) as caught:
        check_password(Secret(bad), STANDARD)
    assert (caught.value.code, caught.value.status) == ("WEAK_PASSWORD", 422)
    assert len(bad) < 4 or bad not in caught.value.message


@pytest.mark.parametrize("text", ["Anna.Smith1@example.com", "anna.smith1@EXAMPLE.com", "Anna.Smith1"])
def test_it_refuses_the_address_as_password(text: str) -> None:
    with pytest.raises(WeakPassword, match="the address"):
        check_password(Secret(text), STANDARD, address="anna.smith1@example.com")


def test_it_makes_passwords_that_pass_its_own_rule_and_never_repeat() -> None:
    made = [generate_password(STANDARD) for _ in range(200)]
    for password in made:
        check_password(password, STANDARD)
        assert not set(password.reveal()) & set("0O1lI")
    assert len(set(made)) == 200


@settings(max_examples=300, deadline=None)
@given(st.integers(8, 64), st.integers(16, 64), st.integers(1, 4))
def test_new_passwords_satisfy_whatever_an_admin_may_choose(least: int, most: int, classes: int) -> None:
    rules = PasswordRules(least, max(least, most), classes)
    check_password(generate_password(rules), rules)


@pytest.mark.parametrize(
    ("rules", "bad", "reason"),
    [
        (PasswordRules(12, 32, 3), "Correct-Ho1", "12 to 32 characters; this one has 11"),
        (PasswordRules(8, 16, 3), "Correct-Horse-123", "8 to 16 characters; this one has 17"),
        (PasswordRules(8, 32, 4), "CorrectHorse1", "needs four of"),
        (PasswordRules(8, 32, 2), "correcthorse", "needs two of"),
        (PasswordRules(8, 64, 1), " " * 9, "blank"),
        (PasswordRules(8, 64, 1), "abcdefg\0", "invisible"),
        (PasswordRules(8, 64, 1), "{SSHA256}" + "a" * 48, "written like a password hash"),
    ],
)
def test_the_rules_that_were_chosen_hold_beside_those_of_the_mail_server(
    rules: PasswordRules, bad: str, reason: str
) -> None:
    with pytest.raises(WeakPassword, match=reason):
        check_password(Secret(bad), rules)


def test_a_long_password_is_no_hash_and_every_hash_we_take_is_one() -> None:
    assert not is_hash(Secret("Correct-Horse-" * 4 + "12345678"))
    assert is_hash(Secret("{SSHA256}too-short")), "nobody may take half a hash for a password"
    assert not is_hash(Secret("{foo}Bar-123456"))
    assert is_hash(hash_password(Secret("Correct-Horse-1")))
    assert is_hash(check_hash("{PBKDF2}$1$a$1$" + "f" * 40))


@settings(max_examples=20, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60))
def test_it_makes_a_hash_that_dovecot_reads_and_the_password_opens(text: str) -> None:
    made = hash_password(Secret(text))
    assert DOVECOT.fullmatch(made.reveal())
    assert sha512_crypt.verify(text, made.reveal().removeprefix("{SHA512-CRYPT}"))
    assert verify_password(Secret(text), made)
    assert not verify_password(Secret(text + "x"), made)


def test_it_never_makes_the_same_hash_twice() -> None:
    assert hash_password(Secret("Abcdef12")) != hash_password(Secret("Abcdef12"))


def test_it_hashes_many_in_order() -> None:
    passwords = [Secret(f"Abcdef-{n}") for n in range(40)]
    for password, made in zip(passwords, hash_passwords(passwords), strict=True):
        assert verify_password(password, made)


def test_it_refuses_to_hash_a_nul_which_crypt_would_cut_at() -> None:
    with pytest.raises(InvalidInput):
        hash_password(Secret("Abc\0def12"))


SHA512 = sha512_crypt.using(rounds=5000, salt="abcdefghabcdefgh").hash("x")
ARGON2 = "$argon2id$v=19$m=65536,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"
ACCEPTED = {
    "{SHA512-CRYPT}" + SHA512: "{SHA512-CRYPT}" + SHA512,
    SHA512: "{SHA512-CRYPT}" + SHA512,
    "{CRYPT}" + SHA512: "{SHA512-CRYPT}" + SHA512,
    "{sha512-crypt}" + SHA512: "{SHA512-CRYPT}" + SHA512,
}


@pytest.mark.parametrize(("given_hash", "stored"), ACCEPTED.items())
def test_it_accepts_and_normalises_a_sha512_hash(given_hash: str, stored: str) -> None:
    assert check_hash(given_hash).reveal() == stored


def test_it_accepts_the_schemes_that_dovecot_lets_in() -> None:
    blowfish = bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode()
    for scheme, made in (
        ("BLF-CRYPT", blowfish),
        ("BLF-CRYPT", blowfish.replace("$2b$", "$2y$")),
        ("SHA256-CRYPT", sha256_crypt.using(rounds=5000).hash("x")),
        ("SHA512-CRYPT", sha512_crypt.using(rounds=6000).hash("x")),
        ("ARGON2ID", ARGON2),
    ):
        assert check_hash(made).reveal() == f"{{{scheme}}}{made}"
        assert check_hash(f"{{{scheme}}}{made}").reveal() == f"{{{scheme}}}{made}"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "{",
        "}",
        "{SHA512-CRYPT}",
        "{SHA512-CRYPT}*0",
        "{SHA512-CRYPT}" + SHA512[:-1],
        "{SHA512-CRYPT}" + SHA512 + "x",
        "{SHA512-CRYPT}!" + SHA512,
        "!" + SHA512,
        "{PLAIN}Abcdef12",
        "{CLEARTEXT}Abcdef12",
        "{LOCKED}" + SHA512,
        "{MD5}x",
        "Abcdef12",
        SHA512 + "|fail=n",
        SHA512 + "\n",
        SHA512 + "\nb@x.io|" + SHA512,
        "{SHA512-CRYPT} " + SHA512,
        "$argon2id$v=19$m=262144,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
        "$6$sa|lt$" + SHA512[-86:],
        "$6$$" + SHA512[-86:],
    ],
)
def test_it_refuses_hashes_that_would_lock_out_or_break_the_file(bad: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_hash(bad)
    assert len(bad) < 5 or bad not in caught.value.message


@given(st.text(max_size=120))
def test_it_never_lets_a_separator_through(text: str) -> None:
    for candidate in (text, "{SHA512-CRYPT}" + text, "{CRYPT}" + text, "{SSHA512}" + text):
        try:
            accepted = check_hash(candidate).reveal()
        except InvalidInput:
            continue
        assert not set(accepted) & set("|\r\n \t:")
