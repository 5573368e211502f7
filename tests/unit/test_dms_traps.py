"""What goes wrong with docker-mailserver's files in real life, one example each."""

import pytest

from provision.core.errors import Rejected
from provision.core.secret import Secret
from provision.core.state import (
    Change,
    CreateMailbox,
    DeleteAlias,
    DeleteMailbox,
    MailboxState,
    SetAlias,
    SetEnabled,
    SetPassword,
    SetQuota,
)
from provision.servers.dms.config import DmsConfig
from tests.conftest import HASH, OTHER_HASH

ACCOUNTS, VIRTUAL, QUOTAS = "postfix-accounts.cf", "postfix-virtual.cf", "dovecot-quotas.cf"
H, O = HASH.reveal(), OTHER_HASH.reveal()  # noqa: E741
MEGABYTE = 1 << 20


def edited(before: dict[str, str], *batch: Change) -> dict[str, str]:
    config = DmsConfig(before)
    for change in batch:
        config.edit(change)
    config.complete_quotas()
    return {**before, **config.changed()}


def reasons(before: dict[str, str]) -> dict[str, str]:
    return {problem.text: problem.reason for problem in DmsConfig(before).state().unmanageable}


# ---- accounts ------------------------------------------------------------------------------


def test_a_missing_final_newline_glues_no_accounts_together() -> None:
    after = edited({ACCOUNTS: f"a@x.io|{H}", QUOTAS: "a@x.io:5M"}, CreateMailbox("b@x.io", OTHER_HASH))
    assert after[ACCOUNTS] == f"a@x.io|{H}\nb@x.io|{O}\n"
    assert after[QUOTAS] == "a@x.io:5M\nb@x.io:0\n"


@pytest.mark.parametrize("text", ["", "\n", "\n\n", "# only a comment\n"])
def test_it_makes_the_first_account_of_an_empty_file(text: str) -> None:
    after = edited({ACCOUNTS: text}, CreateMailbox("a@x.io", HASH))
    assert after[ACCOUNTS] == f"{text}a@x.io|{H}\n"


def test_a_new_password_keeps_the_account_disabled() -> None:
    """`setup email update` drops the third column, and so lets the person in again."""
    before = {ACCOUNTS: f"a@x.io|{H}|allow_nets=local fail=y\n"}
    assert edited(before, SetPassword("a@x.io", OTHER_HASH))[ACCOUNTS] == f"a@x.io|{O}|allow_nets=local fail=y\n"


def test_disabling_and_enabling_gives_the_same_line_back() -> None:
    for line in (f"a@x.io|{H}", f"a@x.io|{H}|allow_nets=local", f"a@x.io|{H}|x=1 y=2"):
        disabled = edited({ACCOUNTS: f"{line}\n"}, SetEnabled("a@x.io", False))
        assert "fail=y" in disabled[ACCOUNTS]
        assert edited(disabled, SetEnabled("a@x.io", True))[ACCOUNTS] == f"{line}\n"


@pytest.mark.parametrize(
    "bad",
    ["", "{SHA512-CRYPT}", "{SHA512-CRYPT}*0", "*0", "plain-password", f"{H}|fail=n", f"{H}\nb@x.io|{H}", f"{H}\r"],
)
def test_an_incomplete_hash_is_never_written(bad: str) -> None:
    """An account without a hash, with an alias to it, stops the whole container."""
    config = DmsConfig({ACCOUNTS: f"a@x.io|{H}\n"})
    for change in (CreateMailbox("b@x.io", Secret(bad)), SetPassword("a@x.io", Secret(bad))):
        with pytest.raises(Rejected) as caught:
            config.edit(change)
        assert len(bad) < 20 or bad not in caught.value.message
    assert config.changed() == {}


def test_an_account_without_a_hash_is_shown_and_left() -> None:
    assert reasons({ACCOUNTS: "a@x.io|\n"}) == {"a@x.io": "it has no password hash"}


def test_a_line_that_is_no_entry_does_not_disturb_an_address_that_ends_like_it() -> None:
    for garbage in ("anna", "a", "x.io", "", " ", "anna:5M"):
        before = {ACCOUNTS: f"{garbage}\nb@x.io|{H}\n", QUOTAS: f"{garbage}\nb@x.io:0\n"}
        after = edited(before, CreateMailbox("hanna@x.io", HASH))
        assert f"{garbage}\n" in after[ACCOUNTS]
        assert f"{garbage}\n" in after[QUOTAS]
        assert f"hanna@x.io|{H}\n" in after[ACCOUNTS]


