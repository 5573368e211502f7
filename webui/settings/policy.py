"""The rules on the settings page: what is in force and where it comes from, the dialog to change them; their hint."""

import re
from functools import partial
from typing import Any

import streamlit as st

from provision.core.access import Permission
from provision.core.columns import Column
from provision.core.policy import NAMES, bounds, meaning, place
from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from provision.services.policy import Rule, Shown, Source
from provision.settings.config import Settings, variables
from webui.kit import format, ui
from webui.kit.hints import password_hint
from webui.kit.i18n import _, word, written
from webui.kit.listing import show

MB = 1 << 20
UNSHOWN = {"data_dir", "database_url", "secret_key_file"}  # places and secrets of the installation
SOURCES = {Source.SET: N_("Set here"), Source.ENVIRONMENT: N_("Environment"), Source.DEFAULT: N_("Default")}
FIELD = "st_rule_"
COLOURS: dict[str, format.Colour] = dict(zip(SOURCES.values(), ("blue", "orange", "gray"), strict=True))
SECRET = re.compile("password|token|secret")


def part(buttons: Any) -> None:
    """The whole section. `buttons`: the place of the page's main buttons."""
    who = ui.signed_in(Permission.POLICY_READ)
    shown = ui.app().services.policy.show(who.actor)
    chosen = any(rule.source is Source.SET for rule in shown.rules)
    if buttons.button(_("Back to defaults"), icon=":material/undo:", disabled=not chosen):
        reset_dialog(shown)
    if buttons.button(_("Edit rules"), type="primary", icon=":material/edit:", on_click=_start_anew):
        edit_dialog(shown)
    show(shown.rules, RULES, alt=_("Rules"), height="content")
    st.caption(_("Passwords: {hint}", hint=password_hint()))
    st.subheader(_("Set in the environment"), anchor=False)
    _environment(ui.app().settings)
    st.caption(_("These take effect when Postroom is restarted."))
    st.caption(_("Your session ends at {time}.", time=format.local(who.expires_at)))


RULES = (
    Column("rule", N_("Rule"), lambda rule: _capital(word(meaning(rule.name))), "large"),
    Column("value", N_("Value"), lambda rule: _written(rule.name, rule.value)),
    Column("source", N_("From"), lambda rule: [word(SOURCES[rule.source])], partial(format.states, COLOURS)),
    Column("default", N_("Default"), lambda rule: _written(rule.name, rule.default)),
    Column("variable", N_("Variable"), lambda rule: variables(rule.name)[-1]),
)


def _environment(settings: Settings) -> None:
    """Every other setting with its meaning, its value now, and the variable that sets it."""
    fields = Settings.model_fields
    columns = (
        Column("rule", N_("Rule"), lambda name: _capital(word(fields[name].description or name)), "large"),
        Column("value", N_("Value"), lambda name: _plain(getattr(settings, name))),
        Column("variable", N_("Variable"), lambda name: variables(name)[-1]),
    )
    shown = [name for name in fields if name not in UNSHOWN and name not in NAMES and not SECRET.search(name)]
    show(shown, columns, alt=_("Set in the environment"), height="content")


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


@ui.dialog(N_("Edit rules"), Permission.POLICY_WRITE, width="medium")
def edit_dialog(opened: ui.Dialog, shown: Shown) -> None:
    """Of two admins the second is told: `shown` is what this one saw when they opened it."""
    st.caption(_("What is left empty is as the environment or the product says. Changes hold at once, for everybody."))
    with opened.form():
        headings = dict.fromkeys(place(name).group for name in NAMES)
        given = {name: value for heading in headings for name, value in _group(shown, heading).items()}
        sent = opened.submit(_("Save"))
    if sent:
        changes = {name: value for name, value in given.items() if value != _own(shown[name])}
        ui.app().services.policy.edit(opened.who.actor, changes, expected_version=shown.version)
        ui.done(_("The rules are saved."))


def reset_dialog(shown: Shown) -> None:
    def reset(who: SignedIn) -> str:
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
