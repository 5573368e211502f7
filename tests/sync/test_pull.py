"""Pull and resolve: what is on the server and unknown here, or different."""

from dataclasses import replace
from typing import Any

import pytest
import time_machine

from provision.core.access import Permission
from provision.core.errors import AccessDenied, Conflict, NotFound
from provision.core.state import Key, Resource
from provision.services.adopting import Adoption, PullResult
from provision.services.comparing import Found
from provision.services.resolving import Winner
from provision.storage.models import Mailbox, Status, SyncStatus
from tests.conftest import HASH, OTHER_HASH, World
from tests.sync.test_push import NOON

H, O = HASH.reveal(), OTHER_HASH.reveal()  # noqa: E741
VIRTUAL, QUOTAS = "postfix-virtual.cf", "dovecot-quotas.cf"
ANNA = Key(Resource.MAILBOX, "anna@example.com")


def differ(world: World) -> Mailbox:
    """Anna, delivered and confirmed; then somebody disables her and changes her quota on the server."""
    with time_machine.travel(NOON, tick=False) as clock:
        row = world.add("anna@example.com", quota_bytes=5 << 20)
        clock.shift(61)
        world.app.sync.push(world.server.id)
    world.write(f"anna@example.com|{O}|fail=y\n")
    world.write("anna@example.com:7M\n", QUOTAS)
    return row


def files(world: World) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in world.volume.iterdir()}


@pytest.mark.both_databases
def test_it_imports_what_is_unknown_here_and_changes_nothing_there(world: World) -> None:
    world.write(f"# c\nanna@example.com|{O}|fail=y\nbob@new.example|{O}")
    world.write("anna@example.com:7M\n", QUOTAS)
    world.write("sales@example.com anna@example.com\n@example.com x@elsewhere.net,bob@new.example\n", VIRTUAL)
    before = files(world)
    result = world.app.services.sync.pull(world.alice, world.server.uid)
    assert (result.imported, result.updated, result.errors, result.missing) == (4, 0, [], [])
    assert files(world) == before
    anna = world.app.queries.mailbox_by_address(world.alice, "anna@example.com")
    assert (anna.status, anna.quota_bytes, anna.sync_status) == (Status.DISABLED, 7 << 20, SyncStatus.SYNCED)
    alias = world.app.queries.alias_by_address(world.alice, "@example.com")
    assert alias.destinations == ["x@elsewhere.net", "bob@new.example"]
    assert world.app.queries.aliases(world.alice, mailbox_id=anna.uid).total == 1
    assert world.app.services.sync.preview(world.alice, world.server.uid).unknown == []


def test_it_imports_once(world: World) -> None:
    world.write(f"anna@example.com|{O}\n")
    counts = [world.app.services.sync.pull(world.alice, world.server.uid).imported for _ in range(2)]
    assert counts == [1, 0]


def test_accounts_that_our_rules_refuse_are_reported_and_break_nothing(world: World) -> None:
    refused = [
        f"Anna@example.com|{O}",
        f"a/b@example.com|{O}",
        f"x@localhost|{O}",
        f"twice@example.com|{O}",
        f"twice@example.com|{H}",
        "garbage",
        "e@example.com|",
        b"\xff@example.com|x".decode("latin-1"),
    ]
    world.write("\n".join([f"bob@example.com|{O}", *refused]))
    result = world.app.services.sync.pull(world.alice, world.server.uid)
    assert result.imported == 1
    for what in ("Anna@example.com", "a/b@example.com", "x@localhost", "twice@example.com", "garbage", "e@example.com"):
        assert any(what in error for error in result.errors), what
    assert all(error.isprintable() and "$6$" not in error for error in result.errors)
    assert world.app.queries.mailboxes(world.alice).total == 1
    assert len(world.app.services.sync.preview(world.alice, world.server.uid).unmanageable) == 7
    assert world.add("carl@example.com").sync_status == SyncStatus.SYNCED


def test_without_force_our_values_stay(world: World) -> None:
    row = differ(world)
    assert world.app.services.sync.pull(world.alice, world.server.uid).updated == 0
    assert (world.reload(row).status, world.reload(row).quota_bytes) == (Status.ACTIVE, 5 << 20)


