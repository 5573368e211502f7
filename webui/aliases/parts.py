"""Aliases: the table, and the dialogs to add, change, assign and delete them."""

import re
from collections.abc import Sequence
from uuid import UUID

import streamlit as st

from provision.core import address as addresses
from provision.core.access import Actor, Permission
from provision.core.columns import Column
from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from provision.queries import Page
from provision.queries.rows import AliasRow
from webui.kit import edit_conflict, format, problems, ui
from webui.kit.i18n import _, counted
from webui.kit.listing import Selection
from webui.kit.outcome import done

COLUMNS = (
    Column("mailbox", N_("Belongs to"), lambda row: row["mailbox"] and addresses.readable(row["mailbox"]), 185),
    Column("address", N_("Alias"), lambda row: named(row["address"]), "medium"),
    Column("destinations", N_("Goes to"), lambda row: ", ".join(map(addresses.readable, row["destinations"])), 260),
    Column("sync", N_("Sync"), format.sync_cell, format.sync_column),
    Column("last", N_("Last sync"), "last_synced_at", format.time_column),
    Column("problem", N_("Problem"), problems.reason, "medium", optional=True),
)


def table(listing: ui.Listing, page: Page[AliasRow], *, selectable: bool) -> list[AliasRow]:
    """The aliases by owner; returns the selected ones."""
    select: Selection | None = "multi-row" if selectable else None
    return listing.table(page.rows, COLUMNS, alt=_("Aliases"), select=select, rows_shown=14)


def named(address: str) -> str:
    """The address as people write it, a catch-all marked as such."""
    return addresses.readable(address) + (f"  ({_('catch-all')})" if address.startswith("@") else "")


def split(text: str | None) -> list[str]:
    """One per line, or separated by commas."""
    return [part for part in re.split(r"[\s,;]+", text or "") if part]


# ---- dialogs -------------------------------------------------------------------------------


@ui.dialog(N_("Add alias"), Permission.ALIAS_WRITE)
def create_dialog(opened: ui.Dialog) -> None:
    address = st.text_input(
        _("Alias"),
        key=f"al_address_{opened.key}",
        live="300ms",
        max_chars=254,
        placeholder="sales@example.com",
        help=_("An address, or @ and a domain for all its addresses (catch-all)."),
    )
    catch_all_warning(address or "")
    targets = destinations_field("", f"al_targets_{opened.key}")
    warn(opened.who, address or "", split(targets))
    owner = st.text_input(
        _("Belongs to the mailbox (optional)"),
        key=f"al_owner_{opened.key}",
        max_chars=254,
        help=_("Under which mailbox it is listed. Left empty: its destination, if that is the only one and yours."),
    )
    if opened.buttons(_("Add")):
        actor = opened.who.actor
        row = ui.app().services.aliases.create(
            actor,
            address or "",
            split(targets),
            mailbox_id=mailbox_named(actor, owner),
            idempotency_key=str(opened.uid),
        )
        done(opened.who, _("{address} is saved.", address=addresses.readable(row.address)), row)


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


def warn(who: SignedIn, address: str, destinations: Sequence[str]) -> None:
    """What keeps its mail from arriving, as far as it is typed."""
    problems.warn(ui.app().queries.alias_warnings(who.actor, address, destinations))


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


@ui.dialog(N_("Edit alias"), Permission.ALIAS_WRITE)
def edit_dialog(opened: ui.Dialog, row: AliasRow) -> None:
    st.text_input(_("Alias"), addresses.readable(row["address"]), disabled=True)
    catch_all_warning(row["address"])
    warn(opened.who, row["address"], row["destinations"])
    with opened.form():
        text = destinations_field("\n".join(map(addresses.readable, row["destinations"])), f"al_edit_{opened.key}")
        sent = opened.submit(_("Save"))
    if sent:
        targets, written = split(text), {"destinations": (_("Goes to"), _listed)}
        with edit_conflict.saving(opened, row["version"], {"destinations": ", ".join(targets)}, written) as version:
            saved = ui.app().services.aliases.edit(opened.who.actor, row["uid"], targets, expected_version=version)
            done(opened.who, _("{address} is saved.", address=addresses.readable(saved.address)), saved)


def _listed(destinations: str) -> str:
    return ", ".join(map(addresses.readable, destinations.split(", ")))


@ui.dialog(N_("Owner of the alias"), Permission.ALIAS_WRITE)
def assign_dialog(opened: ui.Dialog, row: AliasRow) -> None:
    st.text_input(_("Alias"), addresses.readable(row["address"]), disabled=True)
    with opened.form():
        address = st.text_input(
            _("Mailbox"), addresses.readable(row["mailbox"] or ""), placeholder=_("empty: nobody's"), max_chars=254
        )
        st.caption(_("Only where it is listed changes, not where its mail goes."))
        sent = opened.submit(_("Save"))
    if sent:
        actor = opened.who.actor
        ui.app().services.aliases.assign(actor, row["uid"], mailbox_named(actor, address))
        ui.done(_("Saved."))


def mailbox_named(actor: Actor, address: str | None) -> UUID | None:
    """The id of a mailbox that was typed; None if nothing was. Raises: InvalidEmail, NotFound."""
    typed = (address or "").strip()
    return ui.app().queries.mailbox_by_address(actor, addresses.normalise(typed)).uid if typed else None


def delete_dialog(rows: Sequence[AliasRow], listing: ui.Listing) -> None:
    names = [addresses.readable(row["address"]) for row in rows]

    def delete(who: SignedIn) -> str:
        write, uids = ui.app().services, [row["uid"] for row in rows]
        if len(rows) == 1:
            write.aliases.delete(who.actor, uids[0], expected_version=rows[0]["version"])
        else:
            write.aliases.delete_many(who.actor, uids)
        listing.clear_selection()
        return _("Deleted: {names}", names=ui.some(names))

    quoted = ui.some(f"`{name}`" for name in names)
    ui.confirm(
        counted(len(rows), "Delete alias", "Delete {n} aliases"),
        _("Mail to {names} is refused from then on. The mailboxes behind stay as they are.", names=quoted),
        _("Delete"),
        delete,
        permission=Permission.ALIAS_WRITE,
    )
