"""What every kind of docker-mailserver must do, told by the files and by what is read back: never by calls."""

from collections.abc import Iterable

import pytest

from provision.core.errors import MailServerError
from provision.core.passwords import hash_password, verify_password
from provision.core.secret import Secret
from provision.core.state import (
    AliasState,
    Change,
    CreateMailbox,
    DeleteAlias,
    DeleteMailbox,
    Outcome,
    SetAlias,
    SetEnabled,
    SetPassword,
    SetQuota,
)
from tests.servers.rig import ACCOUNTS, QUOTAS, VIRTUAL, LiveRig, Rig

MB = 1 << 20
OLD, NEW = Secret("Old-pass-word-1"), Secret("New-pass-word-2")
OLD_HASH, NEW_HASH = hash_password(OLD), hash_password(NEW)
ANN = f"ann@example.com|{OLD_HASH.reveal()}\n"
BOB = f"bob@example.com|{OLD_HASH.reveal()}\n"


def apply(rig: Rig, *changes: Change) -> list[Outcome]:
    return list(rig.open().apply(changes))


def errors(outcomes: Iterable[Outcome]) -> list[str | None]:
    return [outcome.error for outcome in outcomes]


# ---- reading -------------------------------------------------------------------------------


def test_empty_volume_holds_nothing(rig: Rig) -> None:
    state = rig.open().read()
    assert (dict(state.mailboxes), dict(state.aliases), list(state.unmanageable)) == ({}, {}, [])


def test_reads_accounts_quotas_and_aliases(rig: Rig) -> None:
    rig.put(
        {
            ACCOUNTS: ANN + f"bob@example.com|{NEW_HASH.reveal()}|userdb_foo=bar fail=y\n",
            QUOTAS: "ann@example.com:500M\nbob@example.com:0\n",
            VIRTUAL: "info@example.com ann@example.com,bob@example.com\n@example.com ann@example.com\n",
        }
    )
    state = rig.open().read()
    ann, bob = state.mailboxes["ann@example.com"], state.mailboxes["bob@example.com"]
    assert (ann.quota_bytes, ann.enabled, ann.password_hash) == (500 * MB, True, OLD_HASH)
    assert (bob.quota_bytes, bob.enabled, bob.password_hash) == (0, False, NEW_HASH)
    assert state.aliases["info@example.com"] == AliasState(("ann@example.com", "bob@example.com"))
    assert state.aliases["@example.com"] == AliasState(("ann@example.com",))


def test_what_cannot_be_managed_is_reported_and_breaks_nothing(rig: Rig) -> None:
    rig.put({ACCOUNTS: f"Upper@Example.com|{OLD_HASH.reveal()}\nrubbish\n{ANN}", QUOTAS: "ann@example.com:lots\n"})
    state = rig.open().read()
    assert list(state.mailboxes) == ["ann@example.com"]
    assert len(state.unmanageable) == 3
    assert not any(OLD_HASH.reveal() in repr(each) for each in state.unmanageable)


# ---- mailboxes -----------------------------------------------------------------------------


def test_creates_a_mailbox_with_its_quota(rig: Rig) -> None:
    rig.put({ACCOUNTS: BOB})
    assert errors(apply(rig, CreateMailbox("ann@example.com", OLD_HASH, 500 * MB))) == [None]
    made = rig.open().read().mailboxes["ann@example.com"]
    assert (made.quota_bytes, made.enabled, made.password_hash) == (500 * MB, True, OLD_HASH)


def test_creates_the_very_first_mailbox(rig: Rig) -> None:
    assert errors(apply(rig, CreateMailbox("ann@example.com", OLD_HASH))) == [None]
    assert list(rig.open().read().mailboxes) == ["ann@example.com"]
    assert "ann@example.com:0\n" in rig.text(QUOTAS), (
        "without a line of its own it may get the quota of another address"
    )


def test_creates_a_disabled_mailbox(rig: Rig) -> None:
    apply(rig, CreateMailbox("ann@example.com", OLD_HASH, enabled=False))
    assert rig.open().read().mailboxes["ann@example.com"].enabled is False


def test_creating_again_changes_nothing(rig: Rig) -> None:
    change = CreateMailbox("ann@example.com", OLD_HASH, 5 * MB)
    apply(rig, change)
    before = [rig.text(name) for name in (ACCOUNTS, QUOTAS)]
    assert errors(apply(rig, change)) == [None]
    assert [rig.text(name) for name in (ACCOUNTS, QUOTAS)] == before


