"""Passwords of mailboxes: the rule, new passwords, and hashes in Dovecot's notation.

Pure: nothing is stored or sent here.
"""

import ctypes
import ctypes.util
import re
import secrets
import string
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from os import cpu_count

from passlib.hash import sha512_crypt

from provision.core.errors import InvalidInput, WeakPassword
from provision.core.letters import invisible, normal
from provision.core.secret import Secret
from provision.core.texts import N_

MAX_BYTES = 72  # bcrypt, which keeps the passwords of operators, reads no more
CLASSES = N_("capital letter, small letter, digit, other character")
TOO_FEW_CLASSES = N_(
    {
        1: "The password needs one of: {classes}.",
        2: "The password needs two of: {classes}.",
        3: "The password needs three of: {classes}.",
        4: "The password needs four of: {classes}.",
    }
)
SCHEME = "{SHA512-CRYPT}"
ROUNDS = 5000  # the default of $6$, and what Dovecot's own `doveadm pw` makes
SALT = r"[^\x00-\x20\x7f-\U0010ffff$:|!*;\\]"  # visible ASCII, and what crypt(3) and the accounts file take
BASE64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
ARGON2 = r"\$v=[0-9]+\$m=([0-9]+),t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}"
# Each shape that Dovecot accepts in postfix-accounts.cf, found by logging in with it.
HASH_SHAPES = {
    "SHA512-CRYPT": re.compile(rf"\$6\$(rounds=[0-9]{{4,9}}\$)?{SALT}{{1,16}}\$[./A-Za-z0-9]{{86}}"),
    "SHA256-CRYPT": re.compile(rf"\$5\$(rounds=[0-9]{{4,9}}\$)?{SALT}{{1,16}}\$[./A-Za-z0-9]{{43}}"),
    "BLF-CRYPT": re.compile(r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}"),
    "ARGON2ID": re.compile(rf"\$argon2id{ARGON2}"),
    "ARGON2I": re.compile(rf"\$argon2i{ARGON2}"),
    "SSHA512": re.compile(rf"(?=.{{92}}){BASE64}"),
    "SSHA256": re.compile(rf"(?=.{{48}}){BASE64}"),
    "PBKDF2": re.compile(rf"\$1\${SALT}+\$[0-9]{{1,9}}\$[0-9a-fA-F]{{40}}"),
}
ARGON2_MAX_KIB = 128 * 1024  # Dovecot's auth process refuses 256 MiB as "Authentication failed"
GENERATED_LENGTH = 17
_SALT_LETTERS = string.ascii_letters + string.digits + "./"
_EASY_LETTERS = "".join(c for c in string.ascii_letters + string.digits if c not in "0O1lI")


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """What an admin may choose: how long a password is, and how many of CLASSES it has."""

    min_length: int
    max_length: int
    classes: int


def check_password(password: Secret, rules: PasswordRules, *, address: str = "") -> Secret:
    """The password in the form that is kept, by the rules, and by what the mail server cannot take in any case.

    Raises: WeakPassword.
    """
    text = normal(password.reveal())
    least, most = rules.min_length, rules.max_length
    if not least <= len(text) <= most:
        raise WeakPassword(f"The password needs {least} to {most} characters; this one has {len(text)}.")
    if invisible(text):
        raise WeakPassword("The password holds invisible characters, which cannot be typed at a login.")
    if text != text.strip():
        raise WeakPassword("The password begins or ends with a blank; the mail server would cut it off.")
    if len(text.encode()) > MAX_BYTES:
        raise WeakPassword(f"The password is longer than {MAX_BYTES} bytes; use fewer characters outside a–z.")
    if is_hash(Secret(text)):
        raise WeakPassword("The password is written like a password hash; choose another one.")
    if _classes(text) < rules.classes:
        raise WeakPassword(TOO_FEW_CLASSES[rules.classes].format(classes=CLASSES))
    if address and text.casefold() in (address.casefold(), address.partition("@")[0].casefold()):
        raise WeakPassword("The password is the address itself.")
    return Secret(text)


def _classes(text: str) -> int:
    others = any(not c.isupper() and not c.islower() and not c.isdigit() for c in text)
    return sum((any(map(str.isupper, text)), any(map(str.islower, text)), any(map(str.isdigit, text)), others))


