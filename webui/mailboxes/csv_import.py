"""CSV import: upload, what would happen, confirm; then how far it is, on the page, also after leaving it."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from provision.core.columns import Column
from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from provision.services.new_mailbox import NewMailbox
from provision.storage.models import TaskStatus
from provision.transfer.csv_io import ImportResult, changes_of, plan_import
from provision.transfer.csv_reader import Reading
from provision.transfer.import_jobs import (
    ImportProgress,
    cancel_import,
    dismiss_import,
    import_job,
    import_jobs,
    start_import,
)
from webui.http.base_path import url_for
from webui.kit import format, problems, ui
from webui.kit.i18n import _, counted, written
from webui.kit.listing import height_of, show
from webui.mailboxes import csv_columns

SHOWN = 200
REFRESH = "2s"
ICONS = {
    TaskStatus.WAITING: ":material/schedule:",
    TaskStatus.RUNNING: ":material/upload:",
    TaskStatus.DONE: ":material/check_circle:",
    TaskStatus.CANCELLED: ":material/cancel:",
    TaskStatus.FAILED: ":material/error:",
}


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file would do, without its passwords: this may stay in the session."""

    accepted: int
    refused: int
    rows: list[NewMailbox]
    errors: list[dict[str, Any]]
    left_out: list[str]
    updated: int
    changes: list[dict[str, Any]]


ERRORS = (
    Column("row", N_("Row"), look="small"),
    Column("column", N_("Column"), look="small"),
    Column("reason", N_("Reason"), look="large"),
)
PLANNED = (
    Column("address", N_("Address"), lambda new: readable(new.address)),
    Column("name", N_("Name"), "display_name"),
    Column("quota", N_("Quota"), lambda new: _quota(new.quota_bytes)),
    Column("aliases", N_("Aliases"), lambda new: list(map(readable, new.aliases)), st.column_config.ListColumn),
    Column("enabled", N_("Login"), look="small"),
)
CHANGES = (
    Column("address", N_("Address"), lambda one: readable(one["address"])),
    Column("what", N_("What"), look="small"),
    Column("before", N_("Before")),
    Column("after", N_("After")),
)


# ---- upload and preview --------------------------------------------------------------------


@ui.dialog(N_("Import CSV"), Permission.MAILBOX_WRITE, width="large", icon=":material/upload:")
def import_dialog(opened: ui.Dialog) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(
            _("Columns: email, password or password_hash, display_name, quota_mb, aliases, enabled."), width="content"
        )
        st.link_button(_("Template"), url_for("/export/mailboxes-template.csv"), icon=":material/download:")
    file = st.file_uploader(
        _("CSV file"), type=["csv", "txt"], label_visibility="collapsed", key=f"mb_import_{opened.key}"
    )
    plan, reading = None, Reading()
    with ui.attempt():
        if file:
            reading = csv_columns.reading(opened, file)
            plan = _plan(opened, file, reading)
            _show(plan)
    rows = plan.accepted + plan.updated if plan else 0
    if opened.buttons(counted(rows, "Import {n} mailbox", "Import {n} mailboxes"), disabled=not rows) and file:
        start_import(ui.app(), opened.who.actor, file.getvalue(), reading, uid=opened.uid)
        ui.done(_("The import has begun. It goes on when you leave this page."))


def _plan(opened: ui.Dialog, file: Any, reading: Reading) -> Preview:
    """Looked at once for each file and way to read it."""

    def look() -> Preview:
        with st.spinner(_("Reading the file …")):
            return _preview(plan_import(ui.app(), opened.who.actor, file.getvalue(), reading))

    return opened.once(look, f"{file.file_id} {reading}")


def _preview(result: ImportResult) -> Preview:
    rows = [replace(new, password=None, password_hash=None) for new in result.accepted[:SHOWN]]
    errors = [
        {"row": e.number, "column": e.column, "reason": problems.sentence(e.code, e.message)}
        for e in result.errors[:SHOWN]
    ]
    changes = [{**one, "what": _what(one["what"]), **_values(one)} for one in changes_of(result)[:SHOWN]]
    return Preview(
        len(result.accepted), len(result.rejected), rows, errors, list(result.left_out), len(result.updated), changes
    )


def _quota(quota_bytes: int | None) -> str:
    return _("default") if quota_bytes is None else format.size(quota_bytes)