@pytest.mark.both_databases
def test_with_force_the_values_of_the_server_win(world: World) -> None:
    row, before = differ(world), None
    before = files(world)
    assert world.app.services.sync.pull(world.alice, world.server.uid, force=True).updated == 1
    taken = world.reload(row)
    assert (taken.status, taken.quota_bytes, taken.sync_status) == (Status.DISABLED, 7 << 20, SyncStatus.SYNCED)
    assert files(world) == before


def test_a_difference_is_shown_field_by_field(world: World) -> None:
    differ(world)
    plan = world.app.services.sync.preview(world.alice, world.server.uid)
    assert {difference.field for difference in plan.differing} == {"quota", "login"}
    assert plan.changes == []


def test_the_dashboard_wins(world: World) -> None:
    row = differ(world)
    world.app.services.sync.resolve(world.alice, world.server.uid, ANNA, Winner.DASHBOARD)
    assert world.text() == f"anna@example.com|{O}\n"
    assert world.text(QUOTAS) == "anna@example.com:5M\n"
    assert world.reload(row).sync_status == SyncStatus.SYNCED


def test_the_server_wins(world: World) -> None:
    row, before = differ(world), None
    before = files(world)
    world.app.services.sync.resolve(world.alice, world.server.uid, ANNA, Winner.SERVER)
    assert (world.reload(row).status, world.reload(row).sync_status) == (Status.DISABLED, SyncStatus.SYNCED)
    assert files(world) == before


@pytest.mark.parametrize("winner", Winner)
def test_a_conflict_over_a_new_account_is_resolved_either_way(world: World, winner: Winner) -> None:
    world.write(f"anna@example.com|{O}\n")
    row = world.add("anna@example.com")
    world.app.services.sync.resolve(world.alice, world.server.uid, ANNA, winner)
    assert world.reload(row).sync_status == SyncStatus.SYNCED
    assert world.text() == f"anna@example.com|{H if winner is Winner.DASHBOARD else O}\n"


@pytest.mark.parametrize("winner", Winner)
def test_an_unknown_account_is_imported_or_removed(world: World, winner: Winner) -> None:
    world.write(f"anna@example.com|{O}\nbob@example.com|{O}\n")
    world.app.services.sync.resolve(world.alice, world.server.uid, ANNA, winner)
    assert ("anna@" in world.text()) is (winner is Winner.SERVER)
    assert world.app.queries.mailboxes(world.alice).total == (1 if winner is Winner.SERVER else 0)
    assert "bob@" in world.text()


def test_an_alias_that_vanished_is_sent_again_or_forgotten(world: World) -> None:
    for winner, there in ((Winner.DASHBOARD, "sales@example.com x@y.net\n"), (Winner.SERVER, "")):
        world.write("", VIRTUAL)
        with time_machine.travel(NOON, tick=False) as clock:
            world.app.services.aliases.create(world.alice, "sales@example.com", ["x@y.net"])
            clock.shift(61)
            world.app.sync.push(world.server.id)
        world.write("", VIRTUAL)
        world.app.services.sync.resolve(world.alice, world.server.uid, Key(Resource.ALIAS, "sales@example.com"), winner)
        assert world.text(VIRTUAL) == there
        for row in world.app.queries.aliases(world.alice).rows:
            world.app.services.aliases.delete(world.alice, row["uid"])
    assert world.app.queries.aliases(world.alice).total == 0


def test_a_mailbox_that_vanished_needs_a_new_password_or_is_forgotten(world: World) -> None:
    row = differ(world)
    world.write("")
    with pytest.raises(Conflict, match="Reset its password"):
        world.app.services.sync.resolve(world.alice, world.server.uid, ANNA, Winner.DASHBOARD)
    world.app.services.sync.resolve(world.alice, world.server.uid, ANNA, Winner.SERVER)
    with pytest.raises(NotFound):
        world.reload(row)


@pytest.mark.both_databases
def test_all_differences_are_resolved_at_once(world: World) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        for name in "abc":
            world.add(f"{name}@example.com")
        clock.shift(61)
        world.app.sync.push(world.server.id)
    world.write(world.text().replace("\n", "|fail=y\n"))
    assert world.app.services.sync.resolve_all(world.alice, world.server.uid, Winner.DASHBOARD) == 3
    assert "fail=y" not in world.text()
    assert world.app.services.sync.resolve_all(world.alice, world.server.uid, Winner.DASHBOARD) == 0


