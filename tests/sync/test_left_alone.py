"""What is on the mail server and cannot be managed: never replaced, never removed, and the row says why."""

from collections.abc import Callable

import pytest

from provision.core.state import Key, Resource
from provision.queries import LogFilter
from provision.services.resolving import Winner
from provision.storage.models import Alias, SyncStatus
from tests.conftest import HASH, OTHER_HASH, World

VIRTUAL, QUOTAS = "postfix-virtual.cf", "dovecot-quotas.cf"
PIPED = "sales@example.com |/usr/bin/ticket\n"
H, O = HASH.reveal(), OTHER_HASH.reveal()  # noqa: E741


def alias(world: World, address: str = "sales@example.com", *destinations: str) -> Alias:
    return world.app.services.aliases.create(world.alice, address, destinations or ["anna@example.com"])


def failed_because(world: World, row: Alias, words: str) -> None:
    now = world.app.queries.alias(world.alice, row.uid)
    assert now.sync_status == SyncStatus.FAILED
    assert now.error_code == "SYNC_CONFLICT"
    assert words in (now.error or "")
    (log, *_) = world.app.queries.logs(world.alice, LogFilter(resource_id=row.uid)).rows
    assert (log["status"], words in log["error"]) == ("FAILED", True)


def test_an_alias_where_something_stands_that_cannot_be_managed_is_refused(world: World) -> None:
    world.write(PIPED, VIRTUAL)
    failed_because(world, alias(world), "destination |/usr/bin/ticket cannot be used")
    assert world.text(VIRTUAL) == PIPED


@pytest.mark.parametrize(
    "act",
    [
        lambda world, row: world.app.services.aliases.edit(world.alice, row.uid, ["ben@example.com"]),
        lambda world, row: world.app.services.aliases.delete(world.alice, row.uid),
    ],
    ids=["edit", "delete"],
)
def test_an_alias_that_was_changed_by_hand_into_such_a_form(world: World, act: Callable[[World, Alias], Alias]) -> None:
    row = alias(world)
    assert world.text(VIRTUAL) == "sales@example.com anna@example.com\n"
    world.write(f"# ticket system\n{PIPED}", VIRTUAL)
    act(world, row)
    failed_because(world, row, "cannot be used")
    assert world.text(VIRTUAL) == f"# ticket system\n{PIPED}"
    world.write("sales@example.com anna@example.com\n", VIRTUAL)  # by hand again
    world.app.services.sync.retry(world.alice, Resource.ALIAS, row.uid)
    assert world.text(VIRTUAL) in ("\n", "sales@example.com ben@example.com\n")


def test_a_mailbox_with_two_lines_is_left_to_a_person(world: World) -> None:
    text = f"twice@example.com|{H}\ntwice@example.com|{O}\n"
    world.write(text)
    row = world.reload(world.add("twice@example.com"))
    assert row.sync_status == SyncStatus.PENDING
    assert "two lines" in (row.error or "")
    assert world.text() == text


def test_an_account_in_capitals_is_in_the_way(world: World) -> None:
    world.write(f"Kim@example.com|{H}\n")
    assert world.add("kim@example.com").sync_status == SyncStatus.FAILED
    assert world.text() == f"Kim@example.com|{H}\n"


def test_an_alias_in_capitals_is_imported_or_a_conflict_and_never_shadowed(world: World) -> None:
    world.write("Sales@Example.com boss@example.com\n", VIRTUAL)
    row = alias(world)
    assert row.sync_status == SyncStatus.FAILED
    plan = world.app.services.sync.preview(world.alice, world.server.uid)
    assert [(d.ours, d.theirs) for d in plan.conflicts] == [("anna@example.com", "boss@example.com")]
    assert world.text(VIRTUAL) == "Sales@Example.com boss@example.com\n"
    world.app.services.sync.resolve(world.alice, world.server.uid, plan.conflicts[0].key, Winner.DASHBOARD)
    assert world.text(VIRTUAL) == "sales@example.com anna@example.com\n"
    (log, *_) = world.app.queries.logs(world.alice, LogFilter(resource_id=row.uid)).rows
    assert "(before: boss@example.com)" in log["command"]


