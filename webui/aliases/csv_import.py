"""Aliases from a CSV file: what would be made and what is refused, then done."""

from typing import Any

import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from provision.core.columns import Column
from provision.core.texts import N_
from provision.transfer.alias_csv import AliasImport, import_aliases
from provision.transfer.csv_reader import Encoding
from webui.aliases import parts
from webui.kit import csv_file, problems, ui
from webui.kit.i18n import _, counted
from webui.kit.listing import height_of, show

PLANNED = (
    Column("alias", N_("Alias"), lambda new: readable(new.address)),
    Column("destinations", N_("Goes to"), lambda new: ", ".join(map(readable, new.destinations))),
)
ERRORS = (
    Column("row", N_("Row"), "number", "small"),
    Column("reason", N_("Reason"), lambda error: problems.sentence(error.code, error.message), "large"),
)


def buttons(search: str, domain: str | None, *, may_write: bool) -> None:
    """Beside the heading of the page: out, in, and one by hand."""
    ui.export_link("/export/aliases.csv", search=search, domain=domain)
    if may_write and st.button(_("Import CSV"), icon=":material/upload:"):
        import_dialog()
    if may_write and st.button(_("Add alias"), type="primary", icon=":material/add:"):
        parts.create_dialog()


@ui.dialog(N_("Import CSV"), Permission.ALIAS_WRITE, width="large", icon=":material/upload:")
def import_dialog(opened: ui.Dialog) -> None:
    st.caption(_("Columns: alias, destinations (several divided by commas or semicolons), mailbox."))
    file = st.file_uploader(
        _("CSV file"), type=["csv", "txt"], label_visibility="collapsed", key=f"al_import_{opened.key}"
    )
    count = 0
    with ui.attempt():
        if file:
            encoding = csv_file.encoding(opened, file)
            plan = _import(opened, file, encoding, dry_run=True)
            count = len(plan.accepted)
            if plan.errors:
                st.caption(_("These rows are refused; the others are imported."))
                show(plan.errors, ERRORS, alt=_("Rows refused"), height=height_of(plan.errors, 5))
            if plan.accepted:
                show(plan.accepted, PLANNED, alt=_("To be created"), height=height_of(plan.accepted, 5))
    if opened.buttons(counted(count, "Import {n} alias", "Import {n} aliases"), disabled=not count) and file:
        with ui.attempt() as tried:
            made = _import(opened, file, encoding)
        if tried.ok:
            ui.done(counted(len(made.created), "{n} alias was created.", "{n} aliases were created."))


def _import(opened: ui.Dialog, file: Any, encoding: Encoding | None, *, dry_run: bool = False) -> AliasImport:
    def look() -> AliasImport:
        key = None if dry_run else str(opened.uid)
        how: dict[str, Any] = {"dry_run": dry_run, "idempotency_key": key}
        return import_aliases(ui.app(), opened.who.actor, file.getvalue(), encoding, **how)

    return opened.once(look, f"{file.file_id} {encoding} {dry_run}")
