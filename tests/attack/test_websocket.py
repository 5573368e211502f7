"""Messages that no page of ours would send: foreign fragments, hidden and disabled buttons, garbage."""

import contextlib
import urllib.request
from contextlib import ExitStack
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from provision.core.access import Role
from provision.queries import LogFilter
from tests.attack.conftest import SYSTEM
from tests.attack.tab import Tab, tab
from tests.e2e.site import Site, token_of


def newest(site: Site) -> int:
    return int(site.app.queries.logs(SYSTEM, size=1).rows[0]["id"])


def done_since(site: Site, number: int) -> list[tuple[str, str]]:
    """Who has done what since then, whoever it seems to have been; what was denied is not done."""
    rows = site.app.queries.logs(SYSTEM, size=1000).rows
    assert rows[-1]["id"] <= number
    return [
        (row["operator"], row["operation"]) for row in rows if row["id"] > number and row["resource_type"] != "access"
    ]


def everything_of_alice(site: Site) -> list[tuple[Tab, str, str]]:
    """Every button of a SuperAdmin, dialogs included, but that which ends the attack: (their tab, id, fragment)."""
    found = []
    for page, query, opens in (
        ("mailboxes", "", "Create mailbox"),
        ("aliases", "", "Add alias"),
        ("domains", "", "Add domain"),
        ("settings", "st_part=operators", "Add operator"),
        ("settings", "st_part=tokens", "Make API token"),
        ("sync", "sy_part=compare", "Import …"),
    ):
        with tab(site.url, token_of(site.app, "alice")) as alice:
            alice.open(page, query)
            alice.press(opens)
            for label in ("Address", "Alias", "Name", "User name"):
                with contextlib.suppress(LookupError):
                    alice.fill(label, "sneaked@example.com")
            found += [
                (alice, name, alice.fragments[name])
                for name, part in alice.parts.items()
                if type(part).__name__ == "Button" and part.label != "Sign out"
            ]
    return found


@pytest.mark.parametrize("name", ["vera", ""])
def test_buttons_of_a_super_admin_do_nothing_for_others(site: Site, name: str) -> None:
    buttons = everything_of_alice(site)
    assert len(buttons) > 30
    with tab(site.url, token_of(site.app, name) if name else "") as mine:
        before = newest(site)
        mine.open("mailboxes")
        own = mine.page_hash
        for alice, button, fragment in buttons:
            for mine.page_hash in (own, alice.page_hash):
                if fragment:
                    mine.slip_in(fragment, button, alice.held)
                mine.run(trigger=button, changed=alice.held)
            if not name:
                assert "sneaked" not in mine.said
                assert b"anna.abe" not in mine.raw
        mine.open("mailboxes")
        assert (b"anna.abe" in mine.raw) == bool(name), "who attacks is still who they were"
    assert done_since(site, before) == []


def test_who_loses_a_right_while_a_dialog_is_open_is_told_at_the_next_click(site: Site) -> None:
    uid = next(row["uid"] for row in site.app.queries.operators(SYSTEM) if row["username"] == "dora")
    with tab(site.url, token_of(site.app, "dora")) as dora:
        dora.open("mailboxes")
        dora.press("Create mailbox")
        dora.fill("Address", "late@example.com")
        site.app.services.operators.edit(SYSTEM, uid, role=Role.VIEWER)
        try:
            before = newest(site)
            dora.press("Create")
            assert done_since(site, before) == []
        finally:
            site.app.services.operators.edit(SYSTEM, uid, role=Role.DOMAIN_ADMIN)
        assert dora.said == "Your role does not allow this."


def test_a_disabled_button_does_nothing(site: Site) -> None:
    with tab(site.url, token_of(site.app, "alice")) as alice:
        alice.open("mailboxes")
        before = newest(site)
        for label in ("Delete", "Edit", "Reset password", "Disable", "Retry"):
            assert alice.parts[alice.find(label)].disabled
            alice.press(label)
        assert done_since(site, before) == []