def test_an_address_with_a_newline_in_it_is_two_pieces_of_which_none_is_ours() -> None:
    before = {ACCOUNTS: f"evil\nb@x.io|{H}\na@x.io|{H}\n"}
    assert list(DmsConfig(before).state().mailboxes) == ["b@x.io", "a@x.io"]
    assert "evil" in reasons(before)
    assert edited(before, DeleteMailbox("a@x.io"))[ACCOUNTS] == f"evil\nb@x.io|{H}\n"


def test_a_hash_that_stands_alone_on_a_line_is_not_shown() -> None:
    for line in (H, f"a@x.io {H}", f"a@x.io:{H}", f"  {H}", H.removeprefix("{SHA512-CRYPT}")):
        for problem in (
            DmsConfig({ACCOUNTS: f"{line}\n", QUOTAS: f"{line}\n", VIRTUAL: f"{line}\n"}).state().unmanageable
        ):
            assert "$6$" not in problem.text + problem.reason


def test_two_accounts_glued_together_show_no_hash_in_the_log() -> None:
    """What `setup email add` makes of a file without a final newline."""
    config = DmsConfig({ACCOUNTS: f"a@x.io|{H}b@x.io|{O}\n"})
    try:
        command = config.edit(SetEnabled("a@x.io", False))
    except Rejected as refusal:
        command = refusal.message
    assert "$6$" not in command


def test_a_commented_account_is_none() -> None:
    before = {ACCOUNTS: f"#a@x.io|{H}\n"}
    assert DmsConfig(before).state().mailboxes == {}
    after = edited(before, CreateMailbox("a@x.io", OTHER_HASH))[ACCOUNTS]
    assert sorted(after.splitlines()) == [f"#a@x.io|{H}", f"a@x.io|{O}"]


@pytest.mark.parametrize(
    ("line", "shown", "reason"),
    [
        (f"Anna@x.io|{H}", "Anna@x.io", "capital"),
        (f"a/b@x.io|{H}", "a/b@x.io", "may hold"),
        (f"a@localhost|{H}", "a@localhost", "not a domain"),
        (f"a@Ünicode.de|{H}", "a@Ünicode.de", "xn--"),
        (f"\ufeffa@x.io|{H}", "?a@x.io", "byte order mark"),
        (f"a*@x.io|{H}", "a*@x.io", "may hold"),
        (f"-rf@x.io|{H}", "-rf@x.io", "may hold"),
        (f"../../x@x.io|{H}", "../../x@x.io", "may hold"),
        (f"x@../../y|{H}", "x@../../y", "not a domain"),
        (f"jürgen@x.io|{H}", "jürgen@x.io", "outside"),
        (f"a b@x.io|{H}", "a b@x.io", "may hold"),
        (f"a\x1b[0m@x.io|{H}", "a?[0m@x.io", "may hold"),
        (f"{'l' * 250}@x.io|{H}", f"{'l' * 79}…", "longer than 254"),
        ("no entry at all", "no entry at all", "no entry"),
    ],
)
def test_what_our_own_rules_refuse_is_shown_with_the_reason_and_breaks_nothing(
    line: str, shown: str, reason: str
) -> None:
    before = {ACCOUNTS: f"a@x.io|{H}\n{line}\nb@x.io|{H}\n"}
    assert list(DmsConfig(before).state().mailboxes) == ["a@x.io", "b@x.io"]
    assert reason in reasons(before)[shown]
    assert f"\n{line}\n" in edited(before, SetPassword("b@x.io", OTHER_HASH))[ACCOUNTS]


def test_two_lines_for_one_account_are_left_to_a_person() -> None:
    before = {ACCOUNTS: f"a@x.io|{H}\na@x.io|{O}\n"}
    assert DmsConfig(before).state().mailboxes == {}
    assert "two lines" in reasons(before)["a@x.io"]
    for change in (CreateMailbox("a@x.io", HASH), SetPassword("a@x.io", HASH), DeleteMailbox("a@x.io")):
        with pytest.raises(Rejected, match="two lines"):
            DmsConfig(before).edit(change)


def test_an_account_made_meanwhile_is_never_overwritten() -> None:
    config = DmsConfig({ACCOUNTS: f"a@x.io|{O}\n"})
    with pytest.raises(Rejected) as caught:
        config.edit(CreateMailbox("a@x.io", HASH))
    assert caught.value.code == "SYNC_CONFLICT"
    assert config.changed() == {}


@pytest.mark.parametrize("change", [SetPassword("z@x.io", HASH), SetQuota("z@x.io", 1), SetEnabled("z@x.io", False)])
def test_what_is_not_there_is_not_changed(change: Change) -> None:
    config = DmsConfig({ACCOUNTS: f"a@x.io|{H}\n"})
    with pytest.raises(Rejected, match=r"z@x\.io is not on the mail server"):
        config.edit(change)
    assert config.changed() == {}


