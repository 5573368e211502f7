"""A kind unlike docker-mailserver: no hash to read, plain passwords, MiB only, small batches, breaks in the middle.

Everything goes through the product's own services.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from provision.app import Postroom
from provision.core.access import Actor
from provision.core.errors import Conflict, InvalidInput
from provision.core.plan import same_password
from provision.core.secret import Secret
from provision.core.state import Key, Resource
from provision.core.traits import USUAL, Feature, Quiet, Traits
from provision.queries import MailboxFilter
from provision.services.new_mailbox import NewMailbox
from provision.services.resolving import Winner
from provision.storage.models import Mailbox, Status, SyncStatus, utc_now
from provision.sync.engine import Sync
from provision.sync.result import PushStatus
from tests.conftest import HASH
from tests.nightly import by_day
from tests.servers.made_up import API_KEY, KIND, MB, Account, Remote, made_up

ALICE = Actor.system("alice")
PASSWORD, OTHER = Secret("Correct-Horse-1"), Secret("Battery-Staple-2")
ANNA = "anna@example.com"
BASE = Traits(reads_password=False, quota_step_bytes=MB, reads_some=True, chunk=50)
PLAIN = replace(BASE, password="plain", takes_hash=False)
VARIANTS: dict[str, tuple[Traits, dict[str, Any]]] = {
    "tells no hash": (BASE, {}),
    "tells no hash, has a place for a mark": (BASE, {"marks": True}),
    "tells another scheme": (BASE, {"tells": "other scheme"}),
    "plain passwords": (PLAIN, {}),
    "tells the hash": (replace(BASE, reads_password=True), {"tells": "hash"}),
    "tells no hash although it says so": (replace(BASE, reads_password=True), {}),
    "reads all or nothing": (replace(BASE, reads_some=False), {}),
    "one batch": (replace(BASE, chunk=1_000_000), {}),
    "is looked at once more": (replace(BASE, confirm_after_seconds=0.0), {}),
}


class Killed(BaseException):
    """As kill -9 between two statements: nothing after it is done."""


class Place:
    """One made-up server with a domain in Postroom."""

    def __init__(self, app: Postroom, remote: Remote) -> None:
        self.app, self.remote, self.write = app, remote, app.services
        settings = {"url": "https://made.up", "api_key": API_KEY}
        self.server = self.write.servers.create(ALICE, "far", KIND, settings, quiet_seconds=0)
        self.write.domains.create(ALICE, "example.com", "far")

    def add(self, address: str = ANNA, **more: Any) -> Mailbox:
        return self.write.mailboxes.create(ALICE, NewMailbox(address, password=PASSWORD, **more))

    def add_many(self, count: int) -> None:
        given: dict[str, Any] = {"password_hash": HASH} if self.remote.traits.takes_hash else {"password": PASSWORD}
        news = [NewMailbox(f"u{n}@example.com", **given) for n in range(count)]
        assert self.write.bulk.create(ALICE, news).errors == []

    def row(self, address: str = ANNA) -> Mailbox:
        return self.app.queries.mailbox_by_address(ALICE, address)

    def statuses(self) -> set[str]:
        return {row["sync_status"] for row in self.app.queries.mailboxes(ALICE, MailboxFilter(), size=1000).rows}

    def fits(self, password: Secret = PASSWORD, address: str = ANNA) -> bool:
        """Whether the server has been given this password, or a hash of it."""
        given = self.remote.accounts[address].password
        return given == password.reveal() or same_password(password, Secret(given))

    def push(self, *, ignore_backoff: bool = True) -> Any:
        return self.app.sync.push(self.server.id, ignore_backoff=ignore_backoff)


@pytest.fixture
def place(postroom: Postroom) -> Iterator[Callable[..., Place]]:
    with ExitStack() as stack:
        yield lambda traits=BASE, **how: Place(postroom, stack.enter_context(made_up(traits, **how)))


@pytest.fixture(params=VARIANTS)
def any_place(request: pytest.FixtureRequest, place: Callable[..., Place]) -> Place:
    traits, how = VARIANTS[request.param]
    return place(traits, **how)


def kill_before_recording(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    """The next push writes to the server and is killed before it has recorded that."""

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Sync, "_record", killed)
        with pytest.raises(Killed):
            place.push()


# ---- everything a person can ask for -------------------------------------------------------


def test_every_change_arrives(any_place: Place) -> None:
    write, remote = any_place.write, any_place.remote
    row = any_place.add(quota_bytes=5 * MB)
    assert row.sync_status == SyncStatus.SYNCED
    assert any_place.fits()
    write.mailboxes.reset_password(ALICE, row.uid, OTHER)
    assert any_place.fits(OTHER)
    write.mailboxes.edit(ALICE, row.uid, quota_bytes=7 * MB)
    write.mailboxes.disable(ALICE, row.uid)
    account = remote.accounts[ANNA]
    assert (account.quota_bytes, account.enabled) == (7 * MB, False)
    write.mailboxes.enable(ALICE, row.uid)
    alias = write.aliases.create(ALICE, "info@example.com", [ANNA, "x@elsewhere.net"])
    assert alias.sync_status == SyncStatus.SYNCED
    write.aliases.edit(ALICE, alias.uid, [ANNA])
    assert remote.aliases == {"info@example.com": (ANNA,)}
    assert any_place.row().sync_status == SyncStatus.SYNCED
    assert any_place.push().status in (PushStatus.IDLE, PushStatus.DONE)
    assert write.sync.preview(ALICE, any_place.server.uid).changes == []
    write.mailboxes.delete(ALICE, row.uid, force=True)
    assert (remote.accounts, remote.aliases) == ({}, {})


def test_a_delivered_password_is_kept_no_longer(any_place: Place) -> None:
    any_place.add()
    any_place.push()
    with any_place.app.database.read() as session:
        assert session.query(Mailbox.sealed_password).one() == (None,)


def test_hundreds_go_out_in_chunks_and_all_arrive(any_place: Place) -> None:
    any_place.add_many(120)
    assert any_place.statuses() == {SyncStatus.SYNCED}
    expected = [120] if any_place.remote.traits.chunk > 120 else [50, 50, 20]
    assert any_place.remote.batches == expected


def test_a_refused_one_does_not_keep_the_others(any_place: Place) -> None:
    any_place.remote.refused = frozenset({"u7@example.com"})
    any_place.add_many(60)
    assert any_place.row("u7@example.com").error == "It is refused here."
    assert sum(address.startswith("u") for address in any_place.remote.accounts) == 59
    any_place.remote.refused = frozenset()
    any_place.write.sync.retry_all(ALICE)
    assert any_place.statuses() == {SyncStatus.SYNCED}


# ---- whose account is it? ------------------------------------------------------------------


def test_an_account_of_somebody_else_is_never_taken_over(any_place: Place) -> None:
    any_place.remote.accounts[ANNA] = Account("theirs", 0, True, None)
    row = any_place.add()
    assert (row.sync_status, row.error_code) == (SyncStatus.FAILED, "SYNC_CONFLICT")
    assert any_place.remote.accounts[ANNA].password == "theirs"
    any_place.write.sync.resolve(ALICE, any_place.server.uid, Key(Resource.MAILBOX, ANNA), Winner.DASHBOARD)
    assert any_place.row().sync_status == SyncStatus.SYNCED
    assert any_place.fits()


def test_a_mark_tells_ours_after_a_kill(place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch) -> None:
    far = place(BASE, marks=True)
    far.write.delivery.enabled = False
    far.add()
    kill_before_recording(monkeypatch, far)
    assert far.remote.accounts[ANNA].mark == str(far.row().uid)
    assert far.write.sync.preview(ALICE, far.server.uid).conflicts == []
    far.push()
    assert far.row().sync_status == SyncStatus.SYNCED


def test_without_a_mark_a_kill_leaves_it_to_a_person(
    place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    far = place(BASE)
    far.write.delivery.enabled = False
    far.add()
    kill_before_recording(monkeypatch, far)
    far.push()
    assert far.row().error_code == "SYNC_CONFLICT"
    far.write.sync.resolve(ALICE, far.server.uid, Key(Resource.MAILBOX, ANNA), Winner.DASHBOARD)
    far.push()
    assert far.row().sync_status == SyncStatus.SYNCED


def test_a_kill_costs_one_chunk_at_most(place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch) -> None:
    far = place(BASE)
    far.write.delivery.enabled = False
    far.add_many(120)
    record, calls = Sync._record, []

    def killed_the_third_time(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        return record(*given)

    with monkeypatch.context() as patched:
        patched.setattr(Sync, "_record", killed_the_third_time)
        with pytest.raises(Killed):
            far.push()
    far.push()
    counts = far.app.queries.counts(ALICE)
    assert (counts["mailbox.SYNCED"], counts["mailbox.FAILED"]) == (100, 20)


def test_a_waiting_change_survives_a_kill(any_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    row = any_place.add(quota_bytes=5 * MB)
    any_place.write.delivery.enabled = False
    any_place.write.mailboxes.reset_password(ALICE, row.uid, OTHER)
    any_place.write.mailboxes.edit(ALICE, row.uid, quota_bytes=9 * MB)
    kill_before_recording(monkeypatch, any_place)
    any_place.push()
    assert any_place.row().sync_status == SyncStatus.SYNCED
    assert any_place.fits(OTHER)
    any_place.write.mailboxes.delete(ALICE, row.uid, force=True)
    kill_before_recording(monkeypatch, any_place)
    any_place.push()
    assert any_place.remote.accounts == {}
    assert any_place.app.queries.mailboxes(ALICE, MailboxFilter()).total == 0


# ---- breaking off --------------------------------------------------------------------------


@pytest.mark.parametrize("after", by_day([0, 51, 119], [0, 1, 49, 50, 51, 99, 119]))
def test_a_batch_that_breaks_off_is_continued(any_place: Place, after: int) -> None:
    """Also where the change that broke it off was carried out: it is read again before anything is sent again."""
    any_place.write.delivery.enabled = False
    any_place.add_many(120)
    any_place.remote.fail_after = after
    assert any_place.push().status is PushStatus.UNREACHABLE
    any_place.push()
    assert any_place.statuses() == {SyncStatus.SYNCED}
    given = HASH if any_place.remote.traits.takes_hash else PASSWORD
    assert {account.password for account in any_place.remote.accounts.values()} == {given.reveal()}


def test_it_is_left_alone_for_as_long_as_it_asks(place: Callable[..., Place]) -> None:
    far = place(BASE, retry_after=3600.0)
    far.remote.key = "changed"
    result = far.add(), far.push()
    hour = utc_now() + timedelta(seconds=3600)
    assert abs((result[1].retry_at - hour).total_seconds()) < 60
    assert far.push(ignore_backoff=False).status is PushStatus.UNREACHABLE
    reads = len(far.remote.reads)
    far.remote.key = API_KEY
    far.app.sync.probe(far.server.id)
    assert len(far.remote.reads) == reads
    far.push()  # a person
    assert far.row().sync_status == SyncStatus.SYNCED
    far.app.sync.probe(far.server.id)
    assert len(far.remote.reads) > reads


# ---- reading -------------------------------------------------------------------------------


def test_a_change_of_one_reads_one(place: Callable[..., Place]) -> None:
    far = place(BASE)
    far.add_many(120)
    far.remote.reads.clear()
    row = far.row("u5@example.com")
    far.write.mailboxes.edit(ALICE, row.uid, quota_bytes=3 * MB)
    assert far.remote.reads == [2, 2]  # as mailbox and as alias; before, and after
    far.write.sync.compare(ALICE, far.server.uid)
    assert far.remote.reads[-1] is None


def test_where_one_is_gone_the_whole_is_looked_at(place: Callable[..., Place]) -> None:
    far = place(BASE)
    far.add_many(120)
    row = far.row("u5@example.com")
    far.remote.accounts.clear()  # another machine answers
    far.write.mailboxes.reset_password(ALICE, row.uid, OTHER)
    assert far.push().status is PushStatus.UNSAFE
    assert far.remote.accounts == {}


def test_many_deletes_are_held_without_reading_all(place: Callable[..., Place]) -> None:
    far = place(BASE)
    far.add_many(60)
    far.write.delivery.enabled = False
    uids = [far.row(f"u{n}@example.com").uid for n in range(40)]
    far.write.bulk.delete(ALICE, uids, force=True)
    assert far.push().status is PushStatus.UNSAFE
    assert len(far.remote.accounts) == 60


def test_what_is_there_is_imported_and_differences_are_seen(any_place: Place) -> None:
    remote = any_place.remote
    remote.accounts["old@example.com"] = Account("theirs", 3 * MB, False, None)
    remote.aliases["info@example.com"] = ("old@example.com",)
    result = any_place.write.sync.pull(ALICE, any_place.server.uid)
    assert (result.imported, result.errors) == (2, [])
    row = any_place.row("old@example.com")
    assert (row.quota_bytes, row.status) == (3 * MB, Status.DISABLED)
    remote.accounts["old@example.com"].quota_bytes = 8 * MB
    plan = any_place.write.sync.preview(ALICE, any_place.server.uid)
    assert [(d.field, d.theirs) for d in plan.differing] == [("quota", str(8 * MB))]
    assert plan.changes == []
    any_place.write.sync.resolve(ALICE, any_place.server.uid, plan.differing[0].key, Winner.SERVER)
    assert any_place.row("old@example.com").quota_bytes == 8 * MB


# ---- what a kind cannot --------------------------------------------------------------------


def test_a_quota_is_rounded_up_to_what_the_kind_can(any_place: Place) -> None:
    row = any_place.add(quota_bytes=MB + 1)
    assert any_place.remote.accounts[ANNA].quota_bytes == 2 * MB
    assert row.sync_status == SyncStatus.SYNCED
    any_place.write.mailboxes.edit(ALICE, row.uid, quota_bytes=5)
    assert any_place.remote.accounts[ANNA].quota_bytes == MB, "less than a step is not “no limit”"
    plan = any_place.write.sync.preview(ALICE, any_place.server.uid)
    assert (plan.changes, plan.differing) == ([], [])


def test_without_quotas_the_rest_is_delivered(place: Callable[..., Place]) -> None:
    far = place(replace(BASE, features=USUAL - {Feature.QUOTA}))
    row = far.add(quota_bytes=5 * MB)
    assert row.sync_status == SyncStatus.SYNCED
    assert far.remote.accounts[ANNA].quota_bytes == 0
    assert [what for _, what in far.write.sync.preview(ALICE, far.server.uid).unsupported] == ["a quota"]


def test_what_the_kind_cannot_is_refused_when_it_is_asked_for(place: Callable[..., Place]) -> None:
    far = place(replace(BASE, features=frozenset({Feature.QUOTA}), address_rule=lambda resource, address: None))
    row = far.add()
    with pytest.raises(InvalidInput, match="cannot log in"):
        far.write.mailboxes.disable(ALICE, row.uid)
    assert "cannot log in" in far.write.bulk.disable(ALICE, [row.uid]).errors[0].error.message
    ben = far.add("ben@example.com")
    assert far.write.mailboxes.delete(ALICE, ben.uid).login_open, "said, and its account stays open"
    assert far.remote.accounts["ben@example.com"].enabled
    with pytest.raises(Conflict, match="restore it"):
        far.write.mailboxes.delete(ALICE, ben.uid)
    with pytest.raises(InvalidInput, match="cannot log in"):
        far.add("carl@example.com", enabled=False)
    with pytest.raises(InvalidInput, match="other servers"):
        far.write.aliases.create(ALICE, "info@example.com", [ANNA, "x@elsewhere.net"])
    with pytest.raises(InvalidInput, match="whole domains"):
        far.write.aliases.create(ALICE, "@example.com", [ANNA])
    with pytest.raises(InvalidInput, match="cannot be erased"):
        far.write.mailboxes.delete(ALICE, row.uid, force=True, erase_mail=True)


def test_a_kind_for_plain_passwords_gets_no_hash(place: Callable[..., Place]) -> None:
    far = place(PLAIN)
    far.add_many(3)
    assert {account.password for account in far.remote.accounts.values()} == {PASSWORD.reveal()}
    with pytest.raises(InvalidInput, match="takes no password hashes"):
        far.write.mailboxes.create(ALICE, NewMailbox(ANNA, password_hash=HASH))


def test_addresses_are_judged_by_the_kind(place: Callable[..., Place]) -> None:
    far = place(replace(BASE, address_rule=lambda resource, address: f"no {resource}" if "ben" in address else None))
    assert far.add("o'brien@example.com").sync_status == SyncStatus.SYNCED
    with pytest.raises(InvalidInput, match="no mailbox"):
        far.add("ben@example.com")
    with pytest.raises(InvalidInput, match="no alias"):
        far.add(aliases=("ben@example.com",))
    with pytest.raises(InvalidInput, match="cannot be a destination: no alias"):
        far.write.aliases.create(ALICE, "info@example.com", ["ben@example.net"])
    far.remote.accounts["ben@example.com"] = Account("theirs", 0, True, None)
    assert far.write.sync.pull(ALICE, far.server.uid).imported == 1, "what is there is read more widely"


def test_changes_are_gathered_as_long_as_the_kind_says(place: Callable[..., Place]) -> None:
    far = place(replace(BASE, reads_some=False, quiet=Quiet(2, 30.0)))
    far.write.servers.edit(ALICE, far.server.uid, quiet_seconds=-1)
    assert far.add().sync_status == SyncStatus.SYNCED
    assert far.add("ben@example.com").sync_status == SyncStatus.SYNCED
    assert far.add("cleo@example.com").sync_status == SyncStatus.PENDING
    assert far.push(ignore_backoff=False).status is PushStatus.GATHERING
