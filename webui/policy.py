"""The rules in force, as the settings page shows them."""

import pandas as pd
import streamlit as st

from provision.config import Settings
from webui.i18n import _, word

UNSHOWN = {"data_dir", "database_url", "secret_key_file"}  # places and secrets of the installation


def table(settings: Settings) -> None:
    """Every setting with its meaning, its value now, and the variable that sets it."""
    cells = [
        {
            "meaning": _capital(word(field.description or name)), "value": str(getattr(settings, name)),
            "variable": f"POSTROOM_{name.upper()}",
        }
        for name, field in Settings.model_fields.items()
        if name not in UNSHOWN and not any(part in name for part in ("password", "token", "secret"))
    ]  # fmt: skip
    columns = {"meaning": _("Rule"), "value": _("Value"), "variable": _("Variable")}
    frame = pd.DataFrame(cells, columns=list(columns))
    st.dataframe(frame, column_config=columns, hide_index=True, height="content", alt=_("Rules"))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