def test_never_takes_over_an_account_somebody_made_meanwhile(rig: Rig) -> None:
    rig.put({ACCOUNTS: ANN})
    outcomes = apply(rig, CreateMailbox("ann@example.com", NEW_HASH))
    assert "meanwhile" in str(outcomes[0].error)
    assert rig.text(ACCOUNTS) == ANN


def test_never_writes_an_incomplete_hash(rig: Rig) -> None:
    rig.put({ACCOUNTS: BOB})
    broken = Secret("{SHA512-CRYPT}*0" + " " * 40)
    assert "not complete" in str(apply(rig, CreateMailbox("ann@example.com", broken))[0].error)
    assert rig.text(ACCOUNTS) == BOB


def test_new_password_keeps_attributes_and_the_lock(rig: Rig) -> None:
    rig.put({ACCOUNTS: f"ann@example.com|{OLD_HASH.reveal()}|userdb_foo=bar fail=y\n{BOB}"})
    assert errors(apply(rig, SetPassword("ann@example.com", NEW_HASH))) == [None]
    assert rig.text(ACCOUNTS) == f"ann@example.com|{NEW_HASH.reveal()}|userdb_foo=bar fail=y\n{BOB}"


def test_disabling_and_enabling_gives_back_the_very_same_line(rig: Rig) -> None:
    rig.put({ACCOUNTS: ANN + BOB})
    apply(rig, SetEnabled("ann@example.com", False))
    assert rig.text(ACCOUNTS) == ANN.replace("\n", "|fail=y\n") + BOB
    apply(rig, SetEnabled("ann@example.com", True))
    assert rig.text(ACCOUNTS) == ANN + BOB


@pytest.mark.parametrize(
    ("quota_bytes", "written"), [(500 * MB, "500M"), (1 << 30, "1024M"), (0, "0"), (1000, "1000B")]
)
def test_sets_a_quota(rig: Rig, quota_bytes: int, written: str) -> None:
    rig.put({ACCOUNTS: ANN, QUOTAS: "ann@example.com:7M\n"})
    assert errors(apply(rig, SetQuota("ann@example.com", quota_bytes))) == [None]
    assert rig.text(QUOTAS) == f"ann@example.com:{written}\n"


def test_a_change_of_a_missing_mailbox_is_refused(rig: Rig) -> None:
    rig.put({ACCOUNTS: BOB})
    for change in (
        SetPassword("ann@example.com", NEW_HASH),
        SetQuota("ann@example.com", MB),
        SetEnabled("ann@example.com", False),
    ):
        assert apply(rig, change)[0].error
    assert rig.text(ACCOUNTS) == BOB


def test_deletes_one_mailbox_and_leaves_aliases_to_their_own_change(rig: Rig) -> None:
    rig.put(
        {
            ACCOUNTS: ANN + BOB,
            QUOTAS: "ann@example.com:1M\nbob@example.com:2M\n",
            VIRTUAL: "info@example.com ann@example.com\n",
        }
    )
    assert errors(apply(rig, DeleteMailbox("ann@example.com"))) == [None]
    assert (rig.text(ACCOUNTS), rig.text(QUOTAS)) == (BOB, "bob@example.com:2M\n")
    assert rig.text(VIRTUAL) == "info@example.com ann@example.com\n"


def test_deleting_what_is_gone_is_done(rig: Rig) -> None:
    rig.put({ACCOUNTS: BOB})
    assert errors(apply(rig, DeleteMailbox("ann@example.com"))) == [None]
    assert rig.text(ACCOUNTS) == BOB


# ---- aliases -------------------------------------------------------------------------------


@pytest.mark.parametrize("alias", ["info@example.com", "@example.com"])
def test_sets_replaces_and_deletes_an_alias(rig: Rig, alias: str) -> None:
    rig.put({ACCOUNTS: ANN + BOB, VIRTUAL: "# by hand\nother@example.com bob@example.com\n"})
    apply(rig, SetAlias(alias, ("ann@example.com", "someone@elsewhere.test")))
    assert rig.open().read().aliases[alias].destinations == ("ann@example.com", "someone@elsewhere.test")
    apply(rig, SetAlias(alias, ("bob@example.com",)))
    assert rig.open().read().aliases[alias].destinations == ("bob@example.com",)
    apply(rig, DeleteAlias(alias))
    assert rig.text(VIRTUAL) == "# by hand\nother@example.com bob@example.com\n"


