"""Unicode: what can be seen, and the one form in which texts are kept or compared."""

import unicodedata

JOINERS = "\u200c\u200d"  # nothing by themselves, but words of some scripts and many emoji are written with them
SEEN = frozenset("LMNPS")  # letters, marks, numbers, punctuation, symbols
_UNSEEN_IN_SEARCH = str.maketrans("", "", JOINERS + "\u0307")  # the dot that İ keeps in small letters


def invisible(text: str) -> str | None:
    """The first character that nobody can see, by number and name; or None. Blanks of any width can be seen."""
    if text.isprintable():
        return None
    hidden = next((c for c in text if not is_visible(c)), None)
    return hidden and f"U+{ord(hidden):04X} {unicodedata.name(hidden, '')}".strip()


def is_visible(character: str) -> bool:
    """Whether it may stand in a text: a letter, mark, number, punctuation, symbol, blank or joiner."""
    category = unicodedata.category(character)
    return category[0] in SEEN or category == "Zs" or character in JOINERS


def is_blank(text: str) -> bool:
    """Whether there is nothing to be seen in it."""
    return not any(unicodedata.category(c)[0] in SEEN for c in text)


def normal(text: str) -> str:
    """The one form (NFKC) of what can be typed in several: composed letters, usual width."""
    return unicodedata.normalize("NFKC", text)


def folded(text: str) -> str:
    """As texts are compared in a search, without regard to capitals."""
    return normal(normal(text).casefold()).translate(_UNSEEN_IN_SEARCH)
