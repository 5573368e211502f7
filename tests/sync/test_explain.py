"""Why a row is not on its mail server yet: one answer for pages, command line and API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from provision.queries.explain import Explanation, Remedy, explain
from provision.storage.models import Mailbox, Server
from tests.conftest import HASH, OTHER_HASH, World

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SOON, LATER = NOW + timedelta(seconds=30), NOW + timedelta(minutes=5)
PENDING = {"sync_status": "PENDING", "next_attempt_at": None, "error": None, "error_code": None, "removing": False}


def server(**more: Any) -> Server:
    return Server(name="main", kind="dms_files", accounts=12, quiet_seconds=0, **more)


def why(given: Server, **row: Any) -> Explanation:
    return explain({**PENDING, **row}, given, NOW)


def test_what_is_there_needs_no_explanation() -> None:
    down = server(error="There is no folder /srv.", alarm="Much is missing.")
    assert why(down, sync_status="SYNCED") == Explanation()


def test_a_server_that_is_away_is_the_reason_and_the_later_of_both_pauses_counts() -> None:
    down = server(error="There is no folder /srv.", next_attempt_at=SOON)
    found = why(down)
    assert (found.reason_code, found.remedy) == ("SERVER_UNREACHABLE", Remedy.PUSH)
    assert found.reason == "The mail server main cannot be reached: There is no folder /srv."
    assert found.next_attempt_at == SOON
    assert why(down, next_attempt_at=LATER, error="no").next_attempt_at == LATER


def test_under_the_alarm_the_next_step_is_to_look() -> None:
    halted = server(alarm="Much is missing.", error="There is no folder /srv.", next_attempt_at=SOON)
    found = why(halted, error="no", error_code="COMMAND_FAILED", next_attempt_at=LATER)
    assert (found.reason_code, found.remedy, found.next_attempt_at) == ("UNSAFE_PLAN", Remedy.LOOK, None)
    assert found.reason == "The mail server main is halted: Much is missing."
    assert "preview" in (found.advice or "")


def test_what_was_refused_waits_for_its_next_try() -> None:
    found = why(server(), error="quota too large", error_code="COMMAND_FAILED", next_attempt_at=LATER)
    assert found[:4] == ("COMMAND_FAILED", "quota too large", LATER, Remedy.RETRY)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("SYNC_CONFLICT", Remedy.COMPARE),
        ("MAILBOX_GONE", Remedy.RESET_PASSWORD),
        ("KEY_UNUSABLE", Remedy.RESET_PASSWORD),
        ("COMMAND_FAILED", Remedy.RETRY),
    ],
)
def test_what_was_given_up_waits_for_a_person(code: str, remedy: Remedy) -> None:
    down = server(error="There is no folder /srv.", next_attempt_at=SOON)
    found = why(down, sync_status="FAILED", error="Somebody else's.", error_code=code, next_attempt_at=LATER)
    assert found[:4] == (code, "Somebody else's.", None, remedy)


def test_in_the_quiet_time_changes_are_gathered() -> None:
    quiet = Server(name="main", kind="dms_files", accounts=12, quiet_seconds=60, last_write_at=NOW - (SOON - NOW))
    assert why(quiet)[::2] == ("GATHERING", SOON, why(quiet).advice)
    quiet.last_write_at = LATER  # a clock that was put back
    assert why(quiet).reason_code == "WAITING"


def test_a_removal_says_that_it_is_one() -> None:
    assert why(server(), removing=True)[:2] == ("REMOVING", "It is being removed from the mail server.")
    found = why(server(error="There is no folder /srv."), removing=True)
    assert found.reason == "To be removed: The mail server main cannot be reached: There is no folder /srv."


def test_a_time_of_a_wrong_clock_is_no_promise() -> None:
    assert why(server(), next_attempt_at=NOW + timedelta(days=400)).next_attempt_at is None
    assert why(server()).reason_code == "WAITING"


# ---- in lists ------------------------------------------------------------------------------


@pytest.fixture
def waiting(world: World) -> Mailbox:
    """One that is there, and one that came when the volume was away."""
    world.add("anna@example.com")
    world.volume.rename(world.volume.with_name("away"))
    return world.add("ben@example.com")


@pytest.mark.both_databases
def test_each_list_tells_it_and_so_does_a_single_row(world: World, waiting: Mailbox) -> None:
    queries = world.app.queries
    anna, ben = queries.mailboxes(world.alice).rows
    assert (anna["reason"], ben["reason_code"]) == (None, "SERVER_UNREACHABLE")
    (left,) = queries.unsynced(world.alice).rows
    one = queries.mailbox_row(world.alice, waiting.uid)
    assert {row["reason"] for row in (ben, left, one)} == {ben["reason"]}
    assert ben["next_attempt_at"] is not None
    made = world.app.services.aliases.create(world.alice, "info@example.com", ["anna@example.com"])
    (alias,) = queries.aliases(world.alice).rows
    assert alias["reason"] == queries.alias_row(world.alice, made.uid)["reason"] == ben["reason"]


def test_the_halted_server_is_named_where_its_changes_are_listed(world: World) -> None:
    row = world.add("anna@example.com")
    with world.app.database.write() as session:
        session.execute(update(Server).values(alarm="Much is missing."))
        session.execute(update(Mailbox).values(generation=Mailbox.generation + 1))
    (health,) = world.app.queries.health(world.alice)
    listed = world.app.queries.mailbox_row(world.alice, row.uid)
    assert listed["reason"] == health["reason"] == "The mail server main is halted: Much is missing."
    assert listed["advice"] == health["advice"]


def test_a_clash_is_to_be_compared(world: World) -> None:
    world.write(f"anna@example.com|{OTHER_HASH.reveal()}\n")
    row = world.add("anna@example.com", password_hash=HASH)
    listed = world.app.queries.mailbox_row(world.alice, row.uid)
    assert (listed["reason_code"], listed["remedy"]) == ("SYNC_CONFLICT", Remedy.COMPARE)
