"""Domains: the table with the way to what is in them, and the dialogs to add, change and delete one."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from provision.core.access import Permission
from provision.core.address import normalise_domain, readable
from provision.core.columns import Column
from provision.core.letters import folded
from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from provision.queries import Page, kept_to_pages
from provision.queries.rows import DomainRow
from webui.kit import edit_conflict, format, ui
from webui.kit.i18n import _, written

MB = 1 << 20
CLICKS = {"mailboxes": "dm_to_mailboxes", "aliases": "dm_to_aliases"}


def page_of(rows: Sequence[DomainRow], search: str, number: int, size: int) -> Page[DomainRow]:
    """The part of the list that is shown; `search`: in the name, as stored or as written, and the description."""
    words = folded(search).split()
    texts = (folded(f"{row['name']} {readable(row['name'])} {row['description']}") for row in rows)
    found = [row for row, text in zip(rows, texts, strict=True) if all(word in text for word in words)]
    number = kept_to_pages(number, len(found), size)
    return Page(found[(number - 1) * size : number * size], len(found), number, size)


def table(listing: ui.Listing, page: Page[DomainRow]) -> DomainRow | None:
    """The domains; returns the selected one. The number of users, and “Aliases”, lead to their lists."""
    standard = standard_quota()
    columns = (
        Column("name", N_("Domain"), lambda row: readable(row["name"]), 180),
        Column("mailboxes", N_("Mailboxes"), lambda row: written(row["mailboxes"]), partial(_click, "mailboxes")),
        Column("aliases", N_("Aliases"), lambda row: _("Show"), partial(_click, "aliases")),
        Column("quota", N_("Total quota"), total_quota, _right),
        Column("used", N_("Used"), lambda row: format.size(row["used_bytes"]), _right),
        Column("default", N_("Default quota"), lambda row: default_quota(row["default_quota_bytes"], standard), _right),
        Column("server", N_("Mail server")),
        Column("description", N_("Description"), look=150),
    )
    chosen = listing.one_of(page.rows, columns, alt=_("Domains"), rows_shown=14)
    _follow(page)
    return chosen


def _click(name: str, title: str) -> Any:
    return st.column_config.ButtonColumn(title, type="tertiary", key=CLICKS[name])


def _right(title: str) -> Any:
    return st.column_config.TextColumn(title, alignment="right")


def total_quota(row: DomainRow) -> str:
    """A mailbox without limit makes the sum a lower bound."""
    if row["unlimited"] and row["unlimited"] == row["mailboxes"]:
        return _("no limit")
    return format.size(row["quota_bytes"]) + ("+" if row["unlimited"] else "")


def standard_quota() -> int:
    return ui.app().services.policy.now().default_quota_mb * MB


def default_quota(quota_bytes: int | None, standard: int) -> str:
    """Of new mailboxes. None: as the rules say, `standard`."""
    if quota_bytes is None:
        return _("{size} (standard)", size=format.size(standard) if standard else _("no limit"))
    return format.size(quota_bytes) if quota_bytes else _("no limit")


def _follow(page: Page[DomainRow]) -> None:
    """One click leads to what is in a domain."""
    for name, key in CLICKS.items():
        click = st.session_state.get(key)
        if click and click["row"] < len(page.rows):
            prefix = "mb" if name == "mailboxes" else "al"
            st.switch_page(ui.PAGES / f"{name}.py", query_params={f"{prefix}_domain": page.rows[click["row"]]["name"]})


# ---- dialogs -------------------------------------------------------------------------------


@ui.dialog(N_("Add domain"), Permission.DOMAIN_WRITE)
def create_dialog(opened: ui.Dialog, servers: Sequence[str]) -> None:
    with opened.form():
        name = st.text_input(_("Domain"), placeholder="example.com", max_chars=253)
        server = st.selectbox(_("Mail server"), list(servers))
        description, quota = _fields("", None, opened.key)
        sent = opened.submit(_("Add"))
    if sent:
        row = ui.app().services.domains.create(
            opened.who.actor,
            normalise_domain(name or ""),
            server or "",
            description=description,
            default_quota_bytes=quota,
            idempotency_key=str(opened.uid),
        )
        ui.done(_("{name} is added.", name=readable(row.name)))


@ui.dialog(lambda row: _("Edit {name}", name=ui.plain(readable(row["name"]))), Permission.DOMAIN_WRITE)
def edit_dialog(opened: ui.Dialog, row: DomainRow) -> None:
    with opened.form():
        description, quota = _fields(row["description"], row["default_quota_bytes"], opened.key)
        sent = opened.submit(_("Save"))
    if sent:
        values = {"description": description, "default_quota_bytes": quota}
        with edit_conflict.saving(opened, row["version"], values, _written()) as version:
            ui.app().services.domains.edit(
                opened.who.actor,
                row["uid"],
                description=description,
                expected_version=version,
                default_quota_bytes=-1 if quota is None else quota,
            )
            ui.done(_("Saved."))


def _fields(description: str, quota_bytes: int | None, key: str) -> tuple[str, int | None]:
    """Description, and the default quota in bytes; None: the product's."""
    text = st.text_input(_("Description"), description, max_chars=200)
    megabytes = ui.emptyable_number(
        st,
        _("Default quota in MB (empty: standard, 0: no limit)"),
        0,
        1 << 30,
        None if quota_bytes is None else quota_bytes // MB,
        key=f"dm_quota_{key}",
        step=256,
        placeholder=_("standard"),
    )
    st.caption(_("For mailboxes made from now on; those that exist keep theirs."))
    return text or "", None if megabytes is None else int(megabytes) * MB


def _written() -> edit_conflict.Fields:
    standard = standard_quota()
    return {
        "description": (_("Description"), str),
        "default_quota_bytes": (_("Default quota"), lambda value: default_quota(value, standard)),
    }


def delete_dialog(row: DomainRow, listing: ui.Listing) -> None:
    def delete(who: SignedIn) -> str:
        left = ui.app().services.domains.delete(who.actor, row["uid"])
        listing.clear_selection()
        text = _("{name} is deleted.", name=readable(row["name"]))
        if not left:
            return text
        names = ui.some(left)
        still = _("The mail server still has entries of it, which the next import brings back: {names}", names=names)
        return f"{text} {still}"

    name = ui.plain(readable(row["name"]))
    ui.confirm(
        _("Delete {name}", name=name),
        _(
            "{name} is forgotten here. Nothing changes on the mail server. It must be empty: no mailboxes, no aliases.",
            name=f"**{name}**",
        ),
        _("Delete"),
        delete,
        permission=Permission.DOMAIN_WRITE,
    )
