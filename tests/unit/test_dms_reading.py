"""The files are read as docker-mailserver and Postfix read them: same key, first line, what they ignore; and what is in
the way of an edit is not touched."""

import pytest

from provision.core.errors import Rejected
from provision.core.rules import alias_effects, mailbox_effects
from provision.core.state import (
    Change,
    CreateMailbox,
    DeleteAlias,
    DeleteMailbox,
    Key,
    Resource,
    ServerState,
    SetAlias,
    SetQuota,
)
from provision.servers.dms.config import DmsConfig
from tests.conftest import HASH

ACCOUNTS, VIRTUAL, QUOTAS = "postfix-accounts.cf", "postfix-virtual.cf", "dovecot-quotas.cf"
REGEXP, RECEIVE, SEND = "postfix-regexp.cf", "postfix-receive-access.cf", "postfix-send-access.cf"
H = HASH.reveal()
MEGABYTE = 1 << 20


def state(**files: str) -> ServerState:
    return config(**files).state()


def config(**files: str) -> DmsConfig:
    names = {"accounts": ACCOUNTS, "virtual": VIRTUAL, "quotas": QUOTAS, "regexp": REGEXP, "receive": RECEIVE}
    names |= {"send": SEND, "masters": "dovecot-masters.cf", "aliases": "postfix-aliases.cf"}
    return DmsConfig({names[name]: text for name, text in files.items()})


def accounts(*addresses: str) -> str:
    return "".join(f"{address}|{H}\n" for address in addresses)


# ---- keys ----------------------------------------------------------------------------------


def test_an_alias_in_capitals_is_the_alias_that_postfix_finds() -> None:
    found = state(virtual="Sales@Example.com Boss@example.com\n@Example.ORG x@example.com\n")
    assert {key: alias.destinations for key, alias in found.aliases.items()} == {
        "sales@example.com": ("boss@example.com",),
        "@example.org": ("x@example.com",),
    }
    assert not list(found.unmanageable)


def test_of_two_lines_for_one_alias_the_first_counts_and_the_other_is_told() -> None:
    found = state(virtual="Sales@x.io boss@x.io\nsales@x.io anna@x.io\n")
    assert found.aliases["sales@x.io"].destinations == ("boss@x.io",)
    (told,) = found.unmanageable
    assert told.text == "sales@x.io anna@x.io"
    assert "a line for it before" in told.reason


def test_an_edit_replaces_the_line_that_counts_and_a_deletion_removes_them_all() -> None:
    text = "# kept\nSales@x.io boss@x.io\nsales@x.io anna@x.io\n"
    edited = config(virtual=text)
    command = edited.edit(SetAlias("sales@x.io", ("carl@x.io",)))
    assert edited.changed()[VIRTUAL] == "# kept\nsales@x.io carl@x.io\nsales@x.io anna@x.io\n"
    assert "(before: boss@x.io)" in command
    removed = config(virtual=text)
    assert "(before: boss@x.io)" in removed.edit(DeleteAlias("sales@x.io"))
    assert removed.changed()[VIRTUAL] == "# kept\n"


def test_a_quota_in_capitals_is_the_quota_that_counts_and_is_replaced() -> None:
    files = {"accounts": accounts("kim@x.io"), "quotas": "Kim@X.io:300M\n"}
    assert state(**files).mailboxes["kim@x.io"].quota_bytes == 300 * MEGABYTE
    edited = config(**files)
    assert "(before: 300M)" in edited.edit(SetQuota("kim@x.io", MEGABYTE))
    assert edited.changed()[QUOTAS] == "kim@x.io:1M\n"


def test_an_account_in_capitals_is_in_the_way_of_one_in_small_letters() -> None:
    found = state(accounts=accounts("Kim@x.io"))
    assert "kim@x.io" in found.addresses(Resource.MAILBOX)
    assert "capital" in (found.obstacle(Key(Resource.MAILBOX, "kim@x.io")) or "")
    with pytest.raises(Rejected, match="capital"):
        config(accounts=accounts("Kim@x.io")).edit(CreateMailbox("kim@x.io", HASH))


