"""The rules a SuperAdmin sets: where a value comes from, that it holds at once everywhere, and who is told no."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from provision.app import Postroom, open_postroom
from provision.core.access import Actor, Role
from provision.core.errors import AccessDenied, Conflict, InvalidInput, ProvisionError, WeakPassword
from provision.core.passwords import check_password
from provision.core.policy import NAMES, bounds
from provision.core.secret import Secret
from provision.jobs.loop import Jobs
from provision.services.new_mailbox import NewMailbox
from provision.services.policy import Shown, Source
from provision.storage.models import Mailbox, ProvisionLog, Server, SyncStatus
from provision.transfer.csv_io import import_csv
from tests.conftest import HASH, OTHER_HASH, PASSWORD, World

SHORT, LONG = Secret("Horse-Staple1"), Secret("Correct-Horse-Battery-Staple-1-2-3-4-5-6")


@pytest.fixture
def other(world: World) -> Iterator[Postroom]:
    """Another process on the same database."""
    app = open_postroom(world.app.settings.model_copy(), migrate=False)
    yield app
    app.close()


def edit(world: World, actor: Actor | None = None, **changes: Any) -> Shown:
    return world.app.services.policy.edit(actor or world.alice, changes)


def refusal(world: World, **changes: Any) -> str:
    before = world.app.services.policy.show(world.alice)
    with pytest.raises(InvalidInput) as caught:
        edit(world, **changes)
    assert world.app.services.policy.show(world.alice) == before
    return caught.value.message


def last_record(world: World) -> ProvisionLog:
    with world.app.database.read() as session:
        return session.scalars(select(ProvisionLog).order_by(ProvisionLog.id.desc()).limit(1)).one()


# ---- where a value comes from --------------------------------------------------------------


def test_at_first_all_is_as_the_environment_or_the_product_says(world: World) -> None:
    shown = world.app.services.policy.show(world.vera)
    assert [rule.name for rule in shown.rules] == list(NAMES)
    assert (shown["password_min_length"].value, shown["password_min_length"].source) == (8, Source.DEFAULT)
    assert (shown["retry_base_seconds"].value, shown["retry_base_seconds"].source) == (0.01, Source.ENVIRONMENT)


def test_what_is_set_here_comes_first_and_can_be_taken_back(world: World) -> None:
    rule = edit(world, retry_cap_seconds=2, password_classes=4)["retry_cap_seconds"]
    assert (rule.value, rule.default, rule.source) == (2.0, 0.02, Source.SET)
    shown = edit(world, retry_cap_seconds=None)
    assert (shown["retry_cap_seconds"].value, shown["retry_cap_seconds"].source) == (0.02, Source.ENVIRONMENT)
    assert shown["password_classes"].source == Source.SET


def test_what_is_set_to_the_default_stays_when_the_default_changes(world: World) -> None:
    edit(world, max_attempts=8)
    world.app.settings.max_attempts = 20
    assert world.app.services.policy.now().max_attempts == 8


def test_off_and_none_are_values_too(world: World) -> None:
    world.app.settings.enable_auto_import, world.app.settings.default_quota_mb = True, 500
    edit(world, enable_auto_import=False, default_quota_mb=0)
    rules = world.app.services.policy.now()
    assert (rules.enable_auto_import, rules.default_quota_mb) == (False, 0)


def test_a_least_length_above_the_most_as_the_environment_may_have_it_lets_passwords_in(world: World) -> None:
    edit(world, password_min_length=24)
    world.app.settings.password_max_length = 16
    check_password(world.app.services.policy.new_password(), world.app.services.policy.now().passwords)
    assert world.app.services.policy.now().passwords.max_length == 24


# ---- at once, everywhere -------------------------------------------------------------------


def test_every_way_a_password_comes_in_asks_the_rules_of_this_moment(world: World, other: Postroom) -> None:
    anna = world.add("anna@example.com")
    edit(world, password_min_length=16)
    write, alice = other.services, world.alice
    sheet = f"email,password\nben@example.com,{SHORT.reveal()}\n".encode()
    with pytest.raises(WeakPassword, match="16 to 32 characters; this one has 13"):
        write.mailboxes.create(alice, NewMailbox("ben@example.com", SHORT))
    with pytest.raises(WeakPassword, match="16 to 32"):
        write.mailboxes.reset_password(alice, anna.uid, SHORT)
    with pytest.raises(WeakPassword, match="16 to 32"):
        write.operators.create(alice, "ben", Role.VIEWER, password=SHORT)
    many = write.bulk.create(alice, [NewMailbox("ben@example.com", SHORT), NewMailbox("cleo@example.com", LONG)])
    assert [error.error.code for error in many.errors] == ["WEAK_PASSWORD", "WEAK_PASSWORD"]
    assert [(e.column, e.code) for e in import_csv(other, alice, sheet).errors] == [("password", "WEAK_PASSWORD")]
    edit(world, password_min_length=None)
    assert import_csv(other, alice, sheet).errors == []


def test_an_operator_chooses_their_own_password_by_these_rules(world: World) -> None:
    app = world.app
    operator, _none = app.services.operators.create(world.alice, "ben", Role.VIEWER, password=PASSWORD)
    token = app.sign_in.open_session(operator.uid, "192.0.2.9")
    who = app.sign_in.current(token, "192.0.2.9")
    assert who is not None
    edit(world, password_classes=4, password_max_length=16)
    with pytest.raises(WeakPassword, match="8 to 16"):
        app.sign_in.change_password(who, PASSWORD, LONG)
    with pytest.raises(WeakPassword, match="four of"):
        app.sign_in.change_password(who, PASSWORD, Secret("CorrectHorse12"))


def test_new_passwords_follow(world: World) -> None:
    edit(world, password_min_length=40, password_max_length=64, password_classes=4)
    row = world.add("anna@example.com")
    _row, secret = world.app.services.mailboxes.reset_password(world.alice, row.uid)
    assert secret is not None
    assert len(secret.reveal()) == 40
    assert world.reload(row).sync_status == SyncStatus.SYNCED


def test_a_long_password_arrives_as_a_hash(world: World) -> None:
    edit(world, password_max_length=64)
    row = world.app.services.mailboxes.create(world.alice, NewMailbox("anna@example.com", LONG))
    assert (row.sync_status, LONG.reveal() in world.text()) == (SyncStatus.SYNCED, False)
    assert world.text().startswith("anna@example.com|{SHA512-CRYPT}$6$")


def test_the_standard_quota_is_for_mailboxes_whose_domain_says_nothing(world: World, other: Postroom) -> None:
    edit(world, default_quota_mb=2048)
    other.services.domains.edit(world.alice, world.org.uid, default_quota_bytes=5 << 20)
    made = [
        other.services.mailboxes.create(world.alice, NewMailbox(address, password_hash=HASH))
        for address in ("anna@example.com", "anna@example.org")
    ]
    assert [row.quota_bytes for row in made] == [2048 << 20, 5 << 20]


def test_retries_follow(world: World, other: Postroom) -> None:
    edit(world, max_attempts=2, retry_base_seconds=100, retry_cap_seconds=1000)
    world.write(f"twice@example.com|{OTHER_HASH.reveal()}\ntwice@example.com|{HASH.reveal()}\n")
    row = world.add("twice@example.com", password_hash=HASH)
    with world.app.database.read() as session:
        waits = session.scalars(select(Mailbox.next_attempt_at)).one()
    assert waits is not None
    assert 49 < (waits - datetime.now(UTC)).total_seconds() <= 100
    other.sync.push(world.server.id, ignore_backoff=True)
    assert (world.reload(row).sync_status, world.reload(row).attempts) == (SyncStatus.FAILED, 2)


def test_auto_import_is_switched_on_and_off_while_it_runs(world: World, other: Postroom) -> None:
    jobs = Jobs(other)
    world.write(f"olga@example.com|{HASH.reveal()}\n")
    jobs.sweep()
    assert world.app.queries.mailboxes(world.alice).total == 0
    edit(world, enable_auto_import=True, auto_import_interval=600)
    jobs.sweep()
    assert world.app.queries.mailboxes(world.alice).total == 1
    now = datetime.now(UTC)
    assert jobs.auto_import(now + timedelta(seconds=500)) == []
    edit(world, auto_import_interval=60)
    assert jobs.auto_import(now + timedelta(seconds=500)) == [world.server.id]


# ---- refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in NAMES if bounds(name)])
def test_each_number_has_its_bounds(world: World, name: str) -> None:
    limits = bounds(name)
    assert limits is not None
    for value in (limits[0] - 1, limits[1] + 1, float("nan"), float("inf"), "many", "", -1):
        message = refusal(world, **{name: value})
        assert message.startswith(f"{name} (")
        assert "number from" in message


def test_what_makes_no_sense_together_is_refused(world: World) -> None:
    assert "more than password_max_length, which is 32" in refusal(world, password_min_length=33)
    assert "more than retry_cap_seconds" in refusal(world, retry_base_seconds=60, retry_cap_seconds=30)
    edit(world, password_min_length=33, password_max_length=64)
    assert "password_min_length would be 33" in refusal(world, password_max_length=None)


def test_unknown_rules_are_named(world: World) -> None:
    assert "no rule called database_url" in refusal(world, database_url="sqlite://")


def test_nothing_is_done_by_halves(world: World) -> None:
    refusal(world, default_quota_mb=5, password_classes=9)
    assert world.app.services.policy.now().default_quota_mb == 1024


def test_of_two_admins_the_second_is_told_with_the_values_of_the_first(world: World) -> None:
    seen = world.app.services.policy.show(world.alice).version
    world.app.services.policy.edit(world.alice, {"password_min_length": 12}, expected_version=seen)
    with pytest.raises(Conflict) as caught:
        world.app.services.policy.edit(world.alice, {"password_min_length": 10}, expected_version=seen)
    assert (caught.value.code, caught.value.details["current"]) == ("EDIT_CONFLICT", {"password_min_length": 12})
    assert world.app.services.policy.now().password_min_length == 12


def test_of_many_at_the_same_moment_one_wins(world: World, other: Postroom) -> None:
    seen = world.app.services.policy.show(world.alice).version

    def try_it(number: int) -> str:
        app = (world.app, other)[number % 2]
        try:
            app.services.policy.edit(world.alice, {"password_min_length": 9 + number}, expected_version=seen)
        except ProvisionError as error:
            return error.code
        return "done"

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(try_it, range(6))) == ["EDIT_CONFLICT"] * 5 + ["done"]
    assert world.app.services.policy.show(world.alice).version == seen + 1


def test_only_a_super_admin_may_and_a_denial_is_recorded(world: World) -> None:
    for actor in (world.dora, world.vera):
        assert world.app.services.policy.show(actor).rules
        with pytest.raises(AccessDenied):
            edit(world, actor, password_min_length=12)
        record = last_record(world)
        assert (record.operator, record.operation, record.status, record.resource_type) == (
            actor.name,
            "policy.edit",
            "FAILED",
            "access",
        )
    assert world.app.services.policy.now().password_min_length == 8


# ---- recorded ------------------------------------------------------------------------------


def test_the_log_tells_who_what_it_was_and_what_it_is(world: World) -> None:
    edit(world, password_min_length=12, max_attempts=8)
    record = last_record(world)
    assert (record.operator, record.operation, record.resource_type, record.status) == (
        "alice",
        "policy.edit",
        "policy",
        "SUCCESS",
    )
    assert record.payload["password_min_length"] == {"old": 8, "new": 12, "default": False}
    edit(world, password_min_length=None)
    assert last_record(world).payload == {"password_min_length": {"old": 12, "new": 8, "default": True}}
    assert world.app.queries.verify_audit(world.alice).broken_at is None


def test_saving_what_is_so_already_is_no_change(world: World) -> None:
    before = edit(world, password_min_length=12)
    record = last_record(world).id
    assert edit(world, password_min_length=12, max_attempts=None) == before
    assert last_record(world).id == record


def test_a_server_that_is_down_waits_as_long_as_the_rules_say(world: World) -> None:
    edit(world, retry_base_seconds=200, retry_cap_seconds=300)
    world.volume.rename(world.volume.with_name("away"))
    world.add("anna@example.com")
    with world.app.database.read() as session:
        retry_at = session.scalars(select(Server.next_attempt_at)).one()
    assert retry_at is not None
    assert 99 < (retry_at - datetime.now(UTC)).total_seconds() <= 200
