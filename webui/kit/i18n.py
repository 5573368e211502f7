"""Every word on the screen in the reader's language. Texts are keyed by their English.

`_("…")` takes a literal; values go in as `{names}`. Each stands in `webui/kit/texts/`, with its Japanese and Chinese.
"""

import pkgutil
from functools import cache
from importlib import import_module

import streamlit as st

import webui.kit.texts

LANGUAGES = {"en": "English", "ja": "日本語", "zh": "中文"}
STATE = "language"


@cache
def catalogue() -> dict[str, tuple[str, str]]:
    """English → (Japanese, Chinese), of all modules in webui/kit/texts."""
    found: dict[str, tuple[str, str]] = {}
    for module in pkgutil.iter_modules(webui.kit.texts.__path__):
        found.update(import_module(f"webui.kit.texts.{module.name}").TEXTS)
    return found


def language() -> str:
    """Chosen in the sidebar, else what the browser asks for."""
    chosen = st.session_state.get(STATE)
    return chosen if chosen in LANGUAGES else browser_language()


def browser_language() -> str:
    locale = st.context.locale
    short = locale[:2].lower() if isinstance(locale, str) else "en"
    return short if short in LANGUAGES else "en"


def _(text: str, **values: object) -> str:
    return say(text, language(), **values)


def counted(n: int, one: str, many: str, **values: object) -> str:
    """For what is counted: `counted(n, "{n} mailbox", "{n} mailboxes")`. Japanese and Chinese know no plural."""
    spoken = language()
    return say(one if n == 1 and spoken == "en" else many, spoken, n=f"{n:,}", **values)


def word(text: str) -> str:
    """For a text that comes from a table of texts: as it is where no translation is known."""
    return say(text, language())


def say(text: str, spoken: str, **values: object) -> str:
    """The text in one language; English where there is no other."""
    if spoken != "en":
        pair = catalogue().get(text)
        text = (pair[0] if spoken == "ja" else pair[1]) if pair else text
    return text.format(**values) if values else text