@pytest.mark.parametrize("lines", [("Kim@x.io", "kim@x.io"), ("kim@x.io", "Kim@x.io")])
def test_beside_one_in_capitals_the_account_in_small_letters_is_served(lines: tuple[str, str]) -> None:
    found = state(accounts=accounts(*lines))
    assert found.mailboxes.keys() == {"kim@x.io"}
    assert [(told.text, "capital" in told.reason) for told in found.unmanageable] == [("Kim@x.io", True)]
    edited = config(accounts=accounts(*lines))
    edited.edit(DeleteMailbox("kim@x.io"))
    assert edited.changed()[ACCOUNTS] == accounts("Kim@x.io")


def test_only_ascii_letters_are_the_same_in_both_cases() -> None:
    kelvin = "\u212aim@x.io"
    assert state(virtual=f"{kelvin} a@x.io\nkim@x.io b@x.io\n").aliases["kim@x.io"].destinations == ("b@x.io",)


# ---- what is in the way --------------------------------------------------------------------

NOT_MANAGED = [
    "sales@x.io |/bin/cat",
    "sales@x.io a@x.io,/dev/null",
    "SALES@x.io a*@x.io",
    'sales@x.io "a b"@x.io',
    "sales@x.io boss",
    "sales@x.io Boss <boss@x.io>",
    "sales@x.io ,",
    "sales@x.io\n  :include:/list",
]


@pytest.mark.parametrize("line", NOT_MANAGED)
def test_an_alias_that_cannot_be_managed_is_not_replaced_and_not_removed(line: str) -> None:
    for change in (SetAlias("sales@x.io", ("anna@x.io",)), DeleteAlias("sales@x.io")):
        edited = config(virtual=f"{line}\nz@x.io a@x.io\n")
        assert edited.state().obstacle(Key(Resource.ALIAS, "sales@x.io"))
        with pytest.raises(Rejected, match="not touched"):
            edited.edit(change)
        assert edited.changed() == {}


# ---- what Postfix ignores ------------------------------------------------------------------


def test_what_begins_with_a_blank_and_continues_nothing_is_no_alias() -> None:
    found = state(virtual="  support@x.io one@y.net,\n\n# more\n  two@y.net\nz@x.io a@x.io,\n\n b@x.io\n")
    assert found.aliases.keys() == {"z@x.io"}
    assert found.aliases["z@x.io"].destinations == ("a@x.io", "b@x.io")
    assert all("begins with a blank" in told.reason for told in found.unmanageable)
    assert len(found.unmanageable) == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("\ufeffsales@x.io a@x.io", "byte order mark"),
        ("sales@bücher.de a@x.io", "xn--"),
        ("sales@x.io\u00a0a@x.io", "no entry"),
        ("a\u2028b@x.io", "no entry"),
    ],
)
def test_what_postfix_reads_otherwise_than_it_looks_is_told_with_the_reason(line: str, reason: str) -> None:
    found = state(virtual=f"{line}\n")
    assert not found.aliases
    assert [reason in told.reason for told in found.unmanageable] == [True]


def test_comments_that_are_indented_are_comments_in_every_file() -> None:
    text = "  # a@x.io|x b@x.io\n\t#c@x.io:5M d\n"
    found = state(accounts=text, virtual=text, quotas=text)
    assert not found.unmanageable
    assert not found.addresses(Resource.MAILBOX)


@pytest.mark.parametrize(
    "domain", ["office.local", "x.test", "x.lan", "x.internal", "mailserver", "x_y.de", "a.invalid"]
)
def test_what_the_server_serves_is_managed(domain: str) -> None:
    files = {
        "accounts": accounts(f"anna@{domain}", f"{'l' * 90}@{domain}"),
        "virtual": f"info@{domain} anna@{domain}\n",
    }
    assert len(state(**files).mailboxes) == 2
    if "." in domain:
        assert state(**files).aliases.keys() == {f"info@{domain}"}


