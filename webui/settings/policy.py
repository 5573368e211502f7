"""The rules on the settings page: what is in force and where it comes from, the dialog to change them; their hint."""

from typing import Any

import pandas as pd
import streamlit as st

from provision.core.access import Permission
from provision.core.policy import NAMES, bounds, meaning, place
from provision.core.texts import N_
from provision.services.policy import Rule, Shown, Source
from provision.settings.config import Settings, variables
from webui.kit import format, ui
from webui.kit.hints import password_hint
from webui.kit.i18n import _, word, written

MB = 1 << 20
UNSHOWN = {"data_dir", "database_url", "secret_key_file"}  # places and secrets of the installation
SOURCES = {Source.SET: N_("Set here"), Source.ENVIRONMENT: N_("Environment"), Source.DEFAULT: N_("Default")}
FIELD = "st_rule_"
COLOURS = ["blue", "orange", "gray"]


def part(buttons: Any) -> None:
    """The whole section. `buttons`: the place of the page's main buttons."""
    who = ui.signed_in(Permission.POLICY_READ)
    shown = ui.app().services.policy.show(who.actor)
    chosen = any(rule.source is Source.SET for rule in shown.rules)
    if buttons.button(_("Back to defaults"), icon=":material/undo:", disabled=not chosen):
        reset_dialog(shown)
    if buttons.button(_("Edit rules"), type="primary", icon=":material/edit:", on_click=_start_anew):
        edit_dialog(shown)
    _table(shown)
    st.caption(_("Passwords: {hint}", hint=password_hint()))
    st.subheader(_("Set in the environment"), anchor=False)
    _environment(ui.app().settings)
    st.caption(_("These take effect when Postroom is restarted."))
    st.caption(_("Your session ends at {time}.", time=format.local(who.expires_at)))


def _table(shown: Shown) -> None:
    columns: format.Columns = {
        "rule": st.column_config.TextColumn(_("Rule"), width="large"),
        "value": _("Value"),
        "source": st.column_config.MultiselectColumn(
            _("From"), options=[word(text) for text in SOURCES.values()], color=COLOURS
        ),
        "default": _("Default"),
        "variable": _("Variable"),
    }
    cells = [
        {
            "rule": _capital(word(meaning(rule.name))),
            "value": _written(rule.name, rule.value),
            "source": [word(SOURCES[rule.source])],
            "default": _written(rule.name, rule.default),
            "variable": variables(rule.name)[-1],
        }
        for rule in shown.rules
    ]
    frame = pd.DataFrame(cells, columns=list(columns))
    st.dataframe(frame, column_config=columns, hide_index=True, height="content", alt=_("Rules"))


def _environment(settings: Settings) -> None:
    """Every other setting with its meaning, its value now, and the variable that sets it."""
    cells = [
        {
            "rule": _capital(word(field.description or name)),
            "value": _plain(getattr(settings, name)),
            "variable": variables(name)[-1],
        }
        for name, field in Settings.model_fields.items()
        if name not in UNSHOWN
        and name not in NAMES
        and not any(part in name for part in ("password", "token", "secret"))
    ]
    columns: format.Columns = {
        "rule": st.column_config.TextColumn(_("Rule"), width="large"),
        "value": _("Value"),
        "variable": _("Variable"),
    }
    frame = pd.DataFrame(cells, columns=list(columns))
    st.dataframe(frame, column_config=columns, hide_index=True, height="content", alt=_("Set in the environment"))


def _written(name: str, value: float | bool) -> str:
    if name == "default_quota_mb":
        return format.size(int(value) * MB) if value else _("no limit")
    if isinstance(value, bool):
        return _("on") if value else _("off")
    return f"{written(value)} s" if "seconds" in name or "interval" in name else written(value)


def _plain(value: object) -> str:
    return "" if value is None else str(value)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---- dialogs -------------------------------------------------------------------------------


def edit_dialog(shown: Shown) -> None:
    """Of two admins the second is told: `shown` is what this one saw when they opened it."""

    @st.dialog(_("Edit rules"), width="medium")
    def edit() -> None:
        who = ui.signed_in(Permission.POLICY_WRITE)
        st.caption(
            _("What is left empty is as the environment or the product says. Changes hold at once, for everybody.")
        )
        with st.form("edit_policy", border=False):
            headings = dict.fromkeys(place(name).group for name in NAMES)
            given = {name: value for heading in headings for name, value in _group(shown, heading).items()}
            sent = ui.submit(_("Save"))
        if sent:
            with ui.attempt():
                changes = {name: value for name, value in given.items() if value != _own(shown[name])}
                ui.app().services.policy.edit(who.actor, changes, expected_version=shown.version)
                ui.done(_("The rules are saved."))

    edit()


def reset_dialog(shown: Shown) -> None:
    def reset() -> str:
        who = ui.signed_in(Permission.POLICY_WRITE)
        ui.app().services.policy.edit(who.actor, dict.fromkeys(NAMES), expected_version=shown.version)
        return _("The rules are as the environment or the product says.")

    changed = [
        f"- {_capital(word(meaning(r.name)))}: {_written(r.name, r.value)} → {_written(r.name, r.default)}"
        for r in shown.rules
        if r.source is Source.SET
    ]
    text = "\n".join([_("What was set here is forgotten:"), "", *changed])
    ui.confirm(_("Back to defaults"), text, _("Back to defaults"), reset, permission=Permission.POLICY_WRITE)


def _group(shown: Shown, heading: str) -> dict[str, Any]:
    st.markdown(f"**{word(heading)}**")
    names = [name for name in NAMES if place(name).group == heading]
    return {
        name: _field(shown[name], word(place(name).label), at) for name, at in zip(names, st.columns(3), strict=False)
    }


def _field(rule: Rule, text: str, at: Any) -> Any:
    """What is typed; None where the default shall hold."""
    limits, key, help_text = bounds(rule.name), f"{FIELD}{rule.name}", _capital(word(meaning(rule.name)))
    default = _("Default: {value}", value=_written(rule.name, rule.default))
    if limits is None:
        st.session_state.setdefault(key, _own(rule))
        states = {None: default, True: _("on"), False: _("off")}
        return at.selectbox(
            text, list(states), format_func=states.__getitem__, key=key, help=help_text, placeholder=default
        )
    kind = type(rule.default)
    return ui.emptyable_number(
        at,
        text,
        kind(limits[0]),
        kind(limits[1]),
        _own(rule),
        key=key,
        step=kind(1),
        placeholder=default,
        help=help_text,
        format="%d" if kind is int else "%g",
    )


def _start_anew() -> None:
    """What was typed into a dialog that was closed is not there when it is opened again."""
    for name in NAMES:
        st.session_state.pop(f"{FIELD}{name}", None)


def _own(rule: Rule) -> Any:
    return rule.value if rule.source is Source.SET else None
