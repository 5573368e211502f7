"""Domains: the table with the way to what is in them, and the dialogs to add, change and delete one."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import streamlit as st

from provision.core.access import Permission
from provision.core.address import normalise_domain, readable
from provision.queries import Page, kept_to_pages
from webui.kit import edit_conflict, format, ui
from webui.kit.i18n import _, written

Row = Mapping[str, Any]
MB = 1 << 20
CLICKS = {"mailboxes": "dm_to_mailboxes", "aliases": "dm_to_aliases"}


def page_of(rows: Sequence[Row], search: str, number: int, size: int) -> Page:
    """The part of the list that is shown; `search`: in the name, as stored or as written, and the description."""
    needle = search.strip().lower()
    found = [
        row
        for row in rows
        if needle in row["name"] or needle in readable(row["name"]) or needle in row["description"].lower()
    ]
    number = kept_to_pages(number, len(found), size)
    return Page(found[(number - 1) * size : number * size], len(found), number, size)


def table(listing: ui.Listing, page: Page, *, selectable: bool) -> Row | None:
    """The domains; returns the selected one. The number of users, and “Aliases”, lead to their lists."""
    columns = {
        "name": st.column_config.TextColumn(_("Domain"), width=180),
        "mailboxes": st.column_config.ButtonColumn(_("Mailboxes"), type="tertiary", key=CLICKS["mailboxes"]),
        "aliases": st.column_config.ButtonColumn(_("Aliases"), type="tertiary", key=CLICKS["aliases"]),
        "quota": st.column_config.TextColumn(_("Total quota"), alignment="right"),
        "used": st.column_config.TextColumn(_("Used"), alignment="right"),
        "default": st.column_config.TextColumn(_("Default quota"), alignment="right"),
        "server": _("Mail server"),
        "description": st.column_config.TextColumn(_("Description"), width=150),
    }
    standard = standard_quota()
    chosen = listing.table(
        page,
        [_cells(row, standard) for row in page.rows],
        columns,
        alt=_("Domains"),
        select="single-row" if selectable else None,
        rows_shown=14,
    )
    _follow(page)
    return chosen[0] if chosen else None


def _cells(row: Row, standard: int) -> dict[str, Any]:
    return {
        "name": readable(row["name"]),
        "server": row["server"],
        "description": row["description"],
        "mailboxes": written(row["mailboxes"]),
        "aliases": _("Show"),
        "quota": total_quota(row),
        "used": format.size(row["used_bytes"]),
        "default": default_quota(row, standard),
    }


def total_quota(row: Row) -> str:
    """A mailbox without limit makes the sum a lower bound."""
    if row["unlimited"] and row["unlimited"] == row["mailboxes"]:
        return _("no limit")
    return format.size(row["quota_bytes"]) + ("+" if row["unlimited"] else "")


def standard_quota() -> int:
    return ui.app().services.policy.now().default_quota_mb * MB


def default_quota(row: Row, standard: int) -> str:
    if row["default_quota_bytes"] is None:
        return _("{size} (standard)", size=format.size(standard) if standard else _("no limit"))
    return format.size(row["default_quota_bytes"]) if row["default_quota_bytes"] else _("no limit")


def _follow(page: Page) -> None:
    """One click leads to what is in a domain."""
    for name, key in CLICKS.items():
        click = st.session_state.get(key)
        if click and click["row"] < len(page.rows):
            prefix = "mb" if name == "mailboxes" else "al"
            st.switch_page(ui.PAGES / f"{name}.py", query_params={f"{prefix}_domain": page.rows[click["row"]]["name"]})


# ---- dialogs -------------------------------------------------------------------------------


def create_dialog(servers: Sequence[str]) -> None:
    st.session_state["dm_new"] = uuid4().hex
    key = ui.dialog_key()

    @st.dialog(_("Add domain"))
    def create() -> None:
        who = ui.signed_in(Permission.DOMAIN_WRITE)
        with st.form(f"dm_new_{key}", border=False):
            name = st.text_input(_("Domain"), placeholder="example.com", max_chars=253)
            server = st.selectbox(_("Mail server"), list(servers))
            description, quota = _fields("", None, key)
            sent = ui.submit(_("Add"))
        if sent:
            with ui.attempt():
                row = ui.app().services.domains.create(
                    who.actor,
                    normalise_domain(name or ""),
                    server or "",
                    description=description,
                    default_quota_bytes=quota,
                    idempotency_key=st.session_state["dm_new"],
                )
                ui.done(_("{name} is added.", name=readable(row.name)))

    create()


def edit_dialog(row: Row) -> None:
    seen, key = edit_conflict.Seen(row["version"]), ui.dialog_key()

    @st.dialog(_("Edit {name}", name=ui.plain(readable(row["name"]))))
    def edit() -> None:
        who = ui.signed_in(Permission.DOMAIN_WRITE)
        with st.form(f"dm_edit_{key}", border=False):
            description, quota = _fields(row["description"], row["default_quota_bytes"], key)
            sent = ui.submit(_("Save"))
        if sent:
            values = {"description": description, "default_quota_bytes": quota}
            with edit_conflict.saving(seen, values, _written()):
                ui.app().services.domains.edit(
                    who.actor,
                    row["uid"],
                    description=description,
                    expected_version=seen.version,
                    default_quota_bytes=-1 if quota is None else quota,
                )
                ui.done(_("Saved."))

    edit()


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
        "default_quota_bytes": (
            _("Default quota"),
            lambda value: default_quota({"default_quota_bytes": value}, standard),
        ),
    }


def delete_dialog(row: Row, listing: ui.Listing) -> None:
    def delete() -> str:
        ui.app().services.domains.delete(ui.signed_in(Permission.DOMAIN_WRITE).actor, row["uid"])
        listing.clear_selection()
        return _("{name} is deleted.", name=readable(row["name"]))

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