def test_a_difference_that_is_gone_is_said_so(world: World) -> None:
    with pytest.raises(NotFound, match="does not differ"):
        world.app.services.sync.resolve(world.alice, world.server.uid, ANNA, Winner.SERVER)


def test_a_domain_admin_imports_their_own_domain_only(world: World) -> None:
    world.write(f"anna@example.com|{O}\nboss@example.org|{O}\nnew@secret.example|{O}\nBig@example.org|{O}\n")
    result = world.app.services.sync.pull(world.dora, world.server.uid)
    assert result.imported == 1
    assert not any("boss" in error or "Big" in error for error in result.errors)
    assert [row["address"] for row in world.app.queries.mailboxes(world.alice).rows] == ["anna@example.com"]


@pytest.mark.parametrize("resource", Resource)
def test_an_address_that_the_other_sort_has_there_clashes_and_the_server_may_win(
    world: World, resource: Resource
) -> None:
    app, key = world.app.services, Key(resource, "info@example.com")
    if resource is Resource.ALIAS:
        world.write(f"info@example.com|{O}\n")
        row: Any = app.aliases.create(world.alice, key.address, ["x@elsewhere.net"])
    else:
        world.write("info@example.com x@elsewhere.net\n", VIRTUAL)
        row = world.add(key.address)
    before = files(world)
    assert (row.sync_status, row.error_code) == (SyncStatus.FAILED, "SYNC_CONFLICT")
    assert app.sync.preview(world.alice, world.server.uid).address_conflicts == [key]
    assert app.sync.compare(world.alice, world.server.uid).counts[Found.CLASHES] == 1
    with pytest.raises(Conflict, match="import that or remove it"):
        app.sync.resolve(world.alice, world.server.uid, key, Winner.DASHBOARD)
    app.sync.resolve(world.alice, world.server.uid, key, Winner.SERVER)
    assert app.sync.pull(world.alice, world.server.uid).imported == 1
    assert files(world) == before


# ---- at the same time ----------------------------------------------------------------------


def test_nothing_is_taken_over_while_something_is_sent(world: World) -> None:
    world.write(f"anna@example.com|{O}\n")
    world.app.settings.page_budget_seconds = 1
    with world.app.database.server_lock(world.server.id, 1), pytest.raises(Conflict, match="try again") as caught:
        world.app.services.sync.pull(world.alice, world.server.uid)
    assert caught.value.code == "SERVER_BUSY"
    assert world.app.services.sync.pull(world.alice, world.server.uid).imported == 1


@pytest.mark.both_databases
def test_a_wish_that_is_newer_than_the_look_at_the_server_stays(world: World) -> None:
    row = differ(world)
    _, wanted, actual = world.app.sync.survey(world.server.id)
    world.app.services.delivery.enabled = False
    world.app.services.mailboxes.edit(world.alice, row.uid, quota_bytes=9 << 20)
    result = PullResult()
    with world.app.database.write() as session:
        adoption = Adoption(session, world.alice, world.server, wanted, actual)
        adoption.take_values([ANNA], result)
    assert (result.updated, world.reload(row).quota_bytes) == (0, 9 << 20)
    assert "anna@example.com" in result.errors[0]


def test_an_entry_of_a_domain_that_is_kept_elsewhere_is_refused_aloud(world: World) -> None:
    world.app.services.servers.create(world.alice, "second", "dms_files", {"path": "/elsewhere"})
    world.app.services.domains.create(world.alice, "example.net", "second")
    world.write(f"ben@example.net|{O}\n")
    for winner in Winner:
        with pytest.raises(Conflict, match="another mail server"):
            world.app.services.sync.resolve(
                world.alice, world.server.uid, Key(Resource.MAILBOX, "ben@example.net"), winner
            )
    assert "ben@example.net" in world.text()


def test_a_token_that_may_only_push_removes_nothing_that_is_not_ours(world: World) -> None:
    world.write(f"anna@example.com|{O}\n")
    scopes = frozenset({Permission.SYNC_READ, Permission.SYNC_PUSH})
    token = replace(world.alice, name="token:push", scopes=scopes)
    for winner in Winner:
        with pytest.raises(AccessDenied):
            world.app.services.sync.resolve(token, world.server.uid, ANNA, winner)
    assert "anna@" in world.text()