# ---- names that look like others -----------------------------------------------------------


def test_prefixes_and_patterns_are_told_apart() -> None:
    """`setup` takes an address for a pattern: info@ex.co is info@ex.com to it, and a.b is axb."""
    names = ["info@ex.com", "info@ex.co", "info@ex.com.au", "infos@ex.com", "a.b@x.io", "axb@x.io", "a+b@x.io"]
    before = {ACCOUNTS: "".join(f"{name}|{H}\n" for name in names), QUOTAS: "".join(f"{name}:7M\n" for name in names)}
    for name in names:
        after = DmsConfig(edited(before, DeleteMailbox(name))).state()
        assert set(after.mailboxes) == set(names) - {name}
        quota = DmsConfig(edited(before, SetQuota(name, MEGABYTE))).state()
        assert {n for n in names if quota.mailboxes[n].quota_bytes == MEGABYTE} == {name}
        locked = DmsConfig(edited(before, SetEnabled(name, False))).state()
        assert {n for n in names if not locked.mailboxes[n].enabled} == {name}


def test_a_shorter_account_goes_before_the_longer_one_that_contains_it() -> None:
    """docker-mailserver would let aa's password open an alias of a, which it finds by substring."""
    after = edited({ACCOUNTS: f"# kept\naa@x.io|{H}\nb@x.io|{H}\n"}, CreateMailbox("a@x.io", OTHER_HASH))
    assert after[ACCOUNTS] == f"# kept\na@x.io|{O}\naa@x.io|{H}\nb@x.io|{H}\n"


def test_shorter_quotas_go_before_longer_ones_whatever_the_case() -> None:
    before = {QUOTAS: "qB@x.io:7M\naa@x.io:6M\n", ACCOUNTS: "".join(f"{n}@x.io|{H}\n" for n in ("aa", "a", "b"))}
    after = edited(before, SetQuota("a@x.io", 5 * MEGABYTE), SetQuota("b@x.io", MEGABYTE))
    lines = after[QUOTAS].splitlines()
    assert lines.index("a@x.io:5M") < lines.index("aa@x.io:6M")
    assert lines.index("b@x.io:1M") < lines.index("qB@x.io:7M")


def test_every_account_gets_a_quota_of_its_own_when_one_is_written() -> None:
    """Without one, a@x.io would be given the quota of aa@x.io."""
    before = {ACCOUNTS: f"a@x.io|{H}\naa@x.io|{H}\n"}
    assert edited(before, SetQuota("aa@x.io", MEGABYTE))[QUOTAS] == "a@x.io:0\naa@x.io:1M\n"


# ---- quotas --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quota_bytes", "text"),
    [
        (0, "0"),
        (1, "1B"),
        (1000, "1000B"),
        (1024, "1k"),
        (500 * MEGABYTE, "500M"),
        (1 << 30, "1024M"),
        (1 << 40, "1048576M"),
        (MEGABYTE + 1, "1048577B"),
    ],
)
def test_quotas_are_written_in_units_that_both_dovecots_take(quota_bytes: int, text: str) -> None:
    after = edited({ACCOUNTS: f"a@x.io|{H}\n", QUOTAS: "a@x.io:9M\n"}, SetQuota("a@x.io", quota_bytes))
    assert after[QUOTAS] == f"a@x.io:{text}\n"
    assert DmsConfig(after).state().mailboxes["a@x.io"].quota_bytes == quota_bytes


@pytest.mark.parametrize(
    ("text", "quota_bytes"),
    [
        ("5T", 5 << 40),
        ("1G", 1 << 30),
        ("005M", 5 * MEGABYTE),
        ("0M", 0),
        ("5000000", 5_000_000),
        ("5M ", 5 * MEGABYTE),
        ("5g", 5 << 30),
        ("2GiB", 2 << 30),
        ("500MB", 500 * MEGABYTE),
        ("500ki", 500 << 10),
        ("1tib", 1 << 40),
        ("10B", 10),
    ],
)
def test_quotas_are_read_in_every_unit(text: str, quota_bytes: int) -> None:
    state = DmsConfig({ACCOUNTS: f"a@x.io|{H}\n", QUOTAS: f"a@x.io:{text}\n"}).state()
    assert state.mailboxes["a@x.io"].quota_bytes == quota_bytes


