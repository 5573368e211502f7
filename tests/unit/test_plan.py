"""The plan: what is wanted against what is there."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.errors import UnsafePlan
from provision.core.passwords import hash_password
from provision.core.plan import Plan, make_plan
from provision.core.secret import Secret
from provision.core.state import (
    AliasState,
    CreateMailbox,
    DeleteAlias,
    DeleteMailbox,
    DesiredState,
    Key,
    MailboxState,
    Resource,
    ServerState,
    SetAlias,
    SetEnabled,
    SetPassword,
    SetQuota,
    WantedAlias,
    WantedMailbox,
    Wish,
)
from provision.core.traits import USUAL, Feature, Traits
from tests.conftest import HASH, OTHER_HASH, PASSWORD

A = "anna@example.com"
ANNA = Key(Resource.MAILBOX, A)
SALES = Key(Resource.ALIAS, "sales@example.com")
WANTED = WantedMailbox(Wish.PRESENT, 500, True, password=HASH, owned=False, due=True)
THERE = MailboxState(HASH, 500)


def plan_mailbox(want: WantedMailbox | None, have: MailboxState | None, traits: Traits = Traits()) -> Plan:
    desired = DesiredState({A: want} if want else {})
    return make_plan(desired, ServerState({A: have} if have else {}, {}), traits)


def plan_alias(want: WantedAlias | None, have: tuple[str, ...] | None) -> Plan:
    desired = DesiredState({}, {SALES.address: want} if want else {})
    return make_plan(desired, ServerState({}, {SALES.address: AliasState(have)} if have else {}))


# ---- mailboxes -----------------------------------------------------------------------------


def test_it_creates_what_is_not_there() -> None:
    assert plan_mailbox(WANTED, None).changes == [CreateMailbox(A, HASH, 500)]


def test_it_creates_disabled_ones_disabled() -> None:
    assert plan_mailbox(WANTED._replace(enabled=False), None).changes == [CreateMailbox(A, HASH, 500, enabled=False)]


def test_it_has_nothing_to_do_when_it_is_so_already() -> None:
    plan = plan_mailbox(WANTED, THERE)
    assert (plan.changes, plan.in_sync) == ([], [ANNA])


def test_it_changes_only_what_differs() -> None:
    owned = WANTED._replace(owned=True)
    assert plan_mailbox(owned, MailboxState(OTHER_HASH, 500)).changes == [SetPassword(A, HASH)]
    assert plan_mailbox(owned, MailboxState(HASH, 7)).changes == [SetQuota(A, 500)]
    assert plan_mailbox(owned, MailboxState(HASH, 500, enabled=False)).changes == [SetEnabled(A, True)]
    assert plan_mailbox(owned._replace(password=None), MailboxState(OTHER_HASH, 500)).changes == []


def test_it_recognises_a_plain_password_in_the_hash_on_the_server() -> None:
    want = WANTED._replace(password=PASSWORD, owned=True)
    assert plan_mailbox(want, MailboxState(hash_password(PASSWORD), 500)).in_sync == [ANNA]
    assert plan_mailbox(want, MailboxState(OTHER_HASH, 500)).changes == [SetPassword(A, PASSWORD)]


def test_it_never_takes_over_an_account_that_somebody_else_made() -> None:
    plan = plan_mailbox(WANTED, MailboxState(OTHER_HASH, 500))
    assert plan.changes == []
    assert [difference.key for difference in plan.conflicts] == [ANNA]


def test_it_offers_what_is_unknown_here_and_leaves_it() -> None:
    plan = plan_mailbox(None, THERE)
    assert (plan.changes, plan.unknown) == ([], [ANNA])


def test_it_deletes_for_a_tombstone_only() -> None:
    tomb = WantedMailbox(Wish.ABSENT, 0, False, due=True)
    assert plan_mailbox(tomb, THERE).changes == [DeleteMailbox(A)]
    assert plan_mailbox(tomb._replace(erase_mail=True), THERE).changes == [DeleteMailbox(A, erase_mail=True)]
    assert plan_mailbox(tomb, None).in_sync == [ANNA]
    assert plan_mailbox(tomb._replace(due=False), THERE).changes == []


def test_it_closes_the_login_of_a_soft_deleted_mailbox() -> None:
    gone = WantedMailbox(Wish.CLOSED, 500, False, owned=True, due=True)
    assert plan_mailbox(gone, THERE).changes == [SetEnabled(A, False)]
    assert plan_mailbox(gone, MailboxState(HASH, 500, enabled=False)).in_sync == [ANNA]
    assert plan_mailbox(gone, None).unrecoverable == [ANNA]
    assert [d.field for d in plan_mailbox(gone._replace(due=False), THERE).differing] == ["login"]


def test_it_makes_and_closes_nothing_for_one_that_never_arrived() -> None:
    gone = WANTED._replace(wish=Wish.CLOSED, enabled=False)
    assert plan_mailbox(gone, THERE).changes == [SetEnabled(A, False)], "it has our very password"
    for have in (MailboxState(OTHER_HASH, 500), None):
        plan = plan_mailbox(gone, have)
        assert (plan.changes, plan.in_sync, plan.conflicts) == ([], [ANNA], [])


def test_it_leaves_a_soft_deleted_mailbox_alone_whose_login_is_kept() -> None:
    gone = WANTED._replace(wish=Wish.IGNORED)
    for have in (THERE, MailboxState(OTHER_HASH, 1, enabled=False), None):
        assert plan_mailbox(gone, have) == Plan()


def test_it_reports_a_mailbox_whose_password_is_gone_as_lost() -> None:
    plan = plan_mailbox(WANTED._replace(password=None, owned=True), None)
    assert (plan.changes, plan.unrecoverable) == ([], [ANNA])


def test_it_reports_delivered_rows_that_have_vanished_or_changed() -> None:
    delivered = WANTED._replace(password=None, owned=True, due=False)
    assert plan_mailbox(delivered, None).missing == [ANNA]
    plan = plan_mailbox(delivered, MailboxState(OTHER_HASH, 7, enabled=False))
    assert [(d.field, d.ours, d.theirs) for d in plan.differing] == [
        ("quota", "500", "7"),
        ("login", "enabled", "disabled"),
    ]
    assert plan.changes == []


def test_it_says_what_a_kind_cannot_do_and_does_the_rest() -> None:
    want = WANTED._replace(quota_messages=10)
    plan = plan_mailbox(want, None)
    assert plan.changes == [CreateMailbox(A, HASH, 500)]
    assert [key for key, _ in plan.unsupported] == [ANNA]
    assert plan_mailbox(want, None, Traits(features=USUAL | {Feature.MESSAGE_QUOTA})).changes == [
        CreateMailbox(A, HASH, 500, quota_messages=10)
    ]


# ---- aliases -------------------------------------------------------------------------------


def test_it_sets_an_alias_that_is_missing_or_differs() -> None:
    want = WantedAlias(Wish.PRESENT, (A, "b@example.net"), due=True)
    change = SetAlias(SALES.address, (A, "b@example.net"))
    assert plan_alias(want, None).changes == [change]
    assert plan_alias(want, (A,)).changes == [change]


def test_it_takes_no_notice_of_the_order_of_destinations() -> None:
    want = WantedAlias(Wish.PRESENT, (A, "b@example.net"), due=True)
    assert plan_alias(want, ("b@example.net", A)).in_sync == [SALES]


def test_it_never_overwrites_an_alias_that_somebody_else_made() -> None:
    plan = plan_alias(WantedAlias(Wish.PRESENT, (A,), owned=False, due=True), ("b@example.net",))
    assert (plan.changes, [d.key for d in plan.conflicts]) == ([], [SALES])


def test_it_deletes_an_alias_for_a_tombstone_only() -> None:
    tomb = WantedAlias(Wish.ABSENT, (A,), due=True)
    assert plan_alias(tomb, (A,)).changes == [DeleteAlias(SALES.address)]
    assert plan_alias(tomb, None).in_sync == [SALES]
    assert plan_alias(None, (A,)).unknown == [SALES]


def test_it_reports_aliases_that_have_vanished_or_changed() -> None:
    delivered = WantedAlias(Wish.PRESENT, (A,))
    assert plan_alias(delivered, None).missing == [SALES]
    assert [d.field for d in plan_alias(delivered, ("b@example.net",)).differing] == ["destinations"]


def test_it_frees_addresses_before_it_uses_them_and_makes_accounts_before_aliases() -> None:
    tomb = WantedMailbox(Wish.ABSENT, 0, False, due=True)
    desired = DesiredState(
        {"new@x.io": WANTED, "old@x.io": tomb, "pw@x.io": WANTED._replace(owned=True)},
        {"al@x.io": WantedAlias(Wish.PRESENT, (A,), due=True), "old-al@x.io": WantedAlias(Wish.ABSENT, (A,), due=True)},
    )
    actual = ServerState(
        {"old@x.io": THERE, "pw@x.io": MailboxState(OTHER_HASH, 500)}, {"old-al@x.io": AliasState((A,))}
    )
    kinds = [type(change) for change in make_plan(desired, actual).changes]
    assert kinds == [DeleteAlias, DeleteMailbox, CreateMailbox, SetPassword, SetAlias]


# ---- the alarm -----------------------------------------------------------------------------


def delivered_plan(expected: int, missing: int, deletes: int) -> Plan:
    """A server that should hold `expected` entries: some vanished, some to be deleted."""
    owned = WANTED._replace(password=None, owned=True, due=False)
    tomb = WantedMailbox(Wish.ABSENT, 0, False, due=True)
    wanted = {f"u{n}@x.io": tomb if n < deletes else owned for n in range(expected)}
    there = {f"u{n}@x.io": THERE for n in range(expected - missing)}
    return make_plan(DesiredState(wanted), ServerState(there, {}))


@pytest.mark.parametrize(
    ("expected", "missing", "deletes", "safe"),
    [
        (9, 9, 0, True),  # too few to judge
        (10, 3, 0, True),
        (10, 4, 0, False),
        (10, 0, 3, True),
        (10, 0, 4, False),
        (10, 2, 1, True),
        (10, 2, 2, False),
        (1000, 300, 0, True),
        (1000, 301, 0, False),
        (1000, 1000, 0, False),
    ],
)
def test_it_is_an_alarm_when_more_than_three_tenths_go(expected: int, missing: int, deletes: int, safe: bool) -> None:
    plan = delivered_plan(expected, missing, deletes)
    assert (plan.expected, len(plan.missing), plan.deletes) == (expected, missing, deletes)
    if safe:
        plan.require_safe()
        return
    with pytest.raises(UnsafePlan, match="Nothing was done") as caught:
        plan.require_safe()
    assert caught.value.details == {"expected": expected, "missing": missing, "deletes": deletes}


def test_it_counts_lost_rows_as_gone() -> None:
    lost = WANTED._replace(password=None, owned=True)
    plan = make_plan(DesiredState({f"u{n}@x.io": lost for n in range(10)}), ServerState({}, {}))
    with pytest.raises(UnsafePlan):
        plan.require_safe()


def test_it_is_no_alarm_to_fill_an_empty_server() -> None:
    plan = make_plan(DesiredState({f"u{n}@x.io": WANTED for n in range(1000)}), ServerState({}, {}))
    plan.require_safe()
    assert len(plan.changes) == 1000


def test_it_is_no_alarm_when_many_tombstones_are_gone_already() -> None:
    tomb = WantedMailbox(Wish.ABSENT, 0, False, due=True)
    plan = make_plan(DesiredState({f"u{n}@x.io": tomb for n in range(100)}), ServerState({}, {}))
    plan.require_safe()
    assert len(plan.in_sync) == 100


# ---- properties ----------------------------------------------------------------------------

names = st.sampled_from([f"{n}@x.io" for n in "abcdef"])
hashes = st.sampled_from([HASH, OTHER_HASH])
mailboxes = st.builds(MailboxState, hashes, st.sampled_from([0, 5]), st.booleans())
wanted_mailboxes = st.builds(
    WantedMailbox,
    st.sampled_from(Wish),
    st.sampled_from([0, 5]),
    st.booleans(),
    st.none(),
    st.none() | hashes,
    st.booleans(),
    st.booleans(),
)
targets = st.sampled_from([("t@x.io",), ("t@x.io", "u@y.io")])
wanted_aliases = st.builds(
    WantedAlias, st.sampled_from([Wish.PRESENT, Wish.ABSENT]), targets, st.booleans(), st.booleans()
)
desired_states = st.builds(
    DesiredState, st.dictionaries(names, wanted_mailboxes), st.dictionaries(names, wanted_aliases)
).filter(lambda desired: not desired.mailboxes.keys() & desired.aliases.keys())
server_states = st.builds(
    ServerState, st.dictionaries(names, mailboxes), st.dictionaries(names, st.builds(AliasState, targets))
)


def applied(plan: Plan, state: ServerState) -> ServerState:
    """What a server that does everything holds afterwards."""
    boxes, aliases = dict(state.mailboxes), dict(state.aliases)
    for change in plan.changes:
        match change:
            case CreateMailbox(a, password, quota, enabled, messages):
                boxes[a] = MailboxState(password, quota, enabled, messages)
            case SetPassword(a, password):
                boxes[a] = boxes[a]._replace(password_hash=password)
            case SetQuota(a, quota, messages):
                boxes[a] = boxes[a]._replace(quota_bytes=quota, quota_messages=messages)
            case SetEnabled(a, enabled):
                boxes[a] = boxes[a]._replace(enabled=enabled)
            case DeleteMailbox(a, _):
                del boxes[a]
            case SetAlias(a, destinations):
                aliases[a] = AliasState(destinations)
            case DeleteAlias(a):
                del aliases[a]
    return replace(state, mailboxes=boxes, aliases=aliases)


@given(desired_states, server_states)
def test_it_converges_in_one_step(desired: DesiredState, actual: ServerState) -> None:
    assert make_plan(desired, applied(make_plan(desired, actual), actual)).changes == []


@given(desired_states, server_states)
def test_absence_never_deletes(desired: DesiredState, actual: ServerState) -> None:
    after = applied(make_plan(desired, actual), actual)
    for address, state in actual.mailboxes.items():
        want = desired.mailboxes.get(address)
        if want is None or want.wish is Wish.IGNORED or not want.due:
            assert after.mailboxes[address] == state
        if want is None or want.wish is not Wish.ABSENT:
            assert address in after.mailboxes
    for address, alias in actual.aliases.items():
        wish = desired.aliases.get(address)
        if wish is None or not wish.due:
            assert after.aliases[address] == alias
        if wish is None or wish.wish is not Wish.ABSENT:
            assert address in after.aliases


@given(desired_states, server_states)
def test_every_due_row_ends_in_exactly_one_place(desired: DesiredState, actual: ServerState) -> None:
    plan = make_plan(desired, actual)
    places = [set(plan.in_sync), {d.key for d in plan.conflicts}, set(plan.address_conflicts), set(plan.unrecoverable)]
    places.append({Key(Resource.MAILBOX, c.address) for c in plan.changes if not isinstance(c, SetAlias | DeleteAlias)})
    places.append({Key(Resource.ALIAS, c.address) for c in plan.changes if isinstance(c, SetAlias | DeleteAlias)})
    due = [Key(Resource.MAILBOX, a) for a, w in desired.mailboxes.items() if w.due and w.wish is not Wish.IGNORED]
    due += [Key(Resource.ALIAS, a) for a, w in desired.aliases.items() if w.due]
    for key in due:
        assert sum(key in place for place in places) == 1, key


@given(desired_states, server_states)
def test_it_never_changes_the_password_of_an_account_that_is_not_ours(
    desired: DesiredState, actual: ServerState
) -> None:
    for change in make_plan(desired, actual).changes:
        if isinstance(change, SetPassword):
            assert desired.mailboxes[change.address].owned


def test_a_password_never_shows_in_a_printed_plan() -> None:
    want = WANTED._replace(password=Secret("Abcdef-12"))
    assert "Abcdef-12" not in repr(plan_mailbox(want, None))


# ---- a mailbox and an alias of the same address ---------------------------------------------


def plan_both(want: DesiredState, accounts: dict[str, MailboxState], aliases: dict[str, tuple[str, ...]]) -> Plan:
    return make_plan(want, ServerState(accounts, {name: AliasState(to) for name, to in aliases.items()}))


def test_an_alias_does_not_take_the_mail_of_an_account_that_somebody_made() -> None:
    for owned in (False, True):
        want = DesiredState({}, {A: WantedAlias(Wish.PRESENT, ("ben@example.com",), owned=owned, due=True)})
        plan = plan_both(want, {A: THERE}, {})
        assert (plan.changes, plan.address_conflicts) == ([], [Key(Resource.ALIAS, A)])


def test_a_mailbox_is_not_made_where_an_alias_would_take_its_mail() -> None:
    plan = plan_both(DesiredState({A: WANTED}), {}, {A: ("ben@example.com",)})
    assert (plan.changes, plan.address_conflicts) == ([], [ANNA])


def test_an_alias_to_itself_leaves_the_mail_to_the_mailbox() -> None:
    plan = plan_both(DesiredState({A: WANTED}), {}, {A: (A,)})
    assert plan.changes == [CreateMailbox(A, HASH, 500)]


def test_an_alias_that_was_written_and_not_recorded_is_removed_all_the_same() -> None:
    tombstone = WantedAlias(Wish.ABSENT, ("ben@example.com",), owned=False, due=True)
    assert plan_alias(tombstone, ("ben@example.com",)).changes == [DeleteAlias(SALES.address)]
    assert plan_alias(tombstone, ("carla@example.com",)).in_sync == [SALES]


# ---- passwords -----------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["{SHA512-CRYPT}$6$", "{SHA512-CRYPT}$6$short$x", "$6$sält$" + "x" * 86])
def test_no_password_fits_a_broken_hash(broken: str) -> None:
    want = WANTED._replace(password=PASSWORD, owned=True)
    assert plan_mailbox(want, MailboxState(Secret(broken), 500)).changes == [SetPassword(A, PASSWORD)]


def test_a_long_password_that_begins_like_a_hash_is_a_password() -> None:
    password = Secret("$Correct-Horse-Battery-Staple-2026-And-More")
    want = WANTED._replace(password=password, owned=True)
    assert plan_mailbox(want, MailboxState(hash_password(password), 500)).in_sync == [ANNA]