def test_destinations_of_carriers_are_managed() -> None:
    found = state(virtual="a@x.io a..b@docomo.ne.jp,abc.@docomo.ne.jp\nb@x.io o'brien@y.net,_x@y.net\n")
    assert found.aliases["a@x.io"].destinations == ("a..b@docomo.ne.jp", "abc.@docomo.ne.jp")
    assert found.aliases["b@x.io"].destinations == ("o'brien@y.net", "_x@y.net")


# ---- catch-alls ----------------------------------------------------------------------------


def test_a_catch_all_without_own_lines_is_told() -> None:
    found = state(
        accounts=accounts("anna@x.io", "ben@x.io", "carl@y.io"), virtual="@X.io carl@y.io\nben@x.io ben@x.io\n"
    )
    assert found.takes("@x.io") == 1
    (told,) = found.warnings
    assert "@x.io takes the mail of mailboxes that have no alias to themselves (1: anna@x.io)" in told


def outcome(edited: DmsConfig, *changes: Change) -> str:
    (done, *_) = edited.edit_all(changes)
    assert not done.error
    return done.command


def test_nothing_is_written_into_a_domain_that_the_change_is_not_about() -> None:
    files = {"accounts": accounts("anna@x.io", "carl@y.io"), "virtual": "@x.io anna@x.io\n"}
    edited = config(**files)
    outcome(edited, SetAlias("y@y.io", ("carl@y.io",)), CreateMailbox("dora@y.io", HASH))
    assert edited.changed()[VIRTUAL] == "@x.io anna@x.io\ny@y.io carl@y.io\n"


def test_what_is_written_beside_a_change_stands_in_its_record_and_in_the_preview() -> None:
    files = {"accounts": accounts("anna@x.io", "ben@x.io"), "virtual": "@x.io anna@x.io\n"}
    catch_all = SetAlias("@x.io", ("anna@x.io",))
    lines = ["postfix-virtual.cf: anna@x.io anna@x.io", "postfix-virtual.cf: ben@x.io ben@x.io"]
    assert state(**files).beside([catch_all]) == lines
    assert outcome(config(**files), catch_all).endswith("; ".join(lines))
    new = CreateMailbox("carl@x.io", HASH)
    assert state(**files).beside([new]) == ["postfix-virtual.cf: carl@x.io carl@x.io"]
    assert "postfix-virtual.cf: carl@x.io carl@x.io" in outcome(config(**files), new)


def test_a_quota_line_for_somebody_else_stands_in_the_record_too() -> None:
    files = {"accounts": accounts("a@x.io", "aa@x.io")}
    change = SetQuota("aa@x.io", MEGABYTE)
    assert state(**files).beside([change]) == ["dovecot-quotas.cf: a@x.io:0"]
    assert outcome(config(**files), change) == "dovecot-quotas.cf: aa@x.io:1M; dovecot-quotas.cf: a@x.io:0"


def test_what_goes_with_a_catch_all_or_a_mailbox_stands_in_the_record() -> None:
    files = {"accounts": accounts("anna@x.io"), "virtual": "@x.io anna@x.io\nanna@x.io anna@x.io\n"}
    assert "remove @x.io, anna@x.io (before: anna@x.io)" in outcome(config(**files), DeleteAlias("@x.io"))
    assert "postfix-virtual.cf: remove anna@x.io" in outcome(config(**files), DeleteMailbox("anna@x.io"))


# ---- other files ---------------------------------------------------------------------------

RULES = """# first match wins
/^postmaster@/ admin@x.io
if /@example\\.com$/
/^(sales|info)-(.*)@/   $2@example.com,
  copy@example.com
!/^ben@/  boss@example.com
endif
/^[[:digit:]]+@x\\.io$/i numbers@x.io
"""


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("postmaster@anywhere.io", "admin@x.io"),
        ("sales-anna@example.com", "anna@example.com,  copy@example.com"),
        ("anybody@example.com", "boss@example.com"),
        ("ben@example.com", None),
        ("anybody@example.org", None),
        ("123@x.io", "numbers@x.io"),
        ("12a@x.io", None),
    ],
)
def test_a_rule_of_the_regexp_file_is_followed(address: str, target: str | None) -> None:
    effects = mailbox_effects(state(regexp=RULES).rules, address)
    assert effects == (
        [f"Mail for {address} is decided by a rule in postfix-regexp.cf: it goes to {target}."] if target else []
    )