@pytest.mark.parametrize(
    "text", ["1.5G", "-1", "5 M", " 5M", "unlimited", "", "٥M", "9" * 30 + "M", "8388608T", "5IB", "+5M", "1P"]
)
def test_a_quota_that_is_no_size_is_unknown_and_not_none(text: str) -> None:
    before = {ACCOUNTS: f"a@x.io|{H}\n", QUOTAS: f"a@x.io:{text}\n"}
    assert DmsConfig(before).state().mailboxes["a@x.io"].quota_bytes is None
    assert any("not a size" in reason for reason in reasons(before).values())


# ---- aliases -------------------------------------------------------------------------------


def test_blanks_and_doubled_recipients_are_read_once_and_lower_case() -> None:
    state = DmsConfig({VIRTUAL: "al@x.io a@x.io,  B@x.io ,a@x.io,c@y.net\n"}).state()
    assert state.aliases["al@x.io"].destinations == ("a@x.io", "b@x.io", "c@y.net")


def test_a_continued_line_is_read_and_replaced_as_one() -> None:
    before = {VIRTUAL: "al@x.io a@x.io,\n  b@x.io\n# c\n\tc@y.net\nz@x.io a@x.io\n"}
    assert DmsConfig(before).state().aliases["al@x.io"].destinations == ("a@x.io", "b@x.io", "c@y.net")
    assert edited(before, SetAlias("al@x.io", ("d@y.net",)))[VIRTUAL] == "al@x.io d@y.net\n# c\nz@x.io a@x.io\n"
    assert edited(before, DeleteAlias("al@x.io"))[VIRTUAL] == "# c\nz@x.io a@x.io\n"


def test_an_alias_whose_destinations_begin_on_the_next_line_is_read() -> None:
    before = {VIRTUAL: "al@x.io\n  a@x.io\nz@x.io a@x.io\n"}
    assert DmsConfig(before).state().aliases["al@x.io"].destinations == ("a@x.io",)
    assert edited(before, SetAlias("al@x.io", ("d@y.net",)))[VIRTUAL] == "al@x.io d@y.net\nz@x.io a@x.io\n"


def test_a_catch_all_and_outside_destinations_are_aliases() -> None:
    state = DmsConfig({VIRTUAL: "@x.io a@x.io\nout@x.io someone@gmail.com\n"}).state()
    assert state.aliases.keys() == {"@x.io", "out@x.io"}


@pytest.mark.parametrize(
    "line",
    ["al@x.io |/bin/cat", "al@x.io a@x.io,/dev/null", "sales a@x.io", "al@x.io ,", "a.*@x.io a@x.io", "al@x.io"],
)
def test_an_alias_we_would_not_make_is_shown_and_left(line: str) -> None:
    before = {VIRTUAL: f"{line}\nz@x.io a@x.io\n", ACCOUNTS: f"a@x.io|{H}\n"}
    assert DmsConfig(before).state().aliases.keys() == {"z@x.io"}
    assert len(reasons(before)) == 1
    assert edited(before, DeleteAlias("z@x.io"))[VIRTUAL] == f"{line}\n"


def test_a_mailbox_that_forwards_its_own_mail_stays_a_mailbox() -> None:
    before = {ACCOUNTS: f"a@x.io|{H}\n", VIRTUAL: "a@x.io a@x.io,b@y.net\n"}
    state = DmsConfig(before).state()
    assert (list(state.mailboxes), list(state.aliases)) == (["a@x.io"], [])
    assert "a mailbox has the same address" in reasons(before)["a@x.io"]


# ---- foreign line ends and bytes -----------------------------------------------------------


def test_windows_line_ends_are_read_and_others_keep_theirs() -> None:
    before = {ACCOUNTS: f"a@x.io|{H}|fail=y\r\nb@x.io|{H}\r\n", VIRTUAL: "s@x.io a@x.io\r\n", QUOTAS: "a@x.io:5M\r\n"}
    state = DmsConfig(before).state()
    assert state.mailboxes["a@x.io"] == MailboxState(HASH, 5 * MEGABYTE, False)
    assert state.mailboxes["b@x.io"].password_hash == HASH
    assert state.aliases["s@x.io"].destinations == ("a@x.io",)
    assert edited(before, SetPassword("a@x.io", OTHER_HASH))[ACCOUNTS] == f"a@x.io|{O}|fail=y\nb@x.io|{H}\r\n"


def test_bytes_that_are_no_text_survive() -> None:
    latin = b"# caf\xe9\nj\xfcrgen@x.io|x\n".decode("utf-8", "surrogateescape")
    after = edited({ACCOUNTS: latin}, CreateMailbox("a@x.io", HASH))
    assert (
        after[ACCOUNTS].encode("utf-8", "surrogateescape")
        == b"# caf\xe9\nj\xfcrgen@x.io|x\n" + f"a@x.io|{H}\n".encode()
    )
    for text in reasons({ACCOUNTS: latin}):
        text.encode()