def generate_password(rules: PasswordRules) -> Secret:
    """A random password without letters that look alike, of all four classes: 17 characters if the rules allow it."""
    length = min(max(GENERATED_LENGTH, rules.min_length), rules.max_length)
    while True:
        letters = (secrets.choice(_EASY_LETTERS) for _ in range(length))
        text = "".join("-" if i % 6 == 5 and i < length - 1 else letter for i, letter in enumerate(letters))
        if _classes(text) == 4:
            return Secret(text)


def hash_password(password: Secret) -> Secret:
    """`{SHA512-CRYPT}$6$<16 salt>$<86>`, about 1–3 ms. The C library's crypt runs without the GIL."""
    text = password.reveal()
    if "\0" in text:
        raise InvalidInput("A password cannot hold a NUL character.")
    salt = "".join(secrets.choice(_SALT_LETTERS) for _ in range(16))
    return Secret(SCHEME + _crypt(text.encode(), salt))


def hash_passwords(passwords: Iterable[Secret]) -> Iterator[Secret]:
    """Hash many, in order, on all cores."""
    with ThreadPoolExecutor(cpu_count() or 2) as pool:
        yield from pool.map(hash_password, passwords)


def verify_password(password: Secret, password_hash: Secret) -> bool:
    """Whether a `{SHA512-CRYPT}` hash is of this password."""
    shape = password_hash.reveal().removeprefix(SCHEME)
    if not shape.startswith("$6$"):
        return False
    try:
        return bool(sha512_crypt.verify(password.reveal(), shape))
    except ValueError:  # cut off, or with a salt that nobody makes: no password fits it
        return False


def check_hash(text: str) -> Secret:
    """Accept a hash made elsewhere, in a scheme that Dovecot knows. Raises: InvalidInput."""
    scheme, body = _split_scheme(text)
    if scheme == "PLAIN" or scheme == "CLEARTEXT":
        raise InvalidInput("The password hash is a readable password ({PLAIN}); give it as password instead.")
    shape = HASH_SHAPES.get(scheme)
    if shape is None:
        raise InvalidInput(f"The hash scheme {{{scheme[:20]}}} is not known to Dovecot as this product uses it.")
    found = shape.fullmatch(body)
    if not found:
        raise InvalidInput(f"The password hash is not a complete {scheme} hash.")
    if scheme.startswith("ARGON2") and int(found[1]) > ARGON2_MAX_KIB:
        raise InvalidInput("The ARGON2 hash needs more memory than Dovecot's login process has (128 MiB).")
    return Secret(f"{{{scheme}}}{body}")


def is_hash(secret: Secret) -> bool:
    """Whether this is written as a hash with its scheme, complete or not: that is never taken for a password."""
    scheme, bracket, _ = secret.reveal().removeprefix("{").partition("}")
    return secret.reveal().startswith("{") and bool(bracket) and scheme in HASH_SHAPES


def _split_scheme(text: str) -> tuple[str, str]:
    """The scheme and the rest; a bare crypt hash is given the scheme its prefix says."""
    if text.startswith("{") and "}" in text:
        scheme, _, body = text[1:].partition("}")
        scheme = scheme.upper()
    else:
        scheme, body = "CRYPT", text
    if scheme == "CRYPT":
        prefixes = {
            "$6$": "SHA512-CRYPT",
            "$5$": "SHA256-CRYPT",
            "$2": "BLF-CRYPT",
            "$argon2id$": "ARGON2ID",
            "$argon2i$": "ARGON2I",
        }
        scheme = next((name for prefix, name in prefixes.items() if body.startswith(prefix)), scheme)
    return scheme, body


def _crypt(password: bytes, salt: str) -> str:
    library = _crypt_library()
    if library is None:
        return str(sha512_crypt.using(rounds=ROUNDS, salt=salt).hash(password))
    room = ctypes.create_string_buffer(131072)  # struct crypt_data of libxcrypt is 32 KiB, of old glibc 128 KiB
    made = library.crypt_r(password, b"$6$" + salt.encode(), room)
    if not made or not made.startswith(b"$6$"):
        raise InvalidInput("The system's password hashing refused this password.")
    return str(made.decode())


@cache
def _crypt_library() -> ctypes.CDLL | None:
    """libcrypt by ctypes, which frees the GIL during the call; None where there is none."""
    name = ctypes.util.find_library("crypt") or "libcrypt.so.1"
    try:
        library = ctypes.CDLL(name)
        library.crypt_r.restype = ctypes.c_char_p
        library.crypt_r.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
    except (OSError, AttributeError):
        return None
    return library
