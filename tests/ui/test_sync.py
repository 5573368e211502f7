"""The sync page without a browser: what waits, the comparison, the alarm, and who may do what."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from provision.app import Postroom
from provision.core.plan import make_plan
from provision.core.state import DesiredState, Key, MailboxState, Resource, ServerState
from provision.services.comparing import LIMIT, Found, compare
from provision.services.resolving import Winner
from provision.storage.models import SyncStatus
from tests.conftest import HASH, World
from tests.ui.conftest import SYSTEM

Open = Callable[..., AppTest]
STRANGER = f"stranger@example.com|{HASH.reveal()}\n"


def labels(test: AppTest) -> set[str]:
    return {button.label for button in test.button}


def said(test: AppTest) -> str:
    return " ".join(
        element.value for kind in ("markdown", "caption", "error", "success", "warning") for element in test.get(kind)
    )


def add_line(app: Postroom, text: str, name: str = "postfix-accounts.cf") -> None:
    (server,) = [row for row in app.queries.servers(SYSTEM) if row.name == "headquarters"]
    with open(f"{server.settings['path']}/{name}", "a") as file:
        file.write(text)


def compared(app: Postroom, open_as: Open, name: str = "alice", server: str = "headquarters") -> AppTest:
    test = open_as(app, name, "sync")
    test.session_state["sy_part"], test.session_state["sy_server"] = "compare", server
    test.run()
    test.button(key="sy_preview").click().run()
    return test


# ---- what waits ----------------------------------------------------------------------------


def test_what_failed_comes_first_with_its_reason(company: Postroom, open_as: Open) -> None:
    test = open_as(company, "alice", "sync")
    frame = test.dataframe[0].value
    assert list(frame["sync"])[:2] == [["Failed"], ["Pending"]]
    assert frame["address"][0] == "info@example.com"
    assert "somebody else" in frame["reason"][0]
    assert frame["next"][0] == "when you retry"
    assert {"Retry", "Retry all"} <= labels(test)
    assert "There is no folder" in said(test)


def test_a_viewer_looks_on(company: Postroom, open_as: Open) -> None:
    assert not {"Retry", "Retry all"} & labels(open_as(company, "vera", "sync"))
    test = compared(company, open_as, "vera")
    assert not test.error
    assert "Preview" in labels(test)
    assert not {"Import …", "Dashboard wins", "Server wins", "All: server wins"} & labels(test)


def test_a_domain_admin_sees_what_is_theirs(company: Postroom, open_as: Open) -> None:
    frame = open_as(company, "dora", "sync").dataframe[0].value
    assert list(frame["address"]) == ["info@example.com"]


def test_retry_all_delivers_what_was_mended(own_company: Postroom, open_as: Open) -> None:
    (server,) = [row for row in own_company.queries.servers(SYSTEM) if row.name == "headquarters"]
    path = f"{server.settings['path']}/postfix-accounts.cf"
    with open(path) as file:
        kept = [line for line in file if not line.startswith("info@")]
    with open(path, "w") as file:
        file.writelines(kept)
    test = open_as(own_company, "alice", "sync")
    test.button(key="sy_retry_all").click().run()
    assert own_company.queries.mailbox_by_address(SYSTEM, "info@example.com").sync_status == SyncStatus.SYNCED
    assert [toast.value for toast in test.toast] == ["Tried again; still waiting\\: 7\\."]


# ---- the comparison ------------------------------------------------------------------------


def test_the_comparison_names_what_differs(own_company: Postroom, open_as: Open) -> None:
    add_line(own_company, STRANGER + "Bad.Case@example.com|" + HASH.reveal() + "\n")
    test = compared(own_company, open_as)
    counts = test.session_state["sy_comparison"][3].counts
    assert (counts[Found.CLASHES], counts[Found.UNKNOWN], counts[Found.UNMANAGEABLE]) == (1, 2, 1)
    assert {"Dashboard wins", "Server wins"} <= labels(test)
    assert "$6$" not in str(test.session_state["sy_comparison"])


def test_an_unreachable_server_is_a_sentence(company: Postroom, open_as: Open) -> None:
    test = compared(company, open_as, server="branch")
    assert ["There is no folder" in error.value for error in test.error] == [True]
    assert not test.exception


def test_another_search_looks_anew(own_company: Postroom, open_as: Open) -> None:
    add_line(own_company, STRANGER)
    test = compared(own_company, open_as)
    test.text_input(key="sy_q").set_value("stranger").run()
    assert test.session_state["sy_comparison"][3].counts[Found.CLASHES] == 0
    assert list(test.dataframe[0].value["address"]) == ["stranger@example.com"]


def test_of_a_hundred_thousand_entries_the_first_are_kept() -> None:
    there = {f"u{n:06}@example.com": MailboxState(HASH) for n in range(100_000)}
    actual = ServerState(there, {})
    found = compare(make_plan(DesiredState(), actual), DesiredState(), actual)
    assert found.counts[Found.UNKNOWN] == 100_000
    assert len(found.entries[Found.UNKNOWN]) == LIMIT
    assert found.entries[Found.UNKNOWN][0].key == Key(Resource.MAILBOX, "u000000@example.com")


def test_both_values_stand_side_by_side(world: World) -> None:
    row = world.add("anna@example.com", quota_bytes=2 << 30)
    world.app.services.aliases.create(world.alice, "team@example.com", ["anna@example.com"])
    world.write("anna@example.com:3221225472\n", "dovecot-quotas.cf")
    world.write("team@example.com ben@example.org\n", "postfix-virtual.cf")
    found = world.app.services.sync.compare(world.alice, world.server.uid)
    alias, mailbox = sorted(found.entries[Found.DIFFERS], key=lambda entry: entry.fields)
    assert (alias.ours.destinations, alias.theirs.destinations) == (("anna@example.com",), ("ben@example.org",))
    assert (mailbox.fields, mailbox.ours.quota_bytes, mailbox.theirs.quota_bytes) == (("quota",), 2 << 30, 3 << 30)
    world.app.services.sync.resolve_many(world.alice, world.server.uid, [alias.key, mailbox.key], Winner.SERVER)
    assert world.reload(row).quota_bytes == 3 << 30
    assert not any(world.app.services.sync.compare(world.alice, world.server.uid).counts.values())


def test_several_are_retried_at_once_or_denied(world: World) -> None:
    rows = [world.add(f"{name}@example.org") for name in ("anna", "ben")]
    keys = [(Resource.MAILBOX, row.uid) for row in rows]
    world.app.services.sync.retry_many(world.alice, keys)
    with pytest.raises(Exception, match="not yours"):
        world.app.services.sync.retry_many(world.dora, keys)


# ---- the alarm -----------------------------------------------------------------------------


@pytest.fixture
def halted(own_company: Postroom) -> Postroom:
    """The volume is suddenly nearly empty, and a change is on its way."""
    (server,) = [row for row in own_company.queries.servers(SYSTEM) if row.name == "headquarters"]
    with open(f"{server.settings['path']}/postfix-accounts.cf", "w") as file:
        file.write(STRANGER)
    row = own_company.queries.mailbox_by_address(SYSTEM, "anna.abe@example.com")
    own_company.services.mailboxes.edit(SYSTEM, row.uid, quota_bytes=3 << 30)
    return own_company


def test_the_alarm_says_what_is_missing_and_offers_the_way_on(halted: Postroom, open_as: Open) -> None:
    test = open_as(halted, "alice", "sync")
    assert "are missing there" in said(test)
    assert "a volume that is not mounted" in said(test)
    assert {"Send anyway …", "See what is missing"} <= labels(test)


def test_only_a_super_admin_may_send_all_the_same(halted: Postroom, open_as: Open) -> None:
    test = open_as(halted, "dora", "sync")
    assert "Send anyway …" not in labels(test)
    assert "Only a super admin" in said(test)


def test_see_what_is_missing_opens_the_comparison(halted: Postroom, open_as: Open) -> None:
    test = open_as(halted, "alice", "sync")
    next(button for button in test.button if button.label == "See what is missing").click().run()
    assert test.session_state["sy_comparison"][3].counts[Found.GONE] > 10
    assert not test.exception
