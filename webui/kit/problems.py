"""What went wrong, in the reader's words.

The product speaks English: in its errors, the database, the log. A page finds the sentence again by its text, takes the
values out of it, and puts them into the translation. Where none fits, a heading by the code of the error comes first.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

import streamlit as st

from provision.core.texts import N_
from webui.kit.i18n import known_texts, language, say, word
from webui.kit.markup import plain

VALUE = re.compile(r"{(\d+)}")

HEADINGS = N_(
    {
        "ALIAS_DELETED": "The alias is being removed",
        "ALIAS_LOOP": "The alias leads to itself",
        "ALIAS_NOT_FOUND": "The alias does not exist",
        "BAD_BACKUP": "The backup cannot be used",
        "CHAIN_BROKEN": "The log is broken",
        "COMMAND_FAILED": "The mail server did not do it",
        "CSV_ENCODING": "The encoding of the file is not known",
        "CSV_UNREADABLE": "The file cannot be read",
        "DATABASE_IN_USE": "The database is in use",
        "DATABASE_UNAVAILABLE": "The database cannot be used now",
        "DOMAIN_IN_USE": "The domain is still in use",
        "DOMAIN_NOT_EMPTY": "The domain is not empty",
        "SERVER_NOT_EMPTY": "The mail server still has domains",
        "DOMAIN_NOT_FOUND": "The domain does not exist",
        "DUPLICATE": "The entry exists already",
        "DUPLICATE_ALIAS": "The alias exists already",
        "DUPLICATE_DOMAIN": "The domain exists already",
        "DUPLICATE_MAILBOX": "The address is taken already",
        "DUPLICATE_OPERATOR": "The operator exists already",
        "DUPLICATE_SERVER": "The mail server exists already",
        "DUPLICATE_TOKEN": "The token exists already",
        "EDIT_CONFLICT": "Somebody else has changed this",
        "FILE_EXISTS": "The file is there already",
        "FIELD_COUNT": "The row has too many or too few fields",
        "FORCE_NEEDED": "The mail goes with its account only",
        "IDEMPOTENCY_CONFLICT": "The request was sent twice with different content",
        "IDEMPOTENCY_IN_PROGRESS": "The request is being worked on",
        "IMPORT_NOT_FOUND": "The import does not exist",
        "INSUFFICIENT_PERMISSION": "You may not do this",
        "INVALID_EMAIL": "The address is not valid",
        "INVALID_EXPIRY": "The end is not valid",
        "INVALID_INPUT": "This cannot be used",
        "INVALID_NAME": "The name is not valid",
        "INVALID_NETWORK": "The network is not valid",
        "INVALID_POLICY": "The rule cannot be set so",
        "INVALID_QUOTA": "The quota is not valid",
        "INVALID_ROLE": "The role is not valid",
        "INVALID_SCOPE": "The scope is not valid",
        "INVALID_TOKEN": "The token is not valid",
        "KEY_UNUSABLE": "The key cannot be used",
        "LAST_SUPER_ADMIN": "The last super admin must stay",
        "LOCKED": "Locked for now",
        "LOG_NOT_FOUND": "The record does not exist",
        "MAILBOX_DELETED": "The mailbox is deleted",
        "MAILBOX_GONE": "It is gone from the mail server",
        "MAILBOX_NOT_FOUND": "The mailbox does not exist",
        "NETWORK_NOT_ALLOWED": "Your network is not allowed",
        "NOT_DONE": "It was not done",
        "NOT_FOUND": "It does not exist",
        "NOT_SIGNED_IN": "You are not signed in",
        "NO_ARCHIVE": "This is no archive",
        "NO_DESTINATION": "A destination is missing",
        "NO_DIFFERENCE": "There is no difference any more",
        "NO_DOMAIN": "A domain is missing",
        "NO_IMAP_HOST": "The login cannot be tried",
        "OPERATOR_NOT_FOUND": "The operator does not exist",
        "PASSWORD_NEEDED": "A password is needed",
        "RATE_LIMITED": "Too many requests",
        "SERVER_BUSY": "Changes are being sent just now",
        "SERVER_NOT_FOUND": "The mail server does not exist",
        "SERVER_UNREACHABLE": "The mail server cannot be reached",
        "SYNC_CONFLICT": "The two sides differ",
        "TOKEN_NOT_FOUND": "The token does not exist",
        "TOO_MANY": "Too many at once",
        "TOO_MANY_DESTINATIONS": "Too many destinations",
        "UNKNOWN_RULE": "The rule does not exist",
        "UNSAFE_PLAN": "The mail server is halted",
        "USAGE_UNKNOWN": "The usage is not known",
        "WEAK_PASSWORD": "The password is too weak",
        "WRONG_CREDENTIALS": "Wrong user name or password",
    }
)


def warn(sentences: Iterable[str]) -> None:
    """What hinders nothing and should be known."""
    for sentence in sentences:
        st.warning(plain(translated(sentence)), icon=":material/warning:")


def translated(message: str) -> str:
    """A sentence of the product in the reader's language; as it is where it is not known."""
    return _translated(message, language())


@lru_cache(maxsize=4096)
def _translated(message: str, spoken: str) -> str:
    known = say(message, spoken)
    if spoken == "en" or known != message:
        return known
    for shape, template in shapes(spoken):
        if found := shape.fullmatch(message):
            values = [_translated(value, spoken) if " " in value else value for value in found.groups()]
            return say(template, spoken).format(*values)
    return message


@cache
def shapes(spoken: str) -> list[tuple[re.Pattern[str], str]]:
    """The sentences with values and what they look like, those with the most letters of their own first."""
    templates = [text for text in known_texts(spoken) if "{0}" in text]
    templates.sort(key=lambda text: -len(VALUE.sub("", text)))
    return [(re.compile(_shape(text), re.DOTALL), text) for text in templates]


def _shape(template: str) -> str:
    """`{0}` is anything; where it comes again it is the same."""
    parts, seen = [], set[str]()
    for place, part in enumerate(VALUE.split(template.replace("{{", "{").replace("}}", "}"))):
        parts.append(re.escape(part) if place % 2 == 0 else f"(?P=v{part})" if part in seen else f"(?P<v{part}>.*?)")
        seen |= {part} if place % 2 else set()
    return "".join(parts)


def sentence(code: str | None, message: str) -> str:
    """What went wrong. Where it is known in English only, a heading stands before it."""
    said, heading = translated(message), HEADINGS.get(code or "")
    return f"{word(heading)}: {message}" if heading and said == message and language() != "en" else said


def reason(row: Mapping[str, Any]) -> str:
    """Why a row of a list is not on its mail server yet; empty where it is."""
    return sentence(row["reason_code"], row["reason"]) if row["reason"] else ""