def test_an_alias_to_itself_keeps_a_rule_from_a_mailbox() -> None:
    files = {"accounts": accounts("anna@example.com"), "regexp": "/@example\\.com$/ boss@example.com\n"}
    assert any("takes the mail of mailboxes (1: anna@example.com)" in told for told in state(**files).warnings)
    files["virtual"] = "anna@example.com anna@example.com\n"
    assert any("beside what is managed here" in told for told in state(**files).warnings)
    assert mailbox_effects(state(**files).rules, "anna@example.com", has_alias=True) == []


def test_with_its_catch_all_the_lines_that_keep_a_rule_away_do_not_go() -> None:
    virtual = "@example.com anna@example.com\nanna@example.com anna@example.com\n"
    edited = config(accounts=accounts("anna@example.com"), virtual=virtual, regexp="/^a.*@example/ boss@example.com\n")
    edited.edit(DeleteAlias("@example.com"))
    assert edited.changed()[VIRTUAL] == "anna@example.com anna@example.com\n"


@pytest.mark.parametrize("line", ["/(a+)+@x/ b@x.io", "/(?R)/ b@x.io", "/[/ b@x.io", "no rule at all", "/a/Z b@x.io"])
def test_a_rule_that_cannot_be_followed_is_told(line: str) -> None:
    found = state(regexp=f"{line}\n/^good@/ z@x.io\n")
    assert any("cannot be followed here" in told and line in told for told in found.warnings)
    assert mailbox_effects(found.rules, "good@x.io")


def test_who_may_not_receive_or_send_is_told() -> None:
    files = {"accounts": accounts("anna@x.io", "ben@y.io"), "receive": "Anna@x.io \t\t REJECT\nok@x.io OK\n"}
    found = state(**files, send="y.io REJECT no more\n")
    assert any("refuses all mail for mailboxes (1: anna@x.io)" in told for told in found.warnings)
    assert "refused by a rule in postfix-receive-access.cf: REJECT" in mailbox_effects(found.rules, "anna@x.io")[0]
    assert "may be refused when it sends" in mailbox_effects(found.rules, "ben@y.io")[0]
    assert mailbox_effects(found.rules, "ok@x.io") == []


def test_an_alias_is_told_what_decides_over_where_it_leads() -> None:
    found = state(accounts=accounts("anna@x.io"), receive="anna@x.io REJECT\n", regexp="/@x\\.io$/ boss@y.io\n")
    effects = alias_effects(found.rules, "info@x.io", ["anna@x.io"], lambda address: address == "anna@x.io")
    assert [effect.split(":")[0] for effect in effects] == [
        "Mail for anna@x.io is decided by a rule in postfix-regexp.cf",
        "Mail for anna@x.io is refused by a rule in postfix-receive-access.cf",
    ]


def test_master_accounts_and_local_aliases_that_mean_nothing_are_told() -> None:
    told = " ".join(state(masters=f"root|{H}\n# x|y\n", aliases="root: a@x.io\nanna@x.io: b@x.io\n").warnings)
    assert "dovecot-masters.cf can read every mailbox: root." in told
    assert "anna@x.io in postfix-aliases.cf means nothing" in told
    assert "$6$" not in told


def test_files_that_are_read_only_are_never_written() -> None:
    edited = config(accounts=accounts("anna@x.io"), regexp=RULES, receive="anna@x.io REJECT\n")
    outcome(edited, SetAlias("info@x.io", ("anna@x.io",)), CreateMailbox("ben@x.io", HASH))
    assert set(edited.changed()) == {ACCOUNTS, VIRTUAL, QUOTAS}
