"""Two people change the same thing at once: the second sees both values, and may save their own all the same."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd
import streamlit as st

from provision.core.errors import Conflict
from webui.kit import ui
from webui.kit.i18n import _

Fields = Mapping[str, tuple[str, Callable[[Any], str]]]  # name → title, and how a value is written


@contextmanager
def saving(opened: ui.Dialog, version: int, values: Mapping[str, Any], fields: Fields) -> Iterator[int]:
    """Save `values`, expecting the version that is yielded: `version` as the dialog was opened. If somebody was faster
    their values stand beside it, and the next save replaces the very ones that are shown."""
    try:
        yield opened.kept.get("version", version)
    except Conflict as conflict:
        if conflict.code != "EDIT_CONFLICT":
            raise
        opened.kept["version"] = conflict.details["version"]
        _show(conflict.details["current"], values, fields)


def _show(theirs: Mapping[str, Any], values: Mapping[str, Any], fields: Fields) -> None:
    st.warning(_("Somebody else has changed this meanwhile. Nothing was saved."), icon=":material/group:")
    lines = [
        {
            "": title,
            _("Saved now"): ui.plain(text(theirs[name])) or "–",
            _("Yours"): ui.plain(text(values[name])) or "–",
        }
        for name, (title, text) in fields.items()
    ]
    st.table(pd.DataFrame(lines).set_index(""))
    st.caption(_("Save again to replace their values with yours, or close to leave them."))