# ---- other people's lines ------------------------------------------------------------------


def test_keeps_every_line_that_is_not_its_own(rig: Rig) -> None:
    # On a running server the change detector takes a carriage return away within two seconds.
    end = "\n" if isinstance(rig, LiveRig) else "\r\n"
    before = f"# a comment{end}\n  \nrubbish\nUpper@Example.com|{OLD_HASH.reveal()}|x=1\n{ANN}#last"
    rig.put({ACCOUNTS: before, QUOTAS: "Upper@Example.com:1M\nann@example.com:1M\n"})
    assert errors(apply(rig, SetPassword("ann@example.com", NEW_HASH))) == [None]
    assert rig.text(ACCOUNTS) == before.replace(ANN, f"ann@example.com|{NEW_HASH.reveal()}\n") + "\n"


def test_a_file_without_final_newline_glues_nothing_together(rig: Rig) -> None:
    rig.put({ACCOUNTS: BOB.rstrip("\n")})
    apply(rig, CreateMailbox("ann@example.com", OLD_HASH))
    assert sorted(rig.open().read().mailboxes) == ["ann@example.com", "bob@example.com"]
    assert rig.text(ACCOUNTS).endswith("\n")


def test_bytes_that_are_no_text_survive(rig: Rig) -> None:
    rig.put({ACCOUNTS: f"# caf\udce9\n{ANN}"})
    apply(rig, SetEnabled("ann@example.com", False))
    assert rig.text(ACCOUNTS).startswith("# caf\udce9\n")


def test_two_lines_for_one_address_are_left_to_a_person(rig: Rig) -> None:
    rig.put({ACCOUNTS: ANN + ANN})
    for change in (
        SetPassword("ann@example.com", NEW_HASH),
        SetEnabled("ann@example.com", False),
        DeleteMailbox("ann@example.com"),
    ):
        assert "two lines" in str(apply(rig, change)[0].error)
    assert rig.text(ACCOUNTS) == ANN + ANN


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ({VIRTUAL: "ann@example.com.uk z@example.com\n"}, CreateMailbox("ann@example.com", OLD_HASH)),
        ({VIRTUAL: "ann@examplezcom z@example.com\n"}, CreateMailbox("ann@example.com", OLD_HASH)),
        ({ACCOUNTS: ANN}, SetAlias("ann@example.co", ("bob@example.com",))),
        ({ACCOUNTS: ANN}, CreateMailbox("ann@example.co", OLD_HASH)),
        ({ACCOUNTS: ANN}, CreateMailbox("n@example.com", OLD_HASH)),
        ({ACCOUNTS: ANN}, CreateMailbox("joann@example.com", OLD_HASH)),
        ({ACCOUNTS: ANN}, CreateMailbox("a.b+c_d=e-f@xn--exmple-cua.com", OLD_HASH)),
    ],
)
def test_addresses_that_look_like_others_are_told_apart(rig: Rig, there: dict[str, str], wanted: Change) -> None:
    rig.put(there)
    assert errors(apply(rig, wanted)) == [None]
    assert wanted.address in {**rig.open().read().mailboxes, **rig.open().read().aliases}
    assert all(line in rig.text(name) for name, line in there.items())


def test_no_quota_line_stands_behind_one_that_contains_its_address(rig: Rig) -> None:
    joann = ANN.replace("ann@", "joann@")
    rig.put({ACCOUNTS: joann + ANN, QUOTAS: "joann@example.com:7M\n"})
    apply(rig, SetQuota("ann@example.com", 5 * MB))
    first_match = next(line for line in rig.text(QUOTAS).splitlines() if "ann@example.com:" in line)
    assert first_match == "ann@example.com:5M", "docker-mailserver takes the first line that contains the address"


# ---- batches -------------------------------------------------------------------------------