def test_rows_beyond_the_list_cannot_be_chosen(site: Site) -> None:
    with tab(site.url, token_of(site.app, "dora")) as dora:
        dora.open("mailboxes")
        table = next(name for name, part in dora.parts.items() if type(part).__name__ == "Dataframe")
        for rows in ("[999999]", "[-1]", '["x"]', "[[0]]", "null", "{}", "[1e99]"):
            dora.run(changed={table: f'{{"selection": {{"rows": {rows}, "columns": [], "cells": []}}}}'})
            assert b"Traceback" not in dora.raw


def test_a_foreign_domain_is_refused_and_recorded(site: Site) -> None:
    with tab(site.url, token_of(site.app, "dora")) as dora:
        dora.open("mailboxes")
        dora.press("Create mailbox")
        dora.fill("Address", "sneaked@sales.example.com")
        dora.press("Create")
        assert "not yours" in dora.said
    denied = site.app.queries.logs(SYSTEM, LogFilter(operator="dora"), size=3).rows[0]
    assert (denied["resource_type"], denied["status"]) == ("access", "FAILED")


@pytest.mark.parametrize("page", ["mailboxes", "aliases", "domains", "sync", "logs", "settings", ""])
def test_a_stranger_gets_the_sign_in_whatever_they_ask(site: Site, page: str) -> None:
    with tab(site.url, token_of(site.app, "alice")) as alice:
        alice.open(page)
    with tab(site.url) as stranger:
        stranger.page_hash = alice.page_hash
        stranger.run(changed=dict.fromkeys(alice.parts, "x"))
        assert {getattr(part, "label", "") for part in stranger.parts.values()} <= {
            "User name",
            "Password",
            "Sign in",
            "Language",
            "",
        }
        for secret in (b"example.com", b"alice", b"vera"):
            assert secret not in stranger.raw


# ---- what is no message of a page at all ----------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\xff" * 100, b"x" * 10_000, "text"], ids=["empty", "nul", "ff", "long", "text"]
)
def test_garbage_ends_the_connection_and_nothing_else(site: Site, data: Any) -> None:
    with tab(site.url) as stranger:
        stranger.socket.send(data)
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            stranger.socket.recv(1)
    assert healthy(site)


def test_orders_to_the_server_itself_are_not_followed(site: Site) -> None:
    with tab(site.url) as stranger:
        for name in (
            "debug_shutdown_runtime",
            "debug_disconnect_websocket",
            "clear_cache",
            "set_run_on_save",
            "load_git_info",
        ):
            message = BackMsg()
            setattr(message, name, True)
            stranger.socket.send(message.SerializeToString())
        stranger.open()
        assert "Postroom" in stranger.said
    assert healthy(site)


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1.evil.example", "null"])
def test_a_websocket_from_another_site_is_refused(site: Site, origin: str) -> None:
    address = site.url.replace("http:", "ws:") + "/_stcore/stream"
    with (
        pytest.raises((InvalidStatus, ConnectionClosed)),
        connect(address, additional_headers={"Origin": origin}, subprotocols=["streamlit"]) as socket,
    ):  # type: ignore[list-item]
        socket.recv(2)


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "closed"])
def test_a_session_that_is_taken_over_shows_a_stranger_the_sign_in(site: Site, is_open: bool) -> None:
    """Streamlit goes on with a session for whoever knows its id; who one is the cookie says, and they have none."""
    with ExitStack() as stack:
        alice = stack.enter_context(tab(site.url, token_of(site.app, "alice")))
        alice.open("mailboxes")
        assert b"anna.abe" in alice.raw
        if not is_open:
            stack.close()
        address = site.url.replace("http:", "ws:") + "/_stcore/stream"
        with connect(address, subprotocols=["streamlit", "x", alice.session_id], max_size=None) as socket:  # type: ignore[list-item]
            thief = Tab(socket)
            thief.open("mailboxes")
            assert thief.session_id == alice.session_id
            assert b"anna.abe" not in thief.raw
            assert {getattr(part, "label", "") for part in thief.parts.values()} >= {"User name", "Password"}


def healthy(site: Site) -> bool:
    with urllib.request.urlopen(f"{site.url}/health", timeout=5) as answer:
        return bool(answer.status == 200)