def test_a_quota_in_capitals_is_imported_and_replaced(world: World) -> None:
    world.write(f"kim@example.com|{H}\n")
    world.write("Kim@Example.com:300M\n", QUOTAS)
    world.app.services.sync.pull(world.alice, world.server.uid)
    (row,) = world.app.queries.mailboxes(world.alice).rows
    assert row["quota_bytes"] == 300 << 20
    world.app.services.mailboxes.edit(world.alice, row["uid"], quota_bytes=5 << 30)
    assert world.text(QUOTAS) == "kim@example.com:5120M\n"


def test_an_account_whose_quota_is_no_size_is_not_imported_as_one_without(world: World) -> None:
    world.write(f"kim@example.com|{H}\nben@example.com|{H}\n")
    world.write("kim@example.com:unlimited\n", QUOTAS)
    result = world.app.services.sync.pull(world.alice, world.server.uid)
    assert [row["address"] for row in world.app.queries.mailboxes(world.alice).rows] == ["ben@example.com"]
    assert any("kim@example.com:unlimited" in error for error in result.errors)


def test_a_quota_that_became_no_size_differs_and_our_side_can_win(world: World) -> None:
    row = world.add("kim@example.com", quota_bytes=1 << 20)
    world.write("kim@example.com:lots\n", QUOTAS)
    plan = world.app.services.sync.preview(world.alice, world.server.uid)
    assert [(d.field, d.theirs) for d in plan.differing] == [("quota", "unknown")]
    world.app.services.sync.pull(world.alice, world.server.uid, force=True)
    assert world.reload(row).quota_bytes == 1 << 20
    world.app.services.sync.resolve(world.alice, world.server.uid, plan.differing[0].key, Winner.DASHBOARD)
    assert world.text(QUOTAS) == "kim@example.com:1M\n"


# ---- catch-alls ----------------------------------------------------------------------------


def test_a_catch_all_that_takes_the_mail_of_mailboxes_differs_until_the_lines_are_written(world: World) -> None:
    world.write(f"anna@example.com|{H}\nben@example.com|{H}\n")
    world.write("@example.com anna@example.com\n", VIRTUAL)
    world.app.services.sync.pull(world.alice, world.server.uid)
    plan = world.app.services.sync.preview(world.alice, world.server.uid)
    key = Key(Resource.ALIAS, "@example.com")
    assert [(d.key, d.field) for d in plan.differing] == [(key, "mail of mailboxes")]
    assert any(
        "takes the mail of mailboxes that have no alias to themselves (1: ben@example.com)" in warning
        for warning in plan.warnings
    )
    assert any(
        "takes the mail of mailboxes that have no alias to themselves (1: ben@example.com)" in told
        for told in world.app.services.servers.check(world.alice, world.server.uid)
    )
    alias(world, "y@example.org", "carl@example.org")
    assert world.text(VIRTUAL) == "@example.com anna@example.com\ny@example.org carl@example.org\n"

    world.app.services.sync.resolve(world.alice, world.server.uid, key, Winner.DASHBOARD)
    assert "anna@example.com anna@example.com\nben@example.com ben@example.com\n" in world.text(VIRTUAL)
    (log, *_) = world.app.queries.logs(world.alice, LogFilter(operation="sync.dashboard_wins")).rows
    assert "postfix-virtual.cf: ben@example.com ben@example.com" in log["command"]
    plan = world.app.services.sync.preview(world.alice, world.server.uid)
    assert (plan.differing, list(plan.warnings)) == ([], [])


def test_the_preview_shows_what_is_written_beside(world: World) -> None:
    world.write(f"ben@example.com|{H}\n")
    world.app.services.sync.pull(world.alice, world.server.uid)
    world.app.services.delivery.enabled = False
    alias(world, "@example.com", "ben@example.com")
    plan = world.app.services.sync.preview(world.alice, world.server.uid)
    assert plan.beside == ["postfix-virtual.cf: ben@example.com ben@example.com"]
    assert VIRTUAL not in {path.name for path in world.volume.iterdir()}
