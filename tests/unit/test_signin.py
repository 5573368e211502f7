"""Signing in, sessions, locks."""

import unicodedata
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import bcrypt
import pytest
import time_machine

from provision.app import Postroom, create_first_admin, open_postroom
from provision.core.access import Actor, Role
from provision.core.errors import NotSignedIn, WeakPassword
from provision.core.secret import Secret
from provision.queries import LogFilter
from provision.settings.config import Settings
from provision.storage.models import Operator, SignInGuard, utc_now

SYSTEM = Actor.system("test")
PASSWORD, WRONG, NEW = Secret("Correct-Horse-1"), Secret("Wrong-Horse-1"), Secret("Other-Horse-2")
IP = "192.0.2.9"


@pytest.fixture
def alice(postroom: Postroom) -> Operator:
    row, _ = postroom.services.operators.create(SYSTEM, "alice", Role.SUPER_ADMIN, password=PASSWORD)
    return row


def test_a_guess_costs_what_the_setting_says(
    postroom: Postroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4096 rounds of bcrypt unless an admin says otherwise; the other tests run with the fewest there are."""
    monkeypatch.delenv("POSTROOM_OPERATOR_HASH_COST")
    app = open_postroom(Settings(data_dir=tmp_path / "usual"))
    row, _ = app.services.operators.create(SYSTEM, "alice", Role.SUPER_ADMIN, password=PASSWORD)
    app.close()
    assert row.password_hash.startswith("$2b$12$")
    cheap, _ = postroom.services.operators.create(SYSTEM, "alice", Role.SUPER_ADMIN, password=PASSWORD)
    assert cheap.password_hash.startswith("$2b$04$")


def refusal(app: Postroom, name: str, password: Secret, ip: str = IP) -> str:
    with pytest.raises(NotSignedIn) as caught:
        app.sign_in.check(name, password, ip)
    return caught.value.code


def recorded(app: Postroom, operation: str) -> list[tuple[str, str, str | None]]:
    rows = app.queries.logs(SYSTEM, LogFilter(operation=operation)).rows
    return [(row["operator"], row["status"], row["ip"]) for row in rows]


def test_the_first_start_makes_an_admin_once(postroom: Postroom) -> None:
    password = create_first_admin(postroom)
    assert password is not None
    assert create_first_admin(postroom) is None
    uid = postroom.sign_in.check("admin", password, IP)
    who = postroom.sign_in.current(postroom.sign_in.open_session(uid, IP))
    assert who is not None
    assert (who.actor.role, who.must_change_password) == (Role.SUPER_ADMIN, True)


def test_a_session_lasts_until_it_is_idle_over_or_ended(postroom: Postroom, alice: Operator) -> None:
    sign_in = postroom.sign_in
    token = sign_in.open_session(sign_in.check(" Alice ", PASSWORD, IP), IP, "a browser")
    assert sign_in.current(token) is not None
    for minutes in (29, 58, 80):
        with time_machine.travel(utc_now() + timedelta(minutes=minutes)):
            assert sign_in.current(token) is not None
    with time_machine.travel(utc_now() + timedelta(minutes=80 + 31)):
        assert sign_in.current(token) is None
    for minutes in range(0, 12 * 60 + 1, 20):
        with time_machine.travel(utc_now() + timedelta(minutes=minutes)):
            lives = sign_in.current(token) is not None
        assert lives == (minutes < 12 * 60), minutes


def test_a_page_that_refreshes_itself_is_no_sign_of_life(postroom: Postroom, alice: Operator) -> None:
    token = postroom.sign_in.open_session(alice.uid, IP)
    for minutes in (10, 20, 29):
        with time_machine.travel(utc_now() + timedelta(minutes=minutes)):
            assert postroom.sign_in.current(token, seen=False) is not None
    with time_machine.travel(utc_now() + timedelta(minutes=31)):
        assert postroom.sign_in.current(token, seen=False) is None


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=3), timedelta(days=400)])
def test_a_session_made_while_the_clock_was_ahead_is_over(
    postroom: Postroom, alice: Operator, ahead: timedelta
) -> None:
    with time_machine.travel(utc_now() + ahead):
        token = postroom.sign_in.open_session(alice.uid, IP)
        assert postroom.sign_in.current(token)
    assert postroom.sign_in.current(token, seen=False) is None


def test_a_clock_put_back_by_minutes_signs_nobody_out_and_gives_nobody_more_time(
    postroom: Postroom, alice: Operator
) -> None:
    with time_machine.travel(utc_now() + timedelta(minutes=20)):
        token = postroom.sign_in.open_session(alice.uid, IP)
    assert postroom.sign_in.current(token)
    with time_machine.travel(utc_now() + timedelta(minutes=31)):
        assert postroom.sign_in.current(token) is None


@pytest.mark.parametrize("ahead", [timedelta(minutes=30), timedelta(days=400)])
@pytest.mark.parametrize("tries", [4, 6])
def test_a_lock_made_while_the_clock_was_ahead_is_over(
    postroom: Postroom, alice: Operator, ahead: timedelta, tries: int
) -> None:
    with time_machine.travel(utc_now() + ahead):
        for _ in range(tries):
            refusal(postroom, "alice", WRONG)
    assert [refusal(postroom, "alice", WRONG) for _ in range(4)] == ["WRONG_CREDENTIALS"] * 4
    assert postroom.sign_in.check("alice", PASSWORD, IP) == alice.uid


def test_signing_out_ends_it_for_good(postroom: Postroom, alice: Operator) -> None:
    token = postroom.sign_in.open_session(alice.uid, IP)
    who = postroom.sign_in.current(token)
    assert who is not None
    postroom.sign_in.sign_out(who)
    assert postroom.sign_in.current(token) is None
    assert recorded(postroom, "operator.sign_out") == [("alice", "SUCCESS", IP)]


def test_the_token_is_not_in_the_database(postroom: Postroom, alice: Operator) -> None:
    token = postroom.sign_in.open_session(alice.uid, IP).reveal()
    with postroom.database.read() as session:
        rows = session.connection().exec_driver_sql("SELECT token_hash FROM admin_session").all()
    assert token not in str(rows)
    assert postroom.sign_in.current(Secret(rows[0][0])) is None


@pytest.mark.both_databases
@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_guessing_locks_a_name_whether_it_exists_or_not(postroom: Postroom, alice: Operator, name: str) -> None:
    codes = [refusal(postroom, name, WRONG, f"192.0.2.{i}") for i in range(7)]
    assert codes == ["WRONG_CREDENTIALS"] * 5 + ["LOCKED"] * 2
    assert refusal(postroom, name, PASSWORD) == "LOCKED"
    operator = "alice" if name == "alice" else "(unknown name)"
    assert [row[:2] for row in recorded(postroom, "operator.sign_in")] == [(operator, "FAILED")] * 5
    assert len(recorded(postroom, "operator.lock")) == 1
    with time_machine.travel(utc_now() + timedelta(minutes=16)):
        assert refusal(postroom, name, WRONG) == "WRONG_CREDENTIALS"


def test_guessing_locks_an_address(postroom: Postroom, alice: Operator) -> None:
    codes = [refusal(postroom, f"name{i}", WRONG) for i in range(21)]
    assert codes[19:] == ["WRONG_CREDENTIALS", "LOCKED"]
    assert refusal(postroom, "alice", PASSWORD) == "LOCKED"
    assert postroom.sign_in.check("alice", PASSWORD, "192.0.2.77") == alice.uid


def test_the_right_password_forgives(postroom: Postroom, alice: Operator) -> None:
    for _ in range(4):
        refusal(postroom, "alice", WRONG)
    postroom.sign_in.check("alice", PASSWORD, IP)
    assert [refusal(postroom, "alice", WRONG) for _ in range(5)] == ["WRONG_CREDENTIALS"] * 5


def test_an_admin_unlocks(postroom: Postroom, alice: Operator) -> None:
    for _ in range(6):
        refusal(postroom, "alice", WRONG)
    assert postroom.queries.operators(SYSTEM)[0]["locked_until"] is not None
    postroom.services.operators.unlock(SYSTEM, alice.uid)
    assert postroom.sign_in.check("alice", PASSWORD, IP) == alice.uid


@pytest.mark.both_databases
def test_what_was_typed_as_a_name_is_not_recorded(postroom: Postroom) -> None:
    refusal(postroom, "My-Secret-Password-1", WRONG)
    rows = postroom.queries.logs(SYSTEM, LogFilter(operation="operator.sign_in")).rows
    assert "secret" not in str([dict(row) for row in rows]).lower()


@pytest.mark.parametrize("password", ["", "x" * 100, "a\0b", "\ud800", "é" * 40])
def test_odd_passwords_are_just_wrong(postroom: Postroom, alice: Operator, password: str) -> None:
    assert refusal(postroom, "alice", Secret(password)) == "WRONG_CREDENTIALS"


@pytest.mark.both_databases
@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x" * 500, "' OR 1=1 --", "name:ip"])
def test_odd_names_are_just_wrong(postroom: Postroom, name: str) -> None:
    assert refusal(postroom, name, PASSWORD) == "WRONG_CREDENTIALS"


def test_disabling_resetting_and_ending_stop_all_sessions(postroom: Postroom, alice: Operator) -> None:
    row, _ = postroom.services.operators.create(SYSTEM, "bob", Role.VIEWER, password=PASSWORD)
    ends = (
        lambda: postroom.services.operators.end_sessions(SYSTEM, row.uid),
        lambda: postroom.services.operators.set_password(SYSTEM, row.uid),
        lambda: postroom.services.operators.edit(SYSTEM, row.uid, enabled=False),
    )
    for end in ends:
        token = postroom.sign_in.open_session(row.uid, IP)
        end()
        assert postroom.sign_in.current(token) is None
    assert refusal(postroom, "bob", PASSWORD) == "WRONG_CREDENTIALS"


def test_changing_ones_password_ends_the_other_sessions(postroom: Postroom, alice: Operator) -> None:
    here, elsewhere = (postroom.sign_in.open_session(alice.uid, IP) for _ in range(2))
    who = postroom.sign_in.current(here)
    assert who is not None
    with pytest.raises(NotSignedIn):
        postroom.sign_in.change_password(who, WRONG, NEW)
    with pytest.raises(WeakPassword):
        postroom.sign_in.change_password(who, PASSWORD, PASSWORD)
    with pytest.raises(WeakPassword):
        postroom.sign_in.change_password(who, PASSWORD, Secret("short"))
    postroom.sign_in.change_password(who, PASSWORD, NEW)
    assert postroom.sign_in.current(here) is not None
    assert postroom.sign_in.current(elsewhere) is None
    assert postroom.sign_in.check("alice", NEW, IP) == alice.uid
    assert postroom.queries.verify_audit(SYSTEM).intact


def test_roles_come_from_the_database_not_from_the_sign_in(postroom: Postroom, alice: Operator) -> None:
    row, _ = postroom.services.operators.create(SYSTEM, "bob", Role.SUPER_ADMIN, password=PASSWORD)
    token = postroom.sign_in.open_session(row.uid, IP)
    postroom.services.operators.edit(SYSTEM, row.uid, role="DomainAdmin")
    who = postroom.sign_in.current(token)
    assert who is not None
    assert (who.actor.role, who.actor.domains) == (Role.DOMAIN_ADMIN, frozenset())


def test_a_short_idle_time_is_kept_by_clicking(postroom: Postroom, alice: Operator) -> None:
    postroom.settings.session_idle_minutes = 1
    with time_machine.travel(utc_now(), tick=False) as clock:
        token = postroom.sign_in.open_session(alice.uid, None)
        for _ in range(8):
            clock.shift(30)
            assert postroom.sign_in.current(token)


@pytest.mark.both_databases
def test_many_first_tries_at_once_are_all_counted(postroom: Postroom, alice: Operator) -> None:
    def guess(number: int) -> str:
        with pytest.raises(NotSignedIn) as caught:
            postroom.sign_in.check(f"somebody{number}", Secret("wrong"), "192.0.2.1")
        return caught.value.code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(guess, range(8))) == {"WRONG_CREDENTIALS"}
    with postroom.database.read() as session:
        assert session.get_one(SignInGuard, "ip:192.0.2.1").failures == 8


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_password_signs_in_however_it_was_composed(postroom: Postroom, form: str) -> None:
    typed = "Zürich-Ärger-１"
    row, _ = postroom.services.operators.create(SYSTEM, "zoe", Role.VIEWER, password=Secret(typed))
    assert postroom.sign_in.check("zoe", Secret(unicodedata.normalize(form, typed)), IP) == row.uid
    refusal(postroom, "zoe", Secret("Zurich-Arger-1"))


def test_one_from_before_passwords_had_one_form_still_signs_in(postroom: Postroom, alice: Operator) -> None:
    old = "Full-Width-１"
    with postroom.database.write() as session:
        found = session.get_one(Operator, alice.id)
        found.password_hash = bcrypt.hashpw(old.encode(), bcrypt.gensalt(4)).decode()
    assert postroom.sign_in.check("alice", Secret(old), IP) == alice.uid
