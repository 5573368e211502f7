"""Dialogs to make a mailbox, to change one, and to set the quota of several."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import pandas as pd
import streamlit as st

from provision.access import Permission
from provision.errors import Conflict, InvalidInput
from provision.provisioner.newcomers import NewMailbox
from provision.secret import Secret
from provision.signin import SignedIn
from webui import delivery, ui
from webui.i18n import _, counted
from webui.policy import password_hint

MB = 1 << 20
MAX_MB = 1 << 30
KEY, MADE, VERSION = "mb_new_key", "mb_new_made", "mb_edit_version"
Row = Mapping[str, Any]


# ---- create --------------------------------------------------------------------------------


def create_dialog(domains: Sequence[str]) -> None:
    """One mailbox for one opened dialog, however often its button is pressed."""
    st.session_state[KEY] = uuid4().hex
    place = domains[0] if domains else "example.com"

    @st.dialog(_("Create mailbox"), icon=":material/add:")
    def create() -> None:
        who = ui.signed_in(Permission.MAILBOX_READ)
        whole = st.empty()
        with whole.form("new_mailbox", border=False):
            address = st.text_input(_("Address"), placeholder=f"name@{place}", icon=":material/mail:", max_chars=255)
            name = st.text_input(_("Name"), max_chars=200)
            quota, messages = _quota_fields(None, None, _("as the domain says"))
            typed = st.text_input(
                _("Password"), type="password", placeholder=_("empty: one-time password"), autocomplete="new-password",
                help=password_hint(),
            )  # fmt: skip
            again = st.text_input(_("Password again"), type="password", autocomplete="new-password")
            sent = ui.submit(_("Create"))
        if sent:
            with ui.attempt():
                password = same(typed, again)
                new = NewMailbox(
                    (address or "").strip(), password or ui.app().policy.one_time_password(), display_name=name or "",
                    quota_bytes=None if quota is None else quota * MB, quota_messages=messages,
                )  # fmt: skip
                _create(who, new, whole if password is None else None)

    create()


def _create(who: SignedIn, new: NewMailbox, once: Any) -> None:
    """`once`: the place where the one-time password is shown, instead of the form."""
    write, key = ui.app().provisioner, st.session_state[KEY]
    row = write.create_mailbox(who.actor, new, idempotency_key=key)
    secret = new.password
    if once and st.session_state.get(MADE) == key:  # pressed twice: the first password was never seen, so another
        row, secret = write.reset_password(who.actor, row.uid)
    st.session_state[MADE] = key
    text = _("{address} is created.", address=row.address)
    if once and secret:
        delivery.show_once(who, once, text, row, secret)
    else:
        delivery.done(who, text, row)


def same(typed: str | None, again: str | None) -> Secret | None:
    """A password that was typed twice; None where nothing was typed. Raises: InvalidInput."""
    if (typed or "") != (again or ""):
        raise InvalidInput(_("The two passwords are not the same."))
    return Secret(typed) if typed else None


# ---- edit ----------------------------------------------------------------------------------


def edit_dialog(row: Row) -> None:
    """What somebody else saved meanwhile is shown, and replaced only if asked for again."""
    st.session_state[VERSION] = row["version"]

    @st.dialog(_("Edit mailbox"), icon=":material/edit:")
    def edit() -> None:
        who = ui.signed_in(Permission.MAILBOX_READ)
        with st.form("edit_mailbox", border=False):
            st.text_input(_("Address"), row["address"], disabled=True)
            name = st.text_input(_("Name"), row["display_name"], max_chars=200)
            shown = row["quota_bytes"] // MB, row["quota_messages"] or 0
            quota, messages = _quota_fields(*shown, _("no limit"))
            sent = ui.submit(_("Save"))
        if sent:
            mine = {
                "display_name": name or "", "quota_bytes": row["quota_bytes"] if quota == shown[0] else (quota or 0) * MB,
                "quota_messages": messages or 0,
            }  # fmt: skip
            with ui.attempt():
                _edit(who, row, mine)

    edit()


def _edit(who: SignedIn, row: Row, mine: Mapping[str, Any]) -> None:
    try:
        made = ui.app().provisioner.edit_mailbox(
            who.actor, row["uid"], **mine, expected_version=st.session_state[VERSION]
        )
    except Conflict as conflict:
        if conflict.code != "EDIT_CONFLICT":
            raise
        st.session_state[VERSION] = ui.app().queries.mailbox(who.actor, row["uid"]).version
        _both(conflict.details["current"], mine)
        return
    delivery.done(who, _("{address} is saved.", address=made.address), made)


def _both(current: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
    """Their values beside ours."""
    st.warning(_("Somebody else has changed this mailbox meanwhile. Nothing was saved."), icon=":material/group:")
    names = {"display_name": _("Name"), "quota_bytes": _("Quota (MB)"), "quota_messages": _("Message quota")}
    lines = [
        {"": title, _("Saved now"): _cell(name, current[name]), _("Yours"): _cell(name, mine[name])} for name, title in names.items()
    ]  # fmt: skip
    st.table(pd.DataFrame(lines).set_index(""))
    st.caption(_("Save again to replace their values with yours, or close to leave them."))


def _cell(name: str, value: Any) -> str:
    if name == "display_name":
        return ui.plain(str(value or "–"))
    if not value:
        return _("no limit")
    return f"{value / MB:,.6g}" if name == "quota_bytes" else f"{value:,}"


# ---- quotas --------------------------------------------------------------------------------


def quota_dialog(rows: Sequence[Row], mine: ui.Listing) -> None:
    @st.dialog(_("Set quota"), icon=":material/data_usage:")
    def set_quota() -> None:
        who = ui.signed_in(Permission.MAILBOX_READ)
        with st.form("set_quota", border=False):
            st.write(chosen_text(rows))
            standard = ui.app().policy.now().default_quota_mb
            quota = st.number_input(_("Quota (MB)"), 0, MAX_MB, standard, 256, help=_("0: no limit"))
            sent = ui.submit(_("Save"))
        if sent:
            with ui.attempt():
                result = ui.app().provisioner.set_quotas(who.actor, [row["uid"] for row in rows], int(quota or 0) * MB)
                mine.clear_selection()
                number = len(result.done) + len(result.unchanged)
                text = counted(number, "The quota of {n} mailbox is set.", "The quota of {n} mailboxes is set.")
                delivery.done_many(who, text, result)

    set_quota()


def chosen_text(rows: Sequence[Row]) -> str:
    """The address, or how many and the first of them."""
    names = ", ".join(ui.plain(row["address"]) for row in rows[:5])
    if len(rows) == 1:
        return f"**{names}**"
    more = ", …" if len(rows) > 5 else ""
    return f"**{counted(len(rows), '{n} mailbox', '{n} mailboxes')}**: {names}{more}"


def _quota_fields(quota: int | None, messages: int | None, nothing: str) -> tuple[int | None, int | None]:
    left, right = st.columns(2)
    help_text = _("0: no limit")
    chosen = left.number_input(_("Quota (MB)"), 0, MAX_MB, quota, 256, placeholder=nothing, help=help_text)
    number = right.number_input(
        _("Message quota"), 0, 1 << 40, messages, 1000, placeholder=_("no limit"), help=help_text
    )
    return chosen, number
