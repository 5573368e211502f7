"""What a cell of a CSV file means: numbers, yes and no, lists, as people and spreadsheets write them."""

import re
import unicodedata
from decimal import Decimal

from provision.core import address as addresses
from provision.core.errors import InvalidInput
from provision.services.checks import check_quota

MB = 1 << 20
UNITS = {"K": Decimal(1) / 1024, "M": Decimal(1), "G": Decimal(1024), "T": Decimal(1 << 20)}  # in MB
FORMULA = re.compile(r"'*[=+\-@\t\r]")
YES = re.compile("|true|yes|y|on|1|enabled|active|wahr|ja|aktiv|vrai|oui|actif|はい|真|有効|是|启用")
NO = re.compile("false|no|n|off|0|disabled|suspended|falsch|nein|inaktiv|faux|non|inactif|いいえ|偽|無効|否|假|禁用")
WITH_UNIT = re.compile(r"(.*[0-9]) ?([KMGT])(?:i?B|o)?", re.IGNORECASE)
GROUPS = re.compile(r"(?<=[0-9])[ \u00a0\u202f'’](?=[0-9]{3}(?![0-9]))")  # nothing else is meant by these in a number
TWO_READINGS = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
NUMBER = r"[0-9]{{1,10}}(\{0}[0-9]{{1,20}})?|[1-9][0-9]{{0,2}}(\{1}[0-9]{{3}}){{1,3}}(\{0}[0-9]{{1,20}})?"


def quota_bytes(cell: str) -> int | None:
    """A number of MB, or with its unit: `1,5 GB` is rounded to whole MB. Raises: InvalidInput."""
    if not cell:
        return None
    found = WITH_UNIT.fullmatch(cell)
    size = number(found[1]) * UNITS[found[2].upper()] if found else number(cell)
    if found and size:
        size = max(Decimal(1), Decimal(round(size)))
    if size * MB != int(size * MB):
        raise _no_quota()
    return check_quota(int(size * MB))


def number(cell: str) -> Decimal:
    """As people write it: `1024`, `1.5`, `1,5`, `1.024,5`, `1 024`. Raises: InvalidInput, also for two readings."""
    text = GROUPS.sub("", cell)
    if TWO_READINGS.fullmatch(text):
        whole, part = text[:-4] + text[-3:], f"{text}0"
        raise InvalidInput(f"{cell} can be read in two ways; write {whole}, or {part}.", code="INVALID_QUOTA")
    for decimal, thousands in (".,", ",."):
        if re.fullmatch(NUMBER.format(decimal, thousands), text):
            return Decimal(text.replace(thousands, "").replace(decimal, "."))
    raise _no_quota()


def _no_quota() -> InvalidInput:
    return InvalidInput("A quota is a number of MB such as 500; 0 is none.", code="INVALID_QUOTA")


def enabled(cell: str) -> bool:
    word = unicodedata.normalize("NFKC", cell).casefold()
    if not (YES.fullmatch(word) or NO.fullmatch(word)):
        raise InvalidInput("Write true or false.", code="INVALID_INPUT")
    return YES.fullmatch(word) is not None


def aliases(cell: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(addresses.normalise_alias(unguard(part)) for part in several(cell)))


def several(cell: str) -> list[str]:
    """What a list in one cell holds."""
    return [part for part in re.split(r"[;,\s，、；]+", cell) if part]


def guard(cell: str) -> str:
    """A cell that no spreadsheet runs as a formula; `unguard` gives it back."""
    return "'" + cell if FORMULA.match(cell) else cell


def unguard(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
