"""The three files of docker-mailserver as values: whatever is in them, an edit changes its own entry only."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from provision.core.errors import Rejected
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
from provision.servers.dms.order import first_hit
from tests.conftest import HASH, OTHER_HASH

ACCOUNTS, VIRTUAL, QUOTAS = "postfix-accounts.cf", "postfix-virtual.cf", "dovecot-quotas.cf"
FILES = (ACCOUNTS, VIRTUAL, QUOTAS)
H, O = HASH.reveal(), OTHER_HASH.reveal()  # noqa: E741
MEGABYTE = 1 << 20

# ---- what people and programs leave in such files ------------------------------------------

addresses = st.sampled_from(
    [
        "a@x.io",
        "aa@x.io",
        "b@x.io",
        "a@x.io.uk",
        "a@x.i",
        "qb@x.io",
        "Anna@X.io",
        "info@ex.co",
        "info@ex.com",
        "x/y@x.io",
        "a|b",
        "@x.io",
        "sales",
    ]
)
separators = st.sampled_from(
    [
        "|",
        " ",
        ":",
        ",",
        "\t",
        "\n",
        "\r\n",
        "\n\n",
        "\n ",
        "\n\t",
        "#",
        "\n#",
        "\r",
        "||",
        " | ",
        "\x85",
        "\u2028",
        "\x0c",
    ]
)
values = st.sampled_from(
    [H, O, "", "500M", "0", "5 GB", "fail=y", "allow_nets=local", "c@y.net", "c@y.net, d@y.net", "{", "*0", "hello"]
)
any_text = st.text(st.characters(), max_size=60) | st.text(
    st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF), max_size=3
)
texts = st.lists(addresses | separators | values | any_text, max_size=25).map("".join)
files = st.fixed_dictionaries(dict.fromkeys(FILES, texts))

account_lines = st.builds(
    lambda a, h, c: f"{a}|{h}{c}",
    addresses,
    st.sampled_from([H, O]),
    st.sampled_from(["", "|", "|fail=y", "|allow_nets=local fail=y", "|x=1  y=2"]),
)
alias_lines = st.builds(
    lambda a, d, end: f"{a} {d}{end}",
    addresses,
    st.sampled_from(["c@y.net", "c@y.net, d@y.net", "a@x.io,b@x.io"]),
    st.sampled_from(["", "  ", "\n d@y.net"]),
)
quota_lines = st.builds(lambda a, q: f"{a}:{q}", addresses, st.sampled_from(["500M", "0", "1G", "nonsense"]))
noise = st.sampled_from(["", "# comment", "#a@x.io|commented", "garbage", "a", "a|b", "a:b", "   ", "\t# indented"])
ends = st.sampled_from(["\n", "\r\n"])


def written(lines: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A file of such lines with comments and garbage between, sometimes without a final newline."""
    whole = st.lists(st.builds(lambda line, end: line + end, lines | noise, ends), max_size=12).map("".join)
    return whole | whole.map(lambda text: text.rstrip("\n"))


likely_files = st.fixed_dictionaries(
    {ACCOUNTS: written(account_lines), VIRTUAL: written(alias_lines), QUOTAS: written(quota_lines)}
)

ours = st.sampled_from(["a@x.io", "aa@x.io", "b@x.io", "a@x.io.uk", "info@ex.co", "info@ex.com", "new@x.io"])
hashes = st.sampled_from([HASH, OTHER_HASH])
quotas = st.sampled_from([0, 1, 1024, 5 * MEGABYTE, 1 << 40])
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(CreateMailbox, ours, hashes, quotas, st.booleans(), st.none()),
    st.builds(SetPassword, ours, hashes),
    st.builds(SetQuota, ours, quotas, st.none()),
    st.builds(SetEnabled, ours, st.booleans()),
    st.builds(DeleteMailbox, ours, st.just(False)),
    st.builds(SetAlias, ours | st.just("@x.io"), st.sampled_from([("c@y.net",), ("z@x.io", "c@y.net")])),
    st.builds(DeleteAlias, ours | st.just("@x.io")),
)


def edited(before: dict[str, str], *batch: Change) -> dict[str, str]:
    """All three files after the changes; a refused change is left out."""
    config = DmsConfig(before)
    for change in batch:
        try:
            config.edit(change)
        except Rejected:
            continue
    config.complete_quotas()
    return {**before, **config.changed()}


def edits_of(before: dict[str, str], change: Change) -> dict[str, str]:
    """Like `edited`; such examples in which the change is refused are not looked at."""
    config = DmsConfig(before)
    try:
        config.edit(change)
    except Rejected:
        assume(False)
    return edited(before, change)


def entry_of(name: str, line: str) -> str:
    """Whose line this is, as docker-mailserver reads it; "" for none."""
    line = line.rstrip("\r")
    if line.startswith("#"):
        return ""
    if name == VIRTUAL:
        return (line.split() or [""])[0]
    return line.partition("|")[0] if name == ACCOUNTS else line.rpartition(":")[0]


