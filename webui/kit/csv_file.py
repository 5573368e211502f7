"""An uploaded CSV file: in which encoding it is."""

from typing import Any

import streamlit as st

from provision.transfer.csv_reader import Encoding, unknown_encoding
from webui.kit import ui
from webui.kit.i18n import _


def encoding(opened: ui.Dialog, file: Any) -> Encoding | None:
    """Asked where the file does not tell: a person sees by the first words which one is right."""
    possible = opened.once(lambda: unknown_encoding(file.getvalue()), f"{file.file_id} encoding")
    if not possible:
        return None
    asked = _("The file is not in UTF-8. Where do the words read right?")
    names = {Encoding.CP1252: _("Western European"), Encoding.SHIFT_JIS: _("Japanese"), Encoding.GB18030: _("Chinese")}
    return st.selectbox(
        asked, possible, None, lambda one: f"{names[one]} ({one}): {possible[one]}", key=f"csv_encoding_{opened.key}"
    )
