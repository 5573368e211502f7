"""What else decides over mail is told before and after a change, in check, doctor and preview; circles; leftovers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from provision.core.errors import Conflict, InvalidEmail, InvalidInput
from provision.ops.doctor import Verdict, examine
from provision.queries import LogFilter
from provision.services.new_mailbox import NewMailbox
from provision.storage.models import Alias, SyncStatus
from provision.transfer.csv_io import plan_import
from tests.conftest import HASH, World

VIRTUAL, REGEXP, RECEIVE = "postfix-virtual.cf", "postfix-regexp.cf", "postfix-receive-access.cf"
H = HASH.reveal()
CAUGHT = "/@example\\.com$/ boss@example.org\n"


def alias(world: World, address: str, *destinations: str) -> Alias:
    return world.app.services.aliases.create(world.alice, address, destinations)


def warnings(world: World, address: str, *destinations: str) -> list[str]:
    if destinations:
        return world.app.queries.alias_warnings(world.alice, address, destinations)
    return world.app.queries.mailbox_warnings(world.alice, address)


# ---- rules of the server -------------------------------------------------------------------


@pytest.mark.parametrize("look", ["probe", "preview", "push", "check"])
def test_a_rule_that_takes_the_mail_of_a_new_mailbox_is_told_before(world: World, look: str) -> None:
    world.write(CAUGHT, REGEXP)
    acts: dict[str, Callable[[], object]] = {
        "probe": lambda: world.app.sync.probe(world.server.id),
        "preview": lambda: world.app.services.sync.preview(world.alice, world.server.uid),
        "push": lambda: world.add("first@example.org"),
        "check": lambda: world.app.services.servers.check(world.alice, world.server.uid),
    }
    acts[look]()
    told = "Mail for ben@example.com is decided by a rule in postfix-regexp.cf: it goes to boss@example.org."
    assert warnings(world, "Ben@example.com") == [told]
    assert warnings(world, "ben@example.org") == []
    assert world.app.queries.mailboxes_warnings(world.alice, ["ben@example.com", "ben@example.org"]) == [told]
    world.write("", REGEXP)
    acts[look if look != "push" else "probe"]()
    assert warnings(world, "ben@example.com") == []


def test_check_doctor_and_preview_tell_it(world: World) -> None:
    world.add("ben@example.com")
    world.write(CAUGHT, REGEXP)
    told = "takes the mail of mailboxes (1: ben@example.com)"
    assert told in world.app.services.servers.check(world.alice, world.server.uid)[0]
    assert told in world.app.services.sync.preview(world.alice, world.server.uid).warnings[0]
    findings = [finding for finding in examine(world.app.settings) if finding.about == "mail server main"]
    assert [(finding.verdict, told in finding.text) for finding in findings] == [(Verdict.WARNING, True)]


def test_an_account_that_may_not_receive_is_told_on_it_and_on_its_alias(world: World) -> None:
    world.add("anna@example.com")
    world.write("anna@example.com\t\tREJECT\n", RECEIVE)
    world.app.sync.probe(world.server.id)
    told = "Mail for anna@example.com is refused by a rule in postfix-receive-access.cf: REJECT."
    assert warnings(world, "anna@example.com") == [told]
    assert warnings(world, "info@example.com", "anna@example.com") == [told]


def test_others_domains_are_not_spoken_of(world: World) -> None:
    world.write("/@example\\.org$/ boss@elsewhere.net\n", REGEXP)
    world.app.sync.probe(world.server.id)
    assert world.app.queries.mailbox_warnings(world.dora, "ben@example.org") == []
    assert world.app.queries.alias_warnings(world.dora, "info@example.com", ["nobody@example.org"]) == []
    assert list(world.app.services.sync.preview(world.dora, world.server.uid).warnings) == []


def test_an_address_that_is_taken_by_what_cannot_be_managed_is_refused_in_a_dry_run_too(world: World) -> None:
    text = "sales@example.com |/usr/bin/ticket\n"
    world.write(text, VIRTUAL)
    world.app.sync.probe(world.server.id)
    assert "cannot be managed" in warnings(world, "sales@example.com", "anna@elsewhere.net")[0]
    with pytest.raises(Conflict, match="cannot be managed"):
        alias(world, "sales@example.com", "anna@elsewhere.net")
    with pytest.raises(Conflict, match="cannot be managed"):
        world.add("sales@example.com")
    rows = f"email,password_hash,aliases\nsales@example.com,{H},\nanna@example.com,{H},sales@example.com\n"
    plan = plan_import(world.app, world.alice, rows.encode())
    assert [(error.number, "cannot be managed" in error.message) for error in plan.errors] == [(2, True), (3, True)]
    assert world.text(VIRTUAL) == text
    world.write("", VIRTUAL)
    world.app.services.servers.check(world.alice, world.server.uid)
    assert alias(world, "sales@example.com", "anna@elsewhere.net").sync_status == SyncStatus.SYNCED


def test_a_dry_run_tells_which_rows_lose_their_mail(world: World) -> None:
    world.write(CAUGHT, REGEXP)
    world.app.sync.probe(world.server.id)
    plan = plan_import(world.app, world.alice, f"email,password_hash\nben@example.com,{H}\n".encode())
    assert len(plan.accepted) == 1
    assert "decided by a rule" in plan.warnings[0]


@pytest.mark.parametrize(("release", "told"), [("v16.0.0", True), ("16.0.1", True), ("15.1.0", False), ("", False)])
def test_a_release_that_refuses_forwards_is_told_before_one_is_made(world: World, release: str, told: bool) -> None:
    world.add("anna@example.com")
    kept = {"path": str(world.volume)}
    world.app.services.servers.edit(world.alice, world.server.uid, settings={**kept, "release": release})
    world.app.sync.probe(world.server.id)
    for address, target in (("@example.com", "anna@example.com"), ("out@example.com", "a@elsewhere.net")):
        assert any("554 Unknown user" in text for text in warnings(world, address, target)) is told
    assert warnings(world, "info@example.com", "anna@example.com") == []
    alias(world, "out@example.com", "a@elsewhere.net")
    checked = world.app.services.servers.check(world.alice, world.server.uid)
    assert any("mail for aliases is refused (1: out@example.com)" in text for text in checked) is told


# ---- circles and what is not there ---------------------------------------------------------


def test_a_circle_of_aliases_is_refused_with_the_path(world: World) -> None:
    alias(world, "a1@example.com", "a2@example.com")
    alias(world, "a2@example.com", "a3@example.com", "anna@elsewhere.net")
    with pytest.raises(
        InvalidInput, match=r"a3@example\.com → a1@example\.com → a2@example\.com → a3@example\.com"
    ) as caught:
        alias(world, "a3@example.com", "anna@elsewhere.net", "a1@example.com")
    assert caught.value.code == "ALIAS_LOOP"
    last = alias(world, "a3@example.com", "anna@elsewhere.net")
    with pytest.raises(InvalidInput, match="round in a circle"):
        world.app.services.aliases.edit(world.alice, last.uid, ["A1+tag@example.com"])


def test_a_circle_through_a_catch_all_is_refused_and_a_mailbox_ends_it(world: World) -> None:
    alias(world, "out@example.org", "whoever@example.com")
    with pytest.raises(InvalidInput, match="round in a circle"):
        alias(world, "@example.com", "out@example.org")
    world.add("whoever@example.com")
    assert alias(world, "@example.com", "out@example.org").sync_status == SyncStatus.SYNCED


def test_a_circle_that_was_imported_is_told(world: World) -> None:
    world.write(
        "l1@example.com l2@example.com\nl2@example.com l1@example.com,x@y.net\nok@example.com l1@example.com\n", VIRTUAL
    )
    world.app.services.sync.pull(world.alice, world.server.uid)
    (_, told) = world.app.services.servers.check(world.alice, world.server.uid)
    assert "l1@example.com → l2@example.com → l1@example.com" in told
    row = world.app.queries.alias_by_address(world.alice, "l1@example.com")
    with pytest.raises(InvalidInput, match="round in a circle"):
        world.app.services.aliases.edit(world.alice, row.uid, ["l2@example.com", "z@y.net"])


def test_a_destination_that_does_not_exist_is_a_warning_with_what_was_meant(world: World) -> None:
    world.add("anna.example@example.com")
    alias(world, "info@example.com", "anna.example@example.com")
    assert warnings(world, "x@example.com", "ana.example@example.com") == [
        "ana.example@example.com does not exist. Did you mean anna.example@example.com?"
    ]
    assert warnings(world, "x@example.com", "zz@example.com") == [
        "zz@example.com does not exist; mail for it is refused."
    ]
    assert warnings(world, "x@example.com", "anna.example@exmaple.com") == [
        "anna.example@exmaple.com is on another mail server. Did you mean anna.example@example.com?"
    ]
    for fine in ("info@example.com", "anna.example+tag@example.com", "anybody@elsewhere.net"):
        assert warnings(world, "x@example.com", fine) == []
    assert alias(world, "x@example.com", "zz@example.com").sync_status == SyncStatus.SYNCED


def test_with_a_catch_all_every_address_exists(world: World) -> None:
    alias(world, "@example.com", "anna@elsewhere.net")
    assert warnings(world, "x@example.com", "zz@example.com") == []


# ---- destinations --------------------------------------------------------------------------


def test_more_than_a_hundred_destinations_that_were_imported_may_become_fewer(world: World) -> None:
    many = [f"m{number}@elsewhere.net" for number in range(120)]
    world.write(f"all@example.com {','.join(many)}\n", VIRTUAL)
    world.app.services.sync.pull(world.alice, world.server.uid)
    row = world.app.queries.alias_by_address(world.alice, "all@example.com")
    row = world.app.services.aliases.edit(world.alice, row.uid, many[:110])
    assert (len(row.destinations), row.sync_status) == (110, SyncStatus.SYNCED)
    with pytest.raises(InvalidInput, match="100 destinations at most"):
        world.app.services.aliases.edit(world.alice, row.uid, [*many[:109], "another@elsewhere.net"])


def test_destinations_of_carriers_can_be_set(world: World) -> None:
    row = alias(world, "info@example.com", "a..b@docomo.ne.jp", "abc.@ezweb.ne.jp", "o'brien@elsewhere.net")
    assert row.sync_status == SyncStatus.SYNCED
    assert world.text(VIRTUAL) == "info@example.com a..b@docomo.ne.jp,abc.@ezweb.ne.jp,o'brien@elsewhere.net\n"
    with pytest.raises(InvalidEmail):
        alias(world, "a..b@example.com", "anna@example.com")


# ---- internal domains ----------------------------------------------------------------------


def test_a_server_with_internal_domains_is_managed(world: World) -> None:
    world.write(f"anna@office.local|{H}\nben@mailserver|{H}\n")
    world.write("info@office.local anna@office.local\n", VIRTUAL)
    result = world.app.services.sync.pull(world.alice, world.server.uid)
    assert (result.imported, result.errors) == (3, [])
    new = NewMailbox("carl@office.local", password_hash=HASH)
    assert world.app.services.mailboxes.create(world.alice, new).sync_status == SyncStatus.SYNCED


def test_a_new_internal_domain_takes_the_setting(world: World) -> None:
    with pytest.raises(InvalidEmail, match="reserved"):
        world.app.services.domains.create(world.alice, "lab.local", "main")
    world.app.settings.internal_domains = "local, .lan"
    assert world.app.services.domains.create(world.alice, "lab.local", "main").name == "lab.local"


def test_accounts_that_cannot_be_managed_are_not_called_none(world: World) -> None:
    world.write(f"Anna@example.com|{H}\n")
    (told,) = world.app.services.servers.check(world.alice, world.server.uid)
    assert told.startswith("No account can be managed, of 1 in the file; Anna@example.com: it has capital letters")


# ---- what is left over ---------------------------------------------------------------------

FORWARD = "anna@example.com anna@example.com,boss@elsewhere.net\n"


def test_a_forward_with_copy_that_stays_behind_is_told_and_not_imported(world: World) -> None:
    row = world.add("anna@example.com")
    world.write(FORWARD, VIRTUAL)
    world.app.services.mailboxes.delete(world.alice, row.uid, force=True)
    assert world.text(VIRTUAL) == FORWARD
    (log, *_) = world.app.queries.logs(world.alice, LogFilter(resource_id=row.uid)).rows
    assert f"left alone in postfix-virtual.cf: {FORWARD.strip()}" in log["command"]
    result = world.app.services.sync.pull(world.alice, world.server.uid)
    assert result.imported == 0
    assert any("leads to itself" in error for error in result.errors)
    with pytest.raises(Conflict, match="cannot be managed"):
        world.add("anna@example.com")


def test_what_goes_with_a_forced_delete_is_said(world: World) -> None:
    row, other = world.add("anna@example.com"), world.add("ben@example.com")
    alias(world, "@example.com", "anna@example.com")
    alias(world, "info@example.com", "anna@example.com")
    alias(world, "team@example.com", "anna@example.com", "ben@example.com")
    gone = world.app.services.mailboxes.delete(world.alice, row.uid, force=True)
    assert gone.removed == ["@example.com", "info@example.com"]
    (log,) = world.app.queries.logs(world.alice, LogFilter(operation="mailbox.delete")).rows
    assert log["payload"]["removed"] == gone.removed
    assert world.app.services.bulk.delete(world.alice, [other.uid], force=True).removed == ["team@example.com"]


def test_what_the_server_still_has_of_a_deleted_domain_is_said(world: World) -> None:
    world.write("Sales@example.org |/bin/x\n", VIRTUAL)
    assert world.app.services.domains.delete(world.alice, world.org.uid) == ["sales@example.org"]
    (log,) = world.app.queries.logs(world.alice, LogFilter(operation="domain.delete")).rows
    assert log["payload"]["left_on_server"] == ["sales@example.org"]


# ---- links ---------------------------------------------------------------------------------


def linked(world: World, tmp_path: Path, name: str, text: str = "") -> Path:
    target = tmp_path / "git" / name
    target.parent.mkdir(exist_ok=True)
    target.write_text(text)
    (world.volume / name).symlink_to(Path("..") / "git" / name)
    return target


def test_a_link_is_followed_and_stays(world: World, tmp_path: Path) -> None:
    accounts, virtual = (
        linked(world, tmp_path, "postfix-accounts.cf", f"x@example.com|{H}\n"),
        linked(world, tmp_path, VIRTUAL),
    )
    world.add("anna@example.com")
    assert alias(world, "info@example.com", "anna@example.com").sync_status == SyncStatus.SYNCED
    assert virtual.read_text() == "info@example.com anna@example.com\n"
    assert "anna@example.com|" in accounts.read_text()
    assert all((world.volume / name).is_symlink() for name in ("postfix-accounts.cf", VIRTUAL))
    assert sorted(path.name for path in virtual.parent.iterdir()) == ["postfix-accounts.cf", VIRTUAL]


def test_a_file_with_a_second_name_is_not_replaced(world: World, tmp_path: Path) -> None:
    other = tmp_path / "virtual"
    other.write_text("# from git\n")
    (world.volume / VIRTUAL).hardlink_to(other)
    row = alias(world, "info@example.com", "anna@elsewhere.net")
    assert row.sync_status == SyncStatus.PENDING
    assert "hard links" in world.app.services.servers.check(world.alice, world.server.uid)[0]
    assert other.read_text() == world.text(VIRTUAL) == "# from git\n"