def lines_of(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def emptied(before: str, after: str) -> bool:
    """A file without any line left is one newline, which docker-mailserver makes of an empty file anyway."""
    return after == "\n" != before


# ---- reading -------------------------------------------------------------------------------


@given(files | likely_files)
def test_parse_and_render_is_the_identity_on_any_text(before: dict[str, str]) -> None:
    config = DmsConfig(before)
    assert {file.name: file.render() for file in config.files} == before
    assert config.changed() == {}


@given(files | likely_files)
def test_reading_never_breaks_and_changes_nothing(before: dict[str, str]) -> None:
    config = DmsConfig(before)
    state = config.state()
    for address, mailbox in state.mailboxes.items():
        assert address == address.lower().strip()
        assert mailbox.quota_bytes is None or mailbox.quota_bytes >= 0
    for alias, entry in state.aliases.items():
        assert alias not in state.mailboxes
        assert entry.destinations
    assert all(problem.reason for problem in state.unmanageable)
    assert config.changed() == {}


@given(files | likely_files)
def test_what_is_left_alone_is_shown_printable_and_without_a_hash(before: dict[str, str]) -> None:
    for problem in DmsConfig(before).state().unmanageable:
        assert problem.text.isprintable()
        assert len(problem.text) <= 80
        assert "$6$" not in problem.text


# ---- editing -------------------------------------------------------------------------------


@given(likely_files, changes)
def test_an_edit_touches_its_own_lines_only(before: dict[str, str], change: Change) -> None:
    after = edits_of(before, change)
    for name in (ACCOUNTS, VIRTUAL):
        old, new = lines_of(before[name]), [] if emptied(before[name], after[name]) else lines_of(after[name])
        assert not_of(name, new, change.address) == not_of(name, old, change.address)


@given(likely_files, changes)
def test_an_edit_keeps_every_quota_line_of_others(before: dict[str, str], change: Change) -> None:
    """They may be put in another order, and accounts that had none get an explicit 0."""
    rest = sorted(lines_of(edits_of(before, change)[QUOTAS]))
    for line in lines_of(before[QUOTAS]):
        if entry_of(QUOTAS, line) != change.address:
            assert line in rest
            rest.remove(line)
    assert all(not line or line.endswith(":0") or entry_of(QUOTAS, line) == change.address for line in rest)


def not_of(name: str, lines: list[str], address: str) -> list[str]:
    """The lines of everybody else; a line that begins with a blank belongs to the entry before it."""
    kept, owner = [], ""
    for line in lines:
        is_continuation = name == VIRTUAL and line[:1].isspace() and line.strip() and not line.strip().startswith("#")
        if not is_continuation and line.strip() and not line.strip().startswith("#"):
            owner = entry_of(name, line)
        if line.strip().startswith("#") or not line.strip() or owner != address:
            kept.append(line)
    return kept


@given(files | likely_files, st.lists(changes, min_size=1, max_size=4))
def test_an_edited_text_ends_in_a_newline(before: dict[str, str], batch: list[Change]) -> None:
    after = edited(before, *batch)
    for name in FILES:
        assert after[name] == before[name] or after[name].endswith("\n")


@given(files | likely_files, st.lists(changes, min_size=1, max_size=4))
def test_no_line_is_glued_to_another(before: dict[str, str], batch: list[Change]) -> None:
    after = edited(before, *batch)
    touched = {change.address for change in batch}
    for name in FILES:
        old = set(lines_of(before[name]))
        for line in [] if emptied(before[name], after[name]) else lines_of(after[name]):
            assert line in old or entry_of(name, line) in touched or (name == QUOTAS and line.endswith(":0"))


@given(files | likely_files, st.lists(changes, min_size=1, max_size=4))
def test_it_never_writes_an_empty_hash(before: dict[str, str], batch: list[Change]) -> None:
    old = set(lines_of(before[ACCOUNTS]))
    for line in lines_of(edited(before, *batch)[ACCOUNTS].rstrip("\n")):
        if line not in old and not isinstance(batch[-1], SetEnabled):
            assert line.split("|")[1].startswith("{SHA512-CRYPT}$6$")


@given(files | likely_files, changes)
def test_doing_it_twice_is_doing_it_once(before: dict[str, str], change: Change) -> None:
    once = edited(before, change)
    assert edited(once, change) == once


@given(likely_files, changes)
def test_what_was_wanted_is_then_read(before: dict[str, str], change: Change) -> None:
    state = DmsConfig(edits_of(before, change)).state()
    mailbox, alias = state.mailboxes.get(change.address), state.aliases.get(change.address)
    match change:
        case CreateMailbox(_, password, quota, enabled, _):
            assert mailbox == MailboxState(password, quota, enabled)
        case SetPassword(_, password):
            assert mailbox is not None
            assert mailbox.password_hash == password
        case SetQuota(_, quota, _):
            assert mailbox is not None
            assert mailbox.quota_bytes == quota
        case SetEnabled(_, enabled):
            assert mailbox is not None
            assert mailbox.enabled is enabled
        case DeleteMailbox():
            assert mailbox is None
        case SetAlias(address, destinations) if address not in state.mailboxes:
            assert alias is not None
            assert alias.destinations == destinations
        case DeleteAlias():
            assert alias is None


@given(likely_files, changes)
def test_what_others_have_is_read_as_before(before: dict[str, str], change: Change) -> None:
    old, new = DmsConfig(before).state(), DmsConfig(edits_of(before, change)).state()
    kept = {a: m for a, m in old.mailboxes.items() if a != change.address}
    assert {a: new.mailboxes.get(a) for a in kept} == kept


@given(likely_files, st.lists(changes, min_size=1, max_size=6))
def test_no_quota_line_of_ours_stands_behind_or_before_one_that_hides_the_other(
    before: dict[str, str], batch: list[Change]
) -> None:
    after = edited(before, *batch)
    assume(after[QUOTAS] != before[QUOTAS])
    ours = {entry_of(QUOTAS, line).lower() for line in set(lines_of(after[QUOTAS])) - set(lines_of(before[QUOTAS]))}
    keys = [entry_of(QUOTAS, line).lower() for line in lines_of(after[QUOTAS])]
    keys = [key for key in dict.fromkeys(keys) if "@" in key and key[0] != "@"]
    for place, key in enumerate(keys):
        hidden_by = [earlier for earlier in keys[:place] if key in earlier]
        assert not any(key in ours or earlier in ours for earlier in hidden_by), keys


@given(likely_files, st.lists(changes, min_size=1, max_size=6))
def test_no_account_gets_the_quota_of_another_once_the_quotas_are_written(
    before: dict[str, str], batch: list[Change]
) -> None:
    after = edited(before, *batch)
    assume(after[QUOTAS] != before[QUOTAS])
    accounts = {
        entry_of(ACCOUNTS, line) for line in lines_of(after[ACCOUNTS]) if "|" in line and "@" in line.partition("|")[0]
    } - {""}
    quotas = lines_of(after[QUOTAS])
    for account in accounts - {entry_of(QUOTAS, line) for line in quotas}:
        assert first_hit(quotas, f"{account}:") is None  # so it has what the server gives by default


attributes = st.lists(
    st.sampled_from(["fail=y", "fail", "allow_nets=local", "userdb_mail=maildir:~/x", "proxy"]), unique=True
).map(" ".join)


def attributes_of(before: dict[str, str], address: str) -> list[str]:
    line = next(line for line in lines_of(before[ACCOUNTS]) if entry_of(ACCOUNTS, line) == address)
    return "".join(line.rstrip("\r").split("|")[2:]).split()


@given(written(account_lines), attributes, st.booleans())
def test_the_third_column_keeps_every_other_attribute(text: str, column: str, enabled: bool) -> None:
    before = {ACCOUNTS: f"# ours\nnew@x.io|{H}|{column}\n{text}"}
    assume("new@x.io" not in text)
    after = edited(before, SetEnabled("new@x.io", enabled), SetPassword("new@x.io", OTHER_HASH))
    words = attributes_of(after, "new@x.io")
    assert [w for w in words if w[:4] != "fail"] == [w for w in column.split() if w[:4] != "fail"]
    assert any(w in ("fail", "fail=y") for w in words) is not enabled
    assert DmsConfig(after).state().mailboxes["new@x.io"] == MailboxState(OTHER_HASH, 0, enabled)


@given(likely_files, changes)
def test_the_command_for_the_log_is_one_line_without_a_hash(before: dict[str, str], change: Change) -> None:
    try:
        command = DmsConfig(before).edit(change)
    except Rejected as refusal:
        command = refusal.message
    assert change.address in command
    assert command.isprintable()
    assert "$6$" not in command


@pytest.mark.parametrize("name", FILES)
def test_an_unchanged_file_is_not_written(name: str) -> None:
    before = {ACCOUNTS: f"a@x.io|{H}\n", VIRTUAL: "s@x.io a@x.io\n", QUOTAS: "a@x.io:5M\n"}
    config = DmsConfig(before)
    for change in (
        CreateMailbox("a@x.io", HASH, 5 * MEGABYTE),
        SetQuota("a@x.io", 5 * MEGABYTE),
        SetAlias("s@x.io", ("a@x.io",)),
        DeleteMailbox("b@x.io"),
        DeleteAlias("b@x.io"),
    ):
        config.edit(change)
    config.complete_quotas()
    assert name not in config.changed()
