"""How Postfix and docker-mailserver tell letters apart: what is a blank, and which capitals are the same.

Both know ASCII only: U+00A0 is no blank to them, and Ü is not ü.
Source: Postfix, ISSPACE and lowercase(); docker-mailserver, `grep -i` in the C locale.
"""

import re
import string
from collections.abc import Iterator

from provision.core.address import shorten

BLANKS = " \t\n\v\f\r"
HASH = re.compile(r"(\{[A-Za-z0-9.-]+\}|\$\w{1,12}\$)\S*")
_BLANK = re.compile(f"[{BLANKS}]+")
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def fold(key: str) -> str:
    """The key as Postfix looks it up."""
    return key.lower() if key.isascii() else key.translate(_SMALL)


def words(text: str, splits: int = 0) -> list[str]:
    """The text at its blanks; `splits`: so many times only."""
    return [word for word in _BLANK.split(text.strip(BLANKS), splits) if word]


def logical_lines(text: str) -> Iterator[str]:
    """The lines of a Postfix table without comments; a line that begins with a blank continues the one before."""
    whole = ""
    for line in text.split("\n"):
        if not line.strip(BLANKS) or line.lstrip(BLANKS).startswith("#"):
            continue
        if line[0] in BLANKS:
            whole += line if whole else ""
            continue
        if whole:
            yield whole.rstrip(BLANKS)
        whole = line
    if whole:
        yield whole.rstrip(BLANKS)


def is_blank(line: str) -> bool:
    return not line.strip(BLANKS)


def shown(text: str) -> str:
    """A piece of a file as it may be shown: short, printable, hashes as `***`."""
    return shorten(HASH.sub("***", text).strip())
