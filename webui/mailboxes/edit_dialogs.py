"""Dialogs to make a mailbox, to change one, and to set the quota of several."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict

import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from provision.core.errors import InvalidInput
from provision.core.secret import Secret
from provision.identity.sign_in import SignedIn
from provision.services.new_mailbox import NewMailbox
from provision.storage.models import Mailbox
from webui.kit import edit_conflict, ui
from webui.kit.hints import password_hint
from webui.kit.i18n import _, counted, written
from webui.mailboxes import delivery

MB = 1 << 20
MAX_MB = 1 << 30
Row = Mapping[str, Any]


# ---- create --------------------------------------------------------------------------------


def create_dialog(domains: Sequence[str]) -> None:
    """One mailbox for one opened dialog, however often its button is pressed."""
    once, form = ui.Once(), ui.dialog_key()
    place = readable(domains[0]) if domains else "example.com"

    @st.dialog(_("Create mailbox"), icon=":material/add:")
    def create() -> None:
        who = ui.signed_in(Permission.MAILBOX_READ)
        with st.form(f"new_mailbox_{form}", border=False):
            address = st.text_input(_("Address"), placeholder=f"name@{place}", icon=":material/mail:", max_chars=255)
            name = st.text_input(_("Name"), max_chars=200)
            quota, messages = _quota_fields(None, None, _("as the domain says"))
            typed = st.text_input(
                _("Password"),
                type="password",
                placeholder=_("empty: a new one is made and shown once"),
                autocomplete="new-password",
                help=password_hint(),
            )
            again = st.text_input(_("Password again"), type="password", autocomplete="new-password")
            sent = ui.submit(_("Create"))
        if sent:
            with ui.attempt():
                password = same(typed, again)
                new = NewMailbox(
                    (address or "").strip(),
                    password,
                    display_name=name or "",
                    quota_bytes=None if quota is None else quota * MB,
                    quota_messages=messages,
                )
                row, secret = once(lambda: _create(who, new))
                text = _("{address} is created.", address=readable(row.address))
                if secret:
                    delivery.done_with_password(who, text, row, secret)
                delivery.done(who, text, row)

    create()


def _create(who: SignedIn, new: NewMailbox) -> tuple[Mailbox, Secret | None]:
    """The mailbox; and the password that was made for it, where none was typed."""
    made = None if new.password else ui.app().services.policy.new_password()
    return ui.app().services.mailboxes.create(who.actor, replace(new, password=new.password or made)), made


def same(typed: str | None, again: str | None) -> Secret | None:
    """A password that was typed twice; None where nothing was typed. Raises: InvalidInput."""
    if (typed or "") != (again or ""):
        raise InvalidInput("The two passwords are not the same.")
    return Secret(typed) if typed else None


# ---- edit ----------------------------------------------------------------------------------


class Values(TypedDict):
    display_name: str
    quota_bytes: int
    quota_messages: int


def edit_dialog(row: Row) -> None:
    """What somebody else saved meanwhile is shown, and replaced only if asked for again."""
    seen, form = edit_conflict.Seen(row["version"]), ui.dialog_key()

    @st.dialog(_("Edit mailbox"), icon=":material/edit:")
    def edit() -> None:
        who = ui.signed_in(Permission.MAILBOX_READ)
        with st.form(f"edit_mailbox_{form}", border=False):
            st.text_input(_("Address"), readable(row["address"]), disabled=True)
            name = st.text_input(_("Name"), row["display_name"], max_chars=200)
            shown = row["quota_bytes"] // MB, row["quota_messages"] or 0
            quota, messages = _quota_fields(*shown, _("no limit"))
            sent = ui.submit(_("Save"))
        if sent:
            values: Values = {
                "display_name": name or "",
                "quota_bytes": row["quota_bytes"] if quota == shown[0] else (quota or 0) * MB,
                "quota_messages": messages or 0,
            }
            with edit_conflict.saving(seen, values, _written()):
                made = ui.app().services.mailboxes.edit(who.actor, row["uid"], **values, expected_version=seen.version)
                delivery.done(who, _("{address} is saved.", address=readable(made.address)), made)

    edit()


def _written() -> edit_conflict.Fields:
    return {
        "display_name": (_("Name"), str),
        "quota_bytes": (_("Quota (MB)"), lambda value: f"{value / MB:,.6g}" if value else _("no limit")),
        "quota_messages": (_("Message quota"), lambda value: written(value) if value else _("no limit")),
    }


# ---- quotas --------------------------------------------------------------------------------


def quota_dialog(rows: Sequence[Row], listing: ui.Listing) -> None:
    form = ui.dialog_key()

    @st.dialog(_("Set quota"), icon=":material/data_usage:")
    def set_quota() -> None:
        who = ui.signed_in(Permission.MAILBOX_READ)
        with st.form(f"set_quota_{form}", border=False):
            st.write(chosen_text(rows))
            standard = ui.app().services.policy.now().default_quota_mb
            quota = st.number_input(_("Quota (MB)"), 0, MAX_MB, standard, 256, help=_("0: no limit"))
            sent = ui.submit(_("Save"))
        if sent:
            with ui.attempt():
                result = ui.app().services.bulk.set_quota(who.actor, [row["uid"] for row in rows], int(quota or 0) * MB)
                listing.clear_selection()
                number = len(result.done) + len(result.unchanged)
                text = counted(number, "The quota of {n} mailbox is set.", "The quota of {n} mailboxes is set.")
                delivery.done_many(who, text, result)

    set_quota()


def chosen_text(rows: Sequence[Row]) -> str:
    """The address, or how many and the first of them."""
    names = ", ".join(ui.plain(readable(row["address"])) for row in rows[:5])
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
