"""Aliases: the table, and the dialogs to add, change, assign and delete them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import streamlit as st

from provision.core import address as addresses
from provision.core.access import Permission
from provision.queries import Page
from webui.kit import edit_conflict, format, problems, ui
from webui.kit.i18n import _, counted
from webui.kit.outcome import done

Row = Mapping[str, Any]


def table(listing: ui.Listing, page: Page, *, selectable: bool) -> list[Row]:
    """The aliases by owner; returns the selected ones."""
    columns = {
        "mailbox": st.column_config.TextColumn(_("Belongs to"), width=185),
        "address": st.column_config.TextColumn(_("Alias"), width="medium"),
        "destinations": st.column_config.TextColumn(_("Goes to"), width=260),
        "sync": format.sync_column(_("Sync")),
        "last": format.time_column(_("Last sync")),
    }
    if any(row["reason"] for row in page.rows):
        columns["problem"] = st.column_config.TextColumn(_("Problem"), width="medium")
    cells = [
        {
            "mailbox": addresses.readable(row["mailbox"]) if row["mailbox"] else None,
            "address": named(row["address"]),
            "destinations": ", ".join(map(addresses.readable, row["destinations"])),
            "sync": [format.label(row["sync_status"])],
            "last": row["last_synced_at"],
            "problem": problems.reason(row),
        }
        for row in page.rows
    ]
    return list(
        listing.table(page, cells, columns, alt=_("Aliases"), select="multi-row" if selectable else None, rows_shown=14)
    )


def named(address: str) -> str:
    """The address as people write it, a catch-all marked as such."""
    return addresses.readable(address) + (f"  ({_('catch-all')})" if address.startswith("@") else "")


def split(text: str | None) -> list[str]:
    """One per line, or separated by commas."""
    return [part for part in re.split(r"[\s,;]+", text or "") if part]


# ---- dialogs -------------------------------------------------------------------------------


def create_dialog() -> None:
    st.session_state["al_new"] = uuid4().hex

    @st.dialog(_("Add alias"))
    def create() -> None:
        who = ui.signed_in(Permission.ALIAS_WRITE)
        key = st.session_state["al_new"]
        address = st.text_input(
            _("Alias"),
            key=f"al_address_{key}",
            live="300ms",
            max_chars=254,
            placeholder="sales@example.com",
            help=_("An address, or @ and a domain for all its addresses (catch-all)."),
        )
        catch_all_warning(address or "")
        targets = destinations_field("", f"al_targets_{key}")
        owner = st.text_input(
            _("Belongs to the mailbox (optional)"),
            key=f"al_owner_{key}",
            max_chars=254,
            help=_("Under which mailbox it is listed. Left empty: its destination, if that is the only one and yours."),
        )
        if ui.buttons(_("Add"), key=f"al_{key}"):
            with ui.attempt():
                row = ui.app().services.aliases.create(
                    who.actor, address or "", split(targets), mailbox_id=mailbox_named(owner), idempotency_key=key
                )
                done(who, _("{address} is saved.", address=addresses.readable(row.address)), row)

    create()


def catch_all_warning(address: str) -> None:
    if address.strip().startswith("*@"):
        st.info(_("A catch-all is written without the star: @ and the domain."), icon=":material/info:")
    if address.strip().startswith("@"):
        domain = ui.plain(addresses.shorten(address.strip()[1:])) or _("this domain")
        st.warning(
            _(
                "A catch-all takes the mail for every address of {domain} that is neither a mailbox nor an alias: "
                "misspelt ones, and much spam.",
                domain=domain,
            ),
            icon=":material/warning:",
        )


def destinations_field(value: str, key: str) -> str:
    typed = st.text_area(
        _("Goes to"),
        value,
        key=key,
        height=120,
        max_chars=30_000,
        placeholder="anna@example.com\nben@partner.example",
        help=_("One address per line, or separated by commas. They may be outside your domains."),
    )
    return typed or ""


def edit_dialog(row: Row) -> None:
    seen, key = edit_conflict.Seen(row["version"]), ui.dialog_key()

    @st.dialog(_("Edit alias"))
    def edit() -> None:
        who = ui.signed_in(Permission.ALIAS_WRITE)
        st.text_input(_("Alias"), addresses.readable(row["address"]), disabled=True)
        catch_all_warning(row["address"])
        with st.form(f"al_form_{key}", border=False):
            text = destinations_field("\n".join(map(addresses.readable, row["destinations"])), f"al_edit_{key}")
            sent = ui.submit(_("Save"))
        if sent:
            values = {"destinations": ", ".join(split(text))}
            with edit_conflict.saving(seen, values, {"destinations": (_("Goes to"), _listed)}):
                changed = ui.app().services.aliases.edit(
                    who.actor, row["uid"], split(text), expected_version=seen.version
                )
                done(who, _("{address} is saved.", address=addresses.readable(changed.address)), changed)

    edit()


def _listed(destinations: str) -> str:
    return ", ".join(map(addresses.readable, destinations.split(", ")))


def assign_dialog(row: Row) -> None:
    key = ui.dialog_key()

    @st.dialog(_("Owner of the alias"))
    def assign() -> None:
        who = ui.signed_in(Permission.ALIAS_WRITE)
        st.text_input(_("Alias"), addresses.readable(row["address"]), disabled=True)
        with st.form(f"al_assign_{key}", border=False):
            address = st.text_input(
                _("Mailbox"), addresses.readable(row["mailbox"] or ""), placeholder=_("empty: nobody's"), max_chars=254
            )
            st.caption(_("Only where it is listed changes, not where its mail goes."))
            sent = ui.submit(_("Save"))
        if sent:
            with ui.attempt():
                ui.app().services.aliases.assign(who.actor, row["uid"], mailbox_named(address))
                ui.done(_("Saved."))

    assign()


def mailbox_named(address: str | None) -> Any:
    """The id of a mailbox that was typed; None if nothing was. Raises: InvalidEmail, NotFound."""
    if not (address or "").strip():
        return None
    actor = ui.signed_in(Permission.ALIAS_WRITE).actor
    return ui.app().queries.mailbox_by_address(actor, addresses.normalise(address or "")).uid


def delete_dialog(rows: Sequence[Row], listing: ui.Listing) -> None:
    def delete() -> str:
        actor = ui.signed_in(Permission.ALIAS_WRITE).actor
        uids = [row["uid"] for row in rows]
        if len(rows) == 1:
            ui.app().services.aliases.delete(actor, uids[0], expected_version=rows[0]["version"])
        else:
            ui.app().services.aliases.delete_many(actor, uids)
        listing.clear_selection()
        return _("Deleted: {names}", names=some(rows))

    ui.confirm(
        counted(len(rows), "Delete alias", "Delete {n} aliases"),
        _("Mail to {names} is refused from then on. The mailboxes behind stay as they are.", names=some(rows, "`")),
        _("Delete"),
        delete,
        permission=Permission.ALIAS_WRITE,
    )


def some(rows: Sequence[Row], quote: str = "", shown: int = 3) -> str:
    """The first few by name, and how many more there are."""
    names = ", ".join(quote + addresses.readable(row["address"]) + quote for row in rows[:shown])
    return (
        names
        if len(rows) <= shown
        else counted(len(rows) - shown, "{names} and {n} more", "{names} and {n} more", names=names)
    )
