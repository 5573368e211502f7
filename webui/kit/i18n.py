"""Every word on the screen in the reader's language. Its key is the English; `webui/locale` has a folder per language.

`_("…")` takes a literal; values go in as `{names}`, whole numbers as the language writes them.
"""

from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

import streamlit as st
from babel import Locale
from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

LOCALE = Path(__file__).resolve().parent.parent / "locale"
CODES = ["en", *sorted(file.parent.parent.name for file in LOCALE.glob("*/LC_MESSAGES/postroom.po"))]
LANGUAGES = {code: str(Locale(code).get_display_name()).capitalize() for code in CODES}  # as each calls itself
STATE = "language"


def language() -> str:
    """Chosen in the sidebar, else what the browser asks for."""
    chosen = st.session_state.get(STATE)
    return chosen if chosen in LANGUAGES else browser_language()


def browser_language() -> str:
    locale = st.context.locale
    short = locale[:2].lower() if isinstance(locale, str) else "en"
    return short if short in LANGUAGES else "en"


# ---- saying it -----------------------------------------------------------------------------


def _(text: str, **values: object) -> str:
    return say(text, language(), **values)


def pgettext(context: str, text: str, **values: object) -> str:
    """For an English word that has two meanings: `context` says which."""
    return _filled(catalogue(language()).pgettext(context, text), language(), values)


def counted(n: int, one: str, many: str, **values: object) -> str:
    """For what is counted, with as many forms as the language has: `counted(n, "{n} mailbox", "{n} mailboxes")`."""
    spoken = language()
    return _filled(catalogue(spoken).ngettext(one, many, n), spoken, {"n": n, **values})


def word(text: str) -> str:
    """For a text that comes from a table, where `N_` marks it: as it is where no translation is known."""
    return say(text, language())


def written(number: float, *, grouped: bool = True) -> str:
    """`1,234.5` as the language writes it."""
    return str(format_decimal(number, locale=language(), group_separator=grouped))


def say(text: str, spoken: str, **values: object) -> str:
    """The text in one language; English where there is no other."""
    return _filled(catalogue(spoken).gettext(text) if text else "", spoken, values)


def _filled(text: str, spoken: str, values: dict[str, object]) -> str:
    shown = {name: format_decimal(v, locale=spoken) if type(v) is int else v for name, v in values.items()}
    return text.format(**shown) if values else text


# ---- the catalogues ------------------------------------------------------------------------


@cache
def catalogue(spoken: str) -> NullTranslations:
    """Compiled when it is first needed, in memory: so nothing that is compiled can be older than its text."""
    if spoken == "en":
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, _read(spoken))
    compiled.seek(0)
    return GNUTranslations(compiled)


def known_texts(spoken: str) -> list[str]:
    """The English of all texts, without those that are counted."""
    return [message.id for message in _read(spoken) if isinstance(message.id, str) and message.id]


def _read(spoken: str) -> Catalog:
    with (LOCALE / spoken / "LC_MESSAGES" / "postroom.po").open("rb") as file:
        return read_po(file, locale=spoken)
