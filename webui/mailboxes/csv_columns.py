"""Which column of an uploaded file is what: recognised, remembered or chosen, beside its first rows."""

from typing import Any

import streamlit as st

from provision.core.errors import InvalidInput
from provision.core.texts import N_
from provision.transfer.csv_reader import Look, Reading, look
from provision.transfer.import_jobs import remembered
from provision.transfer.mapping import COLUMNS, SECRET_COLUMNS
from webui.kit import csv_file, ui
from webui.kit.i18n import _, word

HIDDEN = "•••"
WORDS = N_(
    {
        "": "Left out",
        "email": "Address",
        "domain": "Domain",
        "password": "Password",
        "password_hash": "Password hash",
        "display_name": "Name",
        "first_name": "First name",
        "last_name": "Last name",
        "quota_mb": "Quota (MB)",
        "quota_gb": "Quota (GB)",
        "aliases": "Aliases",
        "enabled": "Login",
        "disabled": "Login blocked",
    }
)


def reading(opened: ui.Dialog, file: Any) -> Reading:
    """How the file is to be read, as far as it does not tell by itself. Raises: InvalidInput."""
    encoding = csv_file.encoding(opened, file)
    seen = look(file.getvalue(), encoding)  # not kept: it may hold passwords
    columns = None if {name.lower() for name in seen.header} <= {*COLUMNS, "error"} else _columns(opened, file, seen)
    passwords = st.checkbox(_("Make a new password where a row has none"), key=f"mb_passwords_{opened.key}")
    update = st.checkbox(_("Update mailboxes that exist: name, quota, login"), key=f"mb_update_{opened.key}")
    reset = update and st.checkbox(_("Also set their passwords, where a row has one"), key=f"mb_reset_{opened.key}")
    return Reading(encoding, columns, passwords, update, reset)


def _columns(opened: ui.Dialog, file: Any, seen: Look) -> dict[str, str]:
    """The heading of each of our columns. Raises: InvalidInput where two are the same."""
    known = remembered(ui.app(), opened.who.actor, [name for name in seen.header if name.lower() != "error"])
    names = {heading: column for column, heading in (known or seen.columns).items()}
    st.caption(_("Which column is what? The first rows are shown beside; what is chosen is proposed again next time."))
    chosen: dict[str, str] = {}
    with st.container(height=260):
        for number, heading in enumerate(seen.header):
            left, right = st.columns(2, vertical_alignment="bottom")
            options, key = list(WORDS), f"mb_column_{opened.key}_{file.file_id}_{number}"
            index = options.index(names.get(heading, ""))
            column = left.selectbox(ui.plain(heading) or "–", options, index, lambda one: word(WORDS[one]), key=key)
            right.caption(ui.plain(_examples(seen, number, column)))
            if column in chosen:
                raise InvalidInput(f"The column {column} is there twice.", code="CSV_UNREADABLE")
            chosen |= {column: heading} if column else {}
    return chosen


def _examples(seen: Look, number: int, column: str) -> str:
    """What stands in it first; never where passwords are."""
    if column in SECRET_COLUMNS:
        return HIDDEN
    return ", ".join(row[number] for row in seen.rows if number < len(row) and row[number])
