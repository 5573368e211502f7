"""Parts of the sync page that refresh themselves: health of the mail servers, what waits; and the unsafe-plan alarm.

A refresh is no sign of life of the reader: the gate inside does not keep their session alive.
"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from provision.core.access import Actor, Permission
from provision.core.address import readable
from provision.core.columns import Column
from provision.core.state import Resource
from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from provision.queries import Remedy
from provision.queries.rows import ServerRow, UnsyncedRow
from provision.services.comparing import Found
from provision.storage.models import SyncStatus
from provision.sync.result import PushResult, PushStatus
from webui.kit import format, ui
from webui.kit.i18n import _, counted
from webui.kit.listing import Selection
from webui.kit.outcome import explanation
from webui.kit.problems import reason, translated

EVERY = "3s"


# ---- health --------------------------------------------------------------------------------


@st.fragment(run_every=EVERY)
def health(halted: Sequence[Any]) -> None:
    """The mail servers. `halted`: those whose alarm the page explains already; when that changes it is drawn anew."""
    who = ui.signed_in(Permission.SYNC_READ, seen=False)
    with ui.attempt():
        servers = ui.app().queries.health(who.actor)
        if [row["uid"] for row in servers if row["alarm"]] != list(halted):
            st.rerun()
        for start in range(0, len(servers), 3):
            for place, row in zip(st.columns(3), servers[start : start + 3], strict=False):
                with place:
                    server_card(row)


def server_card(row: ServerRow) -> None:
    with st.container(border=True, gap="xxsmall", height="stretch"):
        format.server_head(row["name"], row["alarm"], row["error"], row["last_read_at"], row["accounts"], row["live"])
        if row["pending"] or row["failed"]:
            pending = [_("{n} pending", n=row["pending"])] if row["pending"] else []
            failed = [_("{n} failed", n=row["failed"])] if row["failed"] else []
            st.caption(" · ".join([*pending, *failed]))
        if row["error"] and not row["alarm"]:
            st.caption(ui.plain(translated(row["error"])))
        if row["error"] and row["next_attempt_at"]:
            st.caption(_("Next attempt {ago}", ago=format.due(row["next_attempt_at"])))
        if row["gathering_until"]:
            st.caption(_("Gathers changes until {time}", time=format.local(row["gathering_until"])[11:]))


# ---- what waits ----------------------------------------------------------------------------


@st.fragment(run_every=EVERY)
def unsynced(listing: ui.Listing, status: SyncStatus | None) -> None:
    """Every change that is not on its mail server yet, FAILED first, and the ways to try again."""
    who = ui.signed_in(Permission.SYNC_READ, seen=False)
    with ui.attempt():
        page = ui.app().queries.unsynced(who.actor, sync_status=status, number=listing.number, size=listing.size)
        if not page.total:
            ui.empty(_("Everything has reached the mail servers."), ":material/check_circle:")
            return
        may_push = who.may(Permission.SYNC_PUSH)
        bar = st.container(horizontal=True, vertical_alignment="center")
        select: Selection = "multi-row" if may_push else "single-row"
        chosen = listing.table(page.rows, UNSYNCED, alt=_("What waits"), select=select, rows_shown=11)
        listing.pages(page, _("{n} waiting", n=page.total))
        if len(chosen) == 1:
            _why(chosen[0])
        if may_push:
            _retry_buttons(bar, listing, chosen)


def _why(row: UnsyncedRow) -> None:
    """The whole reason and the next step; where two sides have to be weighed, the way to them."""
    st.info(f"**{ui.plain(readable(row['address']))}**: {ui.plain(explanation(row))}", icon=":material/info:")
    if row["remedy"] is Remedy.COMPARE:
        there = {"sy_part": "compare", "sy_server": row["server"], "sy_q": row["address"], "sy_again": True}
        if st.button(_("Compare"), icon=":material/compare_arrows:", on_click=ui.go_to, kwargs=there):
            st.rerun()


def kind_word(resource: str) -> str:
    return _("Alias") if resource == Resource.ALIAS else _("Mailbox")


def next_attempt(row: UnsyncedRow) -> str:
    """When it is tried again: by itself for what is PENDING, on request for what is FAILED."""
    if row["next_attempt_at"]:
        return format.due(row["next_attempt_at"])
    if row["sync_status"] == SyncStatus.FAILED:
        return _("when you retry")
    return _("Halted") if row["remedy"] is Remedy.LOOK else _("shortly")


UNSYNCED = (
    Column("address", N_("Address"), lambda row: readable(row["address"]), 180),
    Column("kind", N_("Kind"), lambda row: kind_word(row["resource"]), 88),
    Column("sync", N_("Sync"), format.sync_cell, format.sync_column),
    Column("reason", N_("Reason"), reason, 225),
    Column("attempts", N_("Attempts"), look=70),
    Column("next", N_("Next attempt"), next_attempt, 105),
    Column("server", N_("Mail server"), look=95),
)


def _retry_buttons(bar: Any, listing: ui.Listing, chosen: Sequence[UnsyncedRow]) -> None:
    actor = ui.signed_in(Permission.SYNC_PUSH, seen=False).actor
    write = ui.app().services
    if bar.button(_("Retry"), icon=":material/refresh:", disabled=not chosen, key="sy_retry"):
        with ui.attempt():
            write.sync.retry_many(actor, [(Resource(row["resource"]), row["uid"]) for row in chosen])
            _say_left(listing, _became(actor, chosen))
    if bar.button(_("Retry all"), icon=":material/restart_alt:", key="sy_retry_all"):
        with ui.attempt():
            write.sync.retry_all(actor)
            _say_left(listing)
    if chosen:
        bar.caption(counted(len(chosen), "{n} selected", "{n} selected"))


def _became(actor: Actor, chosen: Sequence[UnsyncedRow]) -> str:
    """Of the changes that were tried again: how many are done."""
    unsynced = sum(
        len(
            ui.app().queries.unsynced_of(actor, resource, [row["uid"] for row in chosen if row["resource"] == resource])
        )
        for resource in Resource
    )
    if len(chosen) > 1:
        return _("{done} of {n} are done on the mail server.", done=len(chosen) - unsynced, n=len(chosen))
    name = readable(chosen[0]["address"])
    if unsynced:
        return _("{name} is not done yet; the list says why.", name=name)
    return _("{name} is done on the mail server.", name=name)


def _say_left(listing: ui.Listing, became: str = "") -> None:
    actor = ui.signed_in(Permission.SYNC_READ).actor
    left = ui.app().queries.unsynced(actor, size=1).total
    listing.clear_selection()
    said = _("Tried again; still waiting: {n}.", n=left) if left else _("Tried again; nothing waits any more.")
    ui.done(f"{became} {said}".strip())


# ---- the alarm -----------------------------------------------------------------------------


def alarm(row: ServerRow, *, may_force: bool) -> None:
    """Why nothing is sent to this mail server, what to look at, and the way on for a SuperAdmin."""
    name = ui.plain(row["name"])
    with st.container(border=True, gap="small"):
        st.markdown(f"### :orange[:material/warning:] {_('Halted: {name}', name=name)}")
        st.markdown(ui.plain(translated(row["alarm"] or "")))
        st.markdown(
            _(
                "So much missing at once is nearly always a wrong folder, a volume that is not mounted, "
                "or the wrong container. "
                "To send anything now could make a mistake final, so all changes wait. The alarm ends by itself "
                "when the entries are back."
            )
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                _("See what is missing"),
                icon=":material/compare_arrows:",
                key=f"sy_see_{row['uid']}",
                on_click=ui.go_to,
                kwargs={"sy_part": "compare", "sy_server": row["name"], "sy_kind": Found.GONE, "sy_again": True},
            )
            if may_force:
                if st.button(_("Send anyway …"), icon=":material/lock_open:", key=f"sy_force_{row['uid']}"):
                    force_dialog(row)
            else:
                st.caption(_("Only a super admin can send anyway."))


def force_dialog(row: ServerRow) -> None:
    name = ui.plain(row["name"])

    def force(who: SignedIn) -> str:
        seconds = ui.app().settings.page_budget_seconds
        return pushed(ui.app().services.sync.force_push(who.actor, row["uid"], seconds=seconds))

    ui.confirm(
        _("Send to {name} anyway", name=name),
        _(
            "{reason}\n\nWhat waits to be deleted is deleted there, what waits to be written is written, over whatever "
            "is there now. Mailboxes that are missing there do not come back by this. It is recorded under your name.",
            reason=ui.plain(translated(row["alarm"] or "")),
        ),
        _("Send anyway"),
        force,
        word=row["name"],
        permission=Permission.SYNC_FORCE,
    )


def pushed(result: PushResult) -> str:
    """How a push ended, in a sentence."""
    if result.status is PushStatus.DONE and result.failed:
        return counted(
            result.delivered,
            "{n} delivered, {failed} refused.",
            "{n} delivered, {failed} refused.",
            failed=result.failed,
        )
    if result.status is PushStatus.DONE:
        return counted(result.delivered, "{n} delivered.", "{n} delivered.")
    return translated(result.message)
