"""The comparison on the sync page: what a push would do and what differs, both values side by side, and who wins."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import streamlit as st

from provision.core.access import Permission
from provision.core.address import readable
from provision.core.columns import Column
from provision.core.texts import N_
from provision.identity.sign_in import SignedIn
from provision.queries import Page, kept_to_pages
from provision.queries.rows import ServerRow
from provision.services.comparing import Comparison, Finding, Found, Side
from provision.services.resolving import Winner
from webui.kit import format, ui
from webui.kit.i18n import _, counted, written
from webui.kit.listing import Selection
from webui.kit.problems import translated
from webui.sync import sync_status
from webui.sync.choices import Choice, choices

KEPT = "sy_comparison"  # server, the reader's domains, search, comparison
PULLED = "sy_pulled"
TEXTS = (Found.UNSUPPORTED, Found.UNMANAGEABLE, Found.BLOCKED, Found.BESIDE, Found.WARNING)
VALUES = (Found.DIFFERS, Found.CLASHES)
MAX_LINES = 20


# ---- making one ----------------------------------------------------------------------------


def look(server: ServerRow, search: str) -> None:
    """Read the mail server and keep what was found for this tab."""
    actor = ui.signed_in(Permission.SYNC_READ).actor
    st.session_state.pop(KEPT, None)
    with ui.attempt(), st.spinner(_("Reading {name} …", name=ui.plain(server["name"]))):
        found = ui.app().services.sync.compare(actor, server["uid"], search=search)
        st.session_state[KEPT] = (server["uid"], actor.domains, search, found)


def last_comparison(server: ServerRow, search: str) -> Comparison | None:
    """The last one, if it is of this server, of this search, and of what the reader may see now."""
    actor = ui.signed_in(Permission.SYNC_READ).actor
    known = st.session_state.get(KEPT)
    return known[3] if known and known[:3] == (server["uid"], actor.domains, search) else None


def forget() -> None:
    """It is no longer true; the page looks anew when it is drawn next."""
    found = st.session_state.pop(KEPT, None)
    st.session_state["sy_again"] = found is not None


def wanted_again(server: ServerRow, search: str) -> bool:
    """After something was resolved, or when the reader searches for another address."""
    known = st.session_state.get(KEPT)
    other_search = bool(known and known[0] == server["uid"] and known[2] != search)
    return bool(st.session_state.pop("sy_again", False)) or other_search


# ---- showing it ----------------------------------------------------------------------------


def kind_name(found: Found) -> str:
    names = {
        Found.CLASHES: _("Clashes"),
        Found.DIFFERS: _("Differs"),
        Found.UNKNOWN: _("Unknown here"),
        Found.GONE: _("Missing on the server"),
        Found.CREATE: _("To create"),
        Found.CHANGE: _("To change"),
        Found.DELETE: _("To delete"),
        Found.UNSUPPORTED: _("Unsupported"),
        Found.UNMANAGEABLE: _("Left alone"),
        Found.BLOCKED: _("Blocked"),
        Found.BESIDE: _("Written besides"),
        Found.WARNING: _("Warnings"),
    }
    return names[found]


def meaning(found: Found) -> str:
    meanings = {
        Found.CLASHES: _(
            "Ours waits to be created, but somebody else has made an entry with this address on the mail server."
        ),
        Found.DIFFERS: _("Changed on the mail server since the dashboard delivered it."),
        Found.UNKNOWN: _("On the mail server, and not known to the dashboard. It stays until somebody decides."),
        Found.GONE: _(
            "Known to the dashboard, and gone from the mail server. Nothing is deleted here because of that."
        ),
        Found.CREATE: _("The next push creates these."),
        Found.CHANGE: _("The next push changes these."),
        Found.DELETE: _("The next push deletes these."),
        Found.UNSUPPORTED: _("Wanted, but this kind of mail server cannot do it; the rest of the entry is delivered."),
        Found.UNMANAGEABLE: _("Lines on the mail server that the dashboard cannot manage and never touches."),
        Found.BLOCKED: _("Wanted, but the entry on the mail server cannot be managed and is not touched."),
        Found.BESIDE: _("What the next push writes beside these changes, so that they work."),
        Found.WARNING: _("What keeps mail from arriving where the dashboard says it goes."),
    }
    return meanings[found]


def choose_kind(found: Comparison) -> Found | None:
    """Of what there is, with counts."""
    there = [kind for kind in Found if found.counts.get(kind)]
    if not there:
        return None
    if st.session_state.get("sy_kind") not in there:
        st.session_state["sy_kind"] = there[0]
    chosen = st.radio(
        _("Found"),
        there,
        key="sy_kind",
        format_func=lambda kind: f"{kind_name(kind)}  {written(found.counts[kind])}",
        horizontal=True,
        label_visibility="collapsed",
    )
    return chosen or there[0]


def table(listing: ui.Listing, found: Comparison, kind: Found, *, selectable: bool) -> list[Finding]:
    """One kind of finding, paged; returns the selected ones."""
    entries, size = found.entries[kind], listing.size
    number = kept_to_pages(listing.number, len(entries), size)
    part = entries[(number - 1) * size : number * size]
    names = (f"{kind}{entry.key or entry.text or entry.reason}" for entry in part)
    rows: list[dict[str, Any]] = [{"uid": name, "entry": entry} for name, entry in zip(names, part, strict=True)]
    page = Page(rows, len(entries), number, size)
    columns = PLAIN if kind in TEXTS else SIDES
    select: Selection | None = "multi-row" if selectable else None
    chosen = listing.table(page.rows, columns, alt=kind_name(kind), select=select, rows_shown=10)
    total = found.counts[kind]
    noun = _("{n} in total", n=total)
    if total > len(entries):
        noun = _("the first {n} of {total} entries; search to see others", n=len(entries), total=total)
    listing.pages(page, noun)
    return [row["entry"] for row in chosen]


def field_name(field: str) -> str:
    names = {
        "quota": _("Quota"),
        "message quota": _("Message quota"),
        "login": _("Login"),
        "destinations": _("Goes to"),
        "password": _("Password"),
        "account": _("Account"),
        "mail of mailboxes": _("Mail of mailboxes"),
    }
    return names.get(field, field)


def side_text(side: Side | None, fields: Sequence[str], *, ours: bool) -> str | None:
    """The values of one side: those that differ, or all of an entry that only one side has."""
    if side is None:
        return None
    shown = [name for name in fields if name != "account"] or ["destinations", "quota", "message quota", "login"]
    return " · ".join(filter(None, (_value(side, name, ours=ours) for name in shown))) or None


def _value(side: Side, field: str, *, ours: bool) -> str | None:
    if field == "password":
        return _("new password") if ours else _("present password")
    if field == "destinations":
        return ", ".join(map(readable, side.destinations)) if side.destinations else None
    if field == "mail of mailboxes":
        return counted(side.takes, "takes that of {n} mailbox", "takes that of {n} mailboxes") if side.takes else None
    if field == "quota" and side.enabled is not None:
        if side.quota_bytes is None:
            return _("unknown")
        return format.size(side.quota_bytes) if side.quota_bytes else _("no limit")
    if field == "message quota" and side.quota_messages:
        return counted(side.quota_messages, "{n} message", "{n} messages")
    if field == "login" and side.enabled is not None:
        return _("login open") if side.enabled else _("login closed")
    return None


def _side(side: str) -> Callable[[Any], str | None]:
    return lambda row: side_text(getattr(row["entry"], side), row["entry"].fields, ours=side == "ours")


SIDES = (
    Column("address", N_("Address"), lambda row: readable(row["entry"].key.address), "medium"),
    Column("kind", N_("Kind"), lambda row: sync_status.kind_word(row["entry"].key.resource)),
    Column("what", N_("What"), lambda row: ", ".join(map(field_name, row["entry"].fields)) or None, optional=True),
    Column("ours", N_("Dashboard"), _side("ours"), "medium"),
    Column("theirs", N_("Mail server"), _side("theirs"), "medium"),
)
PLAIN = (
    Column("what", N_("Entry"), lambda row: _name(row["entry"]), "large"),
    Column("reason", N_("Reason"), lambda row: translated(row["entry"].reason), "large"),
)


def _name(entry: Finding) -> str:
    return readable(entry.key.address) if entry.key else entry.text


# ---- deciding ------------------------------------------------------------------------------


def decide(listing: ui.Listing, server: ServerRow, kind: Found, chosen: Sequence[Finding], choice: Choice) -> None:
    """Ask, and resolve the chosen entries."""
    keys = [entry.key for entry in chosen if entry.key]

    def resolve(who: SignedIn) -> str:
        ui.app().services.sync.resolve_many(who.actor, server["uid"], keys, choice.winner)
        listing.clear_selection()
        forget()
        return _("Settled: {n}.", n=len(keys))

    names = ui.some(f"`{readable(key.address)}`" for key in keys)
    ui.confirm(
        choice.name.removesuffix(" …"),
        f"{names}\n\n{choice.loss}",
        choice.name.removesuffix(" …"),
        resolve,
        word=choice.word,
        permission=Permission.SYNC_PUSH,
    )


def decide_all(listing: ui.Listing, server: ServerRow, found: Comparison, winner: Winner) -> None:
    """Every difference of values at once."""
    number = sum(found.counts.get(kind, 0) for kind in VALUES)

    def resolve(who: SignedIn) -> str:
        resolved = ui.app().services.sync.resolve_all(who.actor, server["uid"], winner)
        listing.clear_selection()
        forget()
        return _("Settled: {n}.", n=resolved)

    side = _("Dashboard wins") if winner is Winner.DASHBOARD else _("Server wins")
    loss = " ".join(c.loss for kind in VALUES if found.counts.get(kind) for c in choices(kind) if c.winner is winner)
    ui.confirm(
        counted(number, "{side}: the only difference", "{side}: all {n} differences", side=side),
        loss,
        side,
        resolve,
        word=str(number) if number > 1 else "",
        permission=Permission.SYNC_PUSH,
    )


# ---- pushing and importing -----------------------------------------------------------------


def push_now(server: ServerRow) -> None:
    actor = ui.signed_in(Permission.SYNC_PUSH).actor
    with ui.attempt(), st.spinner(_("Sending …")):
        result = ui.app().services.sync.push(actor, server["uid"], seconds=ui.app().settings.page_budget_seconds)
        forget()
        ui.done(sync_status.pushed(result))


@ui.dialog(lambda server: _("Import from {name}", name=ui.plain(server["name"])), Permission.SYNC_PULL)
def import_dialog(opened: ui.Dialog, server: ServerRow) -> None:
    st.write(_("What is on the mail server and unknown here is added here. Nothing changes on the mail server."))
    force = st.checkbox(_("Where both have an entry and differ, the server wins"), key=f"sy_pull_{opened.key}")
    if force:
        st.caption(_("Our values of those entries are replaced; what waits for them, also a new password, is dropped."))
    if opened.buttons(_("Import")):
        keep_result(opened.who.actor, server["uid"], force)
        forget()
        st.rerun()


def keep_result(actor: Any, server_uid: UUID, force: bool) -> None:
    """The result stays on the page until the next step; of long lists the beginning."""
    result = ui.app().services.sync.pull(actor, server_uid, force=force)
    st.session_state[PULLED] = (
        server_uid,
        result.imported,
        result.updated,
        len(result.errors),
        result.errors[:MAX_LINES],
        len(result.missing),
        result.missing[:MAX_LINES],
    )


def import_result(server: ServerRow) -> None:
    known = st.session_state.get(PULLED)
    if not known or known[0] != server["uid"]:
        return
    _server, imported, updated, errors, error_lines, missing, missing_lines = known
    words = [_("Imported: {n}.", n=imported)]
    words += [_("Took the server's values: {n}.", n=updated)] if updated else []
    words += [_("Left alone: {n}.", n=errors)] if errors else []
    words += [_("Gone from the mail server: {n}.", n=missing)] if missing else []
    (st.warning if errors else st.success)(" ".join(words), icon=":material/download_done:")
    lines = [
        *map(translated, error_lines),
        *(f"{readable(address)}: {_('Missing on the server')}" for address in missing_lines),
    ]
    if lines:
        with st.expander(_("What was left alone, and why"), expanded=errors > 0):
            st.text("\n".join(lines))
            if errors + missing > len(lines):
                st.caption(_("and {n} more", n=errors + missing - len(lines)))


# ---- the whole part ------------------------------------------------------------------------


def part(who: SignedIn, listing: ui.Listing, servers: Sequence[ServerRow]) -> None:
    """Choose a mail server, look, and decide."""
    which, find, act = st.columns([3, 3, 4], vertical_alignment="bottom")
    names = [row["name"] for row in servers]
    with which:
        name = st.selectbox(_("Mail server"), names, key="sy_server", bind="query-params", on_change=listing.first_page)
    server = next(row for row in servers if row["name"] == name) if name in names else servers[0]
    with find:
        search = listing.search(_("Search"), _("part of the address"))
    with act.container(horizontal=True):
        asked = st.button(_("Preview"), type="primary", icon=":material/compare_arrows:", key="sy_preview")
        if who.may(Permission.SYNC_PULL) and st.button(_("Import …"), icon=":material/download:", key="sy_import"):
            import_dialog(server)
    if asked:
        st.session_state.pop(PULLED, None)
    if wanted_again(server, search) or asked:
        look(server, search)
    import_result(server)
    found = last_comparison(server, search)
    kind = choose_kind(found) if found else None
    if found and kind:
        _decisions(who, listing, server, found, kind)
    elif found:
        ui.empty(
            _("Both sides are the same. There is nothing to send.") if not search else _("Nothing matches."),
            ":material/check_circle:",
        )
    else:
        ui.empty(
            _("Preview reads the mail server and shows what a push would do, and where the two sides differ."),
            ":material/compare_arrows:",
        )


def _decisions(who: SignedIn, listing: ui.Listing, server: ServerRow, found: Comparison, kind: Found) -> None:
    """What was found of one kind, and the ways to decide it."""
    may_push = who.may(Permission.SYNC_PUSH)
    st.caption(meaning(kind))
    bar = st.container(horizontal=True)
    offered = choices(kind) if may_push else []
    chosen = table(listing, found, kind, selectable=bool(offered))
    for choice in offered:
        if bar.button(choice.name, icon=choice.icon, disabled=not chosen, key=f"sy_{kind}_{choice.winner}"):
            decide(listing, server, kind, chosen, choice)
    if offered and kind in VALUES:
        if bar.button(_("All: dashboard wins"), icon=":material/keyboard_double_arrow_right:"):
            decide_all(listing, server, found, Winner.DASHBOARD)
        if bar.button(_("All: server wins"), icon=":material/keyboard_double_arrow_left:"):
            decide_all(listing, server, found, Winner.SERVER)
    is_plan = kind in (Found.CREATE, Found.CHANGE, Found.DELETE)
    if may_push and is_plan and bar.button(_("Send all now"), icon=":material/send:"):
        push_now(server)
