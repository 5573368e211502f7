"""Dialogs to make a mailbox, to change one, and to set the quota of several."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from provision.core.errors import InvalidInput
from provision.core.secret import Secret
from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from provision.queries.rows import MailboxRow
from provision.services.new_mailbox import NewMailbox
from provision.storage.models import Mailbox
from webui.kit import edit_conflict, problems, ui
from webui.kit.hints import password_hint
from webui.kit.i18n import _, counted, written
from webui.mailboxes import delivery

MB = 1 << 20
ANYBODY = "a.new.mailbox"  # in each domain: whether a rule on the server would take its mail
LOOKED_AT, TOLD = 20, 3
MAX_MB = 1 << 30


# ---- create --------------------------------------------------------------------------------


@ui.dialog(N_("Create mailbox"), Permission.MAILBOX_WRITE, icon=":material/add:")
def create_dialog(opened: ui.Dialog, domains: Sequence[str]) -> None:
    """One mailbox for one opened dialog, however often its button is pressed."""
    place = readable(domains[0]) if domains else "example.com"
    anybody = [f"{ANYBODY}@{domain}" for domain in domains[:LOOKED_AT]]
    problems.warn(ui.app().queries.mailboxes_warnings(opened.who.actor, anybody)[:TOLD])
    with opened.form():
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
        sent = opened.submit(_("Create"))
    if sent:
        new = NewMailbox(
            (address or "").strip(),
            same(typed, again),
            display_name=name or "",
            quota_bytes=None if quota is None else quota * MB,
            quota_messages=messages,
        )
        row, secret = opened.once(lambda: _create(opened.who, new))
        text = _("{address} is created.", address=readable(row.address))
        if secret:
            delivery.done_with_password(opened.who, text, row, secret)
        delivery.done(opened.who, text, row)


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


@ui.dialog(N_("Edit mailbox"), Permission.MAILBOX_WRITE, icon=":material/edit:")
def edit_dialog(opened: ui.Dialog, row: MailboxRow) -> None:
    """What somebody else saved meanwhile is shown, and replaced only if asked for again."""
    with opened.form():
        st.text_input(_("Address"), readable(row["address"]), disabled=True)
        name = st.text_input(_("Name"), row["display_name"], max_chars=200)
        shown = row["quota_bytes"] // MB, row["quota_messages"] or 0
        quota, messages = _quota_fields(*shown, _("no limit"))
        sent = opened.submit(_("Save"))
    if sent:
        values: Values = {
            "display_name": name or "",
            "quota_bytes": row["quota_bytes"] if quota == shown[0] else (quota or 0) * MB,
            "quota_messages": messages or 0,
        }
        with edit_conflict.saving(opened, row["version"], values, _written()) as version:
            who = opened.who
            made = ui.app().services.mailboxes.edit(who.actor, row["uid"], **values, expected_version=version)
            delivery.done(who, _("{address} is saved.", address=readable(made.address)), made)


def _written() -> edit_conflict.Fields:
    return {
        "display_name": (_("Name"), str),
        "quota_bytes": (_("Quota (MB)"), lambda value: f"{value / MB:,.6g}" if value else _("no limit")),
        "quota_messages": (_("Message quota"), lambda value: written(value) if value else _("no limit")),
    }


# ---- quotas --------------------------------------------------------------------------------


@ui.dialog(N_("Set quota"), Permission.MAILBOX_WRITE, icon=":material/data_usage:")
def quota_dialog(opened: ui.Dialog, rows: Sequence[MailboxRow], listing: ui.Listing) -> None:
    with opened.form():
        st.write(chosen_text(rows))
        standard = ui.app().services.policy.now().default_quota_mb
        quota = st.number_input(_("Quota (MB)"), 0, MAX_MB, standard, 256, help=_("0: no limit"))
        sent = opened.submit(_("Save"))
    if sent:
        actor, uids = opened.who.actor, [row["uid"] for row in rows]
        result = ui.app().services.bulk.set_quota(actor, uids, int(quota or 0) * MB)
        listing.clear_selection()
        number = len(result.done) + len(result.unchanged)
        text = counted(number, "The quota of {n} mailbox is set.", "The quota of {n} mailboxes is set.")
        delivery.done_many(opened.who, text, result)


def chosen_text(rows: Sequence[MailboxRow]) -> str:
    """The address, or how many and the first of them."""
    names = ui.some((ui.plain(readable(row["address"])) for row in rows), 5)
    if len(rows) == 1:
        return f"**{names}**"
    return f"**{counted(len(rows), '{n} mailbox', '{n} mailboxes')}**: {names}"


def _quota_fields(quota: int | None, messages: int | None, nothing: str) -> tuple[int | None, int | None]:
    left, right = st.columns(2)
    help_text = _("0: no limit")
    chosen = left.number_input(_("Quota (MB)"), 0, MAX_MB, quota, 256, placeholder=nothing, help=help_text)
    number = right.number_input(
        _("Message quota"), 0, 1 << 40, messages, 1000, placeholder=_("no limit"), help=help_text
    )
    return chosen, number
