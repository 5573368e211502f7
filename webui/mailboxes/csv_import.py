"""CSV import: upload, what would happen, confirm; then how far it is, on the page, also after leaving it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st
from uuid6 import uuid7

from provision.core.access import Permission
from provision.core.address import readable
from provision.identity.sign_in import SignedIn
from provision.storage.models import TaskStatus
from provision.transfer.csv_io import ImportResult, plan_import
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

PLAN, KEY = "mb_import_plan", "mb_import_key"
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

    file_id: str
    accepted: int
    refused: int
    rows: list[dict[str, Any]]
    errors: list[dict[str, Any]]


# ---- upload and preview --------------------------------------------------------------------


def import_dialog() -> None:
    st.session_state[KEY] = str(uuid7())
    st.session_state.pop(PLAN, None)
    key = ui.dialog_key()

    @st.dialog(_("Import CSV"), width="large", icon=":material/upload:")
    def load() -> None:
        who = ui.signed_in(Permission.MAILBOX_READ)
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.caption(
                _("Columns: email, password or password_hash, display_name, quota_mb, aliases, enabled."),
                width="content",
            )
            st.link_button(_("Template"), url_for("/export/mailboxes-template.csv"), icon=":material/download:")
        file = st.file_uploader(
            _("CSV file"), type=["csv", "txt"], label_visibility="collapsed", key=f"mb_import_{key}"
        )
        if file is None:
            return
        with ui.attempt():
            plan = _plan(who, file)
            _show(plan)
            if ui.buttons(
                counted(plan.accepted, "Import {n} mailbox", "Import {n} mailboxes"),
                disabled=not plan.accepted,
                key="import",
            ):
                start_import(ui.app(), who.actor, file.getvalue(), uid=UUID(st.session_state[KEY]))
                ui.done(_("The import has begun. It goes on when you leave this page."))

    load()


def _plan(who: SignedIn, file: Any) -> Preview:
    """Looked at once for each file."""
    known = st.session_state.get(PLAN)
    if isinstance(known, Preview) and known.file_id == file.file_id:
        return known
    with st.spinner(_("Reading the file …")):
        plan = _preview(file.file_id, plan_import(ui.app(), who.actor, file.getvalue()))
    st.session_state[PLAN] = plan
    return plan


def _preview(file_id: str, result: ImportResult) -> Preview:
    rows = [
        {
            "address": readable(new.address),
            "name": new.display_name,
            "quota": _("default") if new.quota_bytes is None else format.size(new.quota_bytes),
            "aliases": list(map(readable, new.aliases)),
            "enabled": new.enabled,
        }
        for new in result.accepted[:SHOWN]
    ]
    errors = [
        {"row": e.number, "column": e.column, "reason": problems.sentence(e.code, e.message)}
        for e in result.errors[:SHOWN]
    ]
    return Preview(file_id, len(result.accepted), len(result.rejected), rows, errors)


def _show(plan: Preview) -> None:
    left, right = st.columns(2)
    left.metric(_("To be created"), written(plan.accepted), border=True)
    right.metric(_("Rows refused"), written(plan.refused), border=True)
    if plan.errors:
        columns: format.Columns = {
            "row": st.column_config.NumberColumn(_("Row"), width="small"),
            "column": st.column_config.TextColumn(_("Column"), width="small"),
            "reason": st.column_config.TextColumn(_("Reason"), width="large"),
        }
        st.caption(_("These rows are refused; the others are imported."))
        _table(plan.errors, columns, _("Rows refused"))
    if plan.rows:
        columns = {
            "address": _("Address"),
            "name": _("Name"),
            "quota": _("Quota"),
            "aliases": st.column_config.ListColumn(_("Aliases")),
            "enabled": st.column_config.CheckboxColumn(_("Login"), width="small"),
        }
        _table(plan.rows, columns, _("To be created"))
    if max(plan.accepted, plan.refused) > SHOWN:
        st.caption(_("Only the first {n} are shown.", n=SHOWN))


def _table(rows: list[dict[str, Any]], columns: format.Columns, alt: str) -> None:
    height = 31 * (min(len(rows), 5) + 1) + 3
    st.dataframe(
        pd.DataFrame(rows, columns=list(columns)), column_config=columns, hide_index=True, height=height, alt=alt
    )


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
    st.markdown(f"{text}. {ui.plain(problems.translated(job.error or ''))}", width="stretch")
    if job.has_rejected:
        st.link_button(
            _("Refused rows"), url_for(f"/export/import-rejected.csv?import={job.uid}"), icon=":material/download:"
        )
    if st.button(_("Hide"), key=f"mb_hide_{job.uid.hex}"):
        dismiss_import(ui.app(), who.actor, job.uid)
        st.rerun(scope="app")


def _numbers(job: ImportProgress) -> dict[str, int]:
    return {name: getattr(job, name) for name in ("done", "total", "created", "refused")}