def test_a_batch_answers_for_each_change_in_order_and_does_the_rest(rig: Rig) -> None:
    rig.put({ACCOUNTS: ANN + BOB})
    changes = [
        DeleteMailbox("bob@example.com"),
        CreateMailbox("cy@example.com", OLD_HASH, MB),
        SetQuota("nobody@example.com", MB),
        SetEnabled("ann@example.com", False),
        SetAlias("info@example.com", ("ann@example.com", "cy@example.com")),
    ]
    outcomes = apply(rig, *changes)
    assert [outcome.change for outcome in outcomes] == changes
    assert [outcome.error is None for outcome in outcomes] == [True, True, False, True, True]
    state = rig.open().read()
    assert sorted(state.mailboxes) == ["ann@example.com", "cy@example.com"]
    assert state.mailboxes["ann@example.com"].enabled is False
    assert state.aliases["info@example.com"].destinations == ("ann@example.com", "cy@example.com")


def test_a_thousand_changes_in_one_batch(rig: Rig) -> None:
    rig.put({ACCOUNTS: ANN})
    changes: list[Change] = [CreateMailbox(f"user{n}@example.com", OLD_HASH, MB) for n in range(600)]
    changes += [SetAlias(f"alias{n}@example.com", (f"user{n}@example.com",)) for n in range(400)]
    assert errors(apply(rig, *changes)) == [None] * 1000
    state = rig.open().read()
    assert (len(state.mailboxes), len(state.aliases)) == (601, 400)


def test_an_empty_batch_writes_nothing(rig: Rig) -> None:
    rig.put({ACCOUNTS: "no newline"})
    assert apply(rig) == []
    assert rig.text(ACCOUNTS) == "no newline"


def test_outcomes_say_what_was_done_and_hold_no_secret(rig: Rig) -> None:
    rig.put({ACCOUNTS: ANN})
    outcomes = apply(rig, SetPassword("ann@example.com", NEW_HASH), CreateMailbox("bob@example.com", NEW_HASH))
    outcomes += apply(rig, SetPassword("ann@example.com", OLD_HASH))
    for outcome in outcomes:
        shown = f"{outcome.command} {outcome.stdout} {outcome.stderr} {outcome.error} {outcome!r}"
        assert outcome.change.address in outcome.command
        assert "$6$" not in shown


def test_plain_passwords_are_taken_where_the_kind_says_so(rig: Rig) -> None:
    if rig.open().traits.password != "plain":
        pytest.skip("this kind takes hashes only")
    rig.put({ACCOUNTS: BOB})
    outcomes = apply(rig, CreateMailbox("ann@example.com", OLD, MB))
    outcomes += apply(rig, SetPassword("bob@example.com", NEW))
    outcomes += apply(rig, CreateMailbox("cy@example.com", NEW), SetPassword("ann@example.com", NEW))
    assert errors(outcomes) == [None] * 4
    found = rig.open().read().mailboxes
    assert all(verify_password(NEW, found[f"{name}@example.com"].password_hash) for name in ("ann", "bob", "cy"))
    shown = "".join(f"{o.command} {o.stdout} {o.stderr} {o!r}" for o in outcomes)
    assert not any(word.reveal() in shown for word in (OLD, NEW))
    assert "$6$" not in shown


def test_owner_and_mode_of_the_files_stay(rig: Rig) -> None:
    rig.put({ACCOUNTS: ANN, QUOTAS: "ann@example.com:1M\n"})
    folder = getattr(rig, "folder", None)
    if folder is None:
        pytest.skip("the files are out of reach from here")
    (folder / ACCOUNTS).chmod(0o640)
    before = (folder / ACCOUNTS).stat()
    apply(rig, SetEnabled("ann@example.com", False))
    after = (folder / ACCOUNTS).stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert sorted(path.name for path in folder.iterdir()) == sorted([ACCOUNTS, QUOTAS]), "nothing half-written is left"


def test_a_healthy_volume_passes_the_check_of_its_files(rig: Rig) -> None:
    said = " ".join(rig.open().check())
    assert "no account" in said
    rig.put({ACCOUNTS: ANN})
    assert "no account" not in " ".join(rig.open().check())


def test_reading_never_raises_anything_but_the_product_s_own_errors(rig: Rig) -> None:
    rig.put({ACCOUNTS: "\x00\x01|\n@|\n|\n||||\n", QUOTAS: ":::\n", VIRTUAL: "a\n b\n\n\t\n"})
    try:
        rig.open().read()
    except MailServerError as error:
        pytest.fail(f"a strange file must be reported, not refused: {error}")