def _what(name: str) -> str:
    words = {"display_name": _("Name"), "quota_bytes": _("Quota"), "enabled": _("Login"), "password": _("Password")}
    return words[name]


def _values(change: dict[str, Any]) -> dict[str, str]:
    """Before and after as they are read."""

    def shown(value: object) -> str:
        if isinstance(value, bool):
            return _("Active") if value else _("Disabled")
        return format.size(value) if isinstance(value, int) else str(value)

    return {name: shown(change[name]) for name in ("before", "after")}


def _show(plan: Preview) -> None:
    left, middle, right = st.columns(3)
    left.metric(_("To be created"), written(plan.accepted), border=True)
    middle.metric(_("To be changed"), written(plan.updated), border=True)
    right.metric(_("Rows refused"), written(plan.refused), border=True)
    if plan.errors:
        st.caption(_("These rows are refused; the others are imported."))
        show(plan.errors, ERRORS, alt=_("Rows refused"), height=height_of(plan.errors, 5))
    if plan.rows:
        show(plan.rows, PLANNED, alt=_("To be created"), height=height_of(plan.rows, 5))
    if plan.changes:
        show(plan.changes, CHANGES, alt=_("To be changed"), height=height_of(plan.changes, 5))
    if plan.left_out:
        st.caption(_("Left out: {names}", names=ui.plain(ui.some(plan.left_out, 8))))
    if max(plan.accepted, plan.refused, len(plan.changes)) > SHOWN:
        st.caption(_("Only the first {n} are shown.", n=SHOWN))


# ---- progress ------------------------------------------------------------------------------


def progress(who: SignedIn) -> None:
    """The operator's imports: running ones refresh themselves."""
    for job in import_jobs(ui.app(), who.actor):
        st.fragment(_job, run_every=REFRESH if job.open else None)(job.uid, job.open)


def _job(uid: UUID, was_open: bool) -> None:
    who = ui.signed_in(Permission.MAILBOX_READ, seen=False)
    with ui.attempt():
        job = import_job(ui.app(), who.actor, uid)
        if was_open and not job.open:
            st.rerun(scope="app")  # the list shows what was created
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"mb_job_{uid.hex}"):
            if job.open:
                _running(who, job)
            else:
                _finished(who, job)


def _running(who: SignedIn, job: ImportProgress) -> None:
    counts = _("{done} of {total} rows, {created} created, {refused} refused", **_numbers(job))
    heading = (
        _("Import is being stopped")
        if job.cancelling
        else _("Import running")
        if job.status == TaskStatus.RUNNING
        else _("Import waits")
    )
    st.progress(job.done / max(job.total, 1), text=f"{ICONS[job.status]} {heading}: {counts}")
    if st.button(_("Stop"), key=f"mb_stop_{job.uid.hex}", disabled=job.cancelling):
        cancel_import(ui.app(), who.actor, job.uid)
        st.rerun(scope="fragment")


def _finished(who: SignedIn, job: ImportProgress) -> None:
    headings = {
        TaskStatus.DONE: _("Import finished"),
        TaskStatus.CANCELLED: _("Import stopped"),
        TaskStatus.FAILED: _("Import failed"),
    }
    text = f"{ICONS[job.status]} **{headings[job.status]}**: " + _(
        "{created} created, {refused} refused", **_numbers(job)
    )
    if job.existing:
        text += ", " + counted(job.existing, "{n} that exists is as in the file", "{n} that exist are as in the file")
    st.markdown(f"{text}. {ui.plain(problems.translated(job.error or ''))}", width="stretch")
    if job.has_passwords:
        st.link_button(
            _("New passwords, once"), url_for(f"/export/import-passwords.csv?import={job.uid}"), icon=":material/key:"
        )
    if job.has_rejected:
        st.link_button(
            _("Refused rows"), url_for(f"/export/import-rejected.csv?import={job.uid}"), icon=":material/download:"
        )
    if st.button(_("Hide"), key=f"mb_hide_{job.uid.hex}"):
        dismiss_import(ui.app(), who.actor, job.uid)
        st.rerun(scope="app")


def _numbers(job: ImportProgress) -> dict[str, int]:
    return {name: getattr(job, name) for name in ("done", "total", "created", "refused")}
