"""Addresses: what is refused, what is normalised, what is shown."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core import address
from provision.core.errors import InvalidEmail
from provision.core.state import Resource
from provision.servers.dms.rule import address_rule

SAFE = re.compile(r"[a-z0-9_][a-z0-9._+=&'-]*@[a-z0-9._-]+")

# What may be taken for a pattern, a script, a path, an option or a second record.
DANGEROUS = [
    "a|b@example.com",
    "a b@example.com",
    "a\nb@example.com",
    "a@example.com\n",
    "a@example.com\nb@example.com",
    "-rf@example.com",
    "../../x@example.com",
    "x@../../y",
    "/../@example.com",
    "$(reboot)@example.com",
    "`id`@example.com",
    "a*@example.com",
    "[b]@example.com",
    "a\\b@example.com",
    "#a@example.com",
    "a:b@example.com",
    "a,b@example.com",
    "a;b@example.com",
    'a"b@example.com',
    "a%b@example.com",
    "a!b@example.com",
    "a^b@example.com",
    "a@b@example.com",
    "a\tb@example.com",
    "a\0b@example.com",
    "a\x1b[31m@example.com",
    "a\u200bb@example.com",
    "ä@example.com",
    "ｆull@example.com",
    "a..b@example.com",
    ".a@example.com",
    "a.@example.com",
    "@",
    "user@",
    "@example.com",
    "",
    " ",
    "user",
    "user@localhost",
    "user@1.2.3.4",
    "user@[1.2.3.4]",
    "user@-x.com",
    "user@x-.com",
    "user@x..com",
    "user@.com",
    "user@x.com:25",
    "user@ex ample.com",
    "user@x.com/y",
    "\ud800@example.com",
    "u@\ud800.com",
    "\u212aate@example.com",  # KELVIN SIGN, of which `lower` makes a k
    "i\u0307smet@example.com",
    "\u0130smet@example.com",
    "anna\u017f@example.com",
]


@pytest.mark.parametrize("text", DANGEROUS)
def test_it_refuses_what_means_something_else_on_the_server(text: str) -> None:
    with pytest.raises(InvalidEmail) as caught:
        address.normalise(text)
    assert caught.value.code == "INVALID_EMAIL"
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("text", ["a&b@example.com", "o'brien@example.com", "_anna@example.com"])
def test_docker_mailserver_is_given_less_than_others(text: str) -> None:
    assert address.normalise(text) == text
    for resource in Resource:
        assert "docker-mailserver takes" in (address_rule(resource, text) or "")


@pytest.mark.parametrize("text", ["anna+sales@example.com", "anna=sales@example.com"])
def test_nobody_logs_in_at_docker_mailserver_with_a_plus_and_an_alias_may_have_one(text: str) -> None:
    assert "make it an alias" in (address_rule(Resource.MAILBOX, text) or "")
    assert address_rule(Resource.ALIAS, text) is None


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Anna@Example.COM", "anna@example.com"),
        ("  anna@example.com ", "anna@example.com"),
        ("anna@example.com.", "anna@example.com"),
        ("o-brien+tag=1_x@example.com", "o-brien+tag=1_x@example.com"),
        ("info@münchen.de", "info@xn--mnchen-3ya.de"),
        ("info@MÜNCHEN.de", "info@xn--mnchen-3ya.de"),
        ("info@xn--mnchen-3ya.de", "info@xn--mnchen-3ya.de"),
        ("7@example.com", "7@example.com"),
    ],
)
def test_it_stores_lower_case_and_ascii_domains(typed: str, stored: str) -> None:
    assert address.normalise(typed) == stored


def test_it_allows_64_characters_before_the_at_and_refuses_65() -> None:
    assert address.normalise("a" * 64 + "@example.com") == "a" * 64 + "@example.com"
    with pytest.raises(InvalidEmail, match="longer than 64"):
        address.normalise("a" * 65 + "@example.com")


def test_it_refuses_addresses_of_more_than_254_characters() -> None:
    domain = ".".join(["d" * 58] * 4) + ".de"
    with pytest.raises(InvalidEmail, match="longer than 254"):
        address.normalise("a" * 30 + "@" + domain)


NOT_PUBLIC = [
    "dom",
    "mail.localhost",
    "x.invalid",
    "x_y.com",
    "hidden.onion",
    "printer.local",
    "xn--a.com",
    "1.home.arpa",
]


@pytest.mark.parametrize("domain", NOT_PUBLIC)
def test_a_domain_that_exists_is_taken_as_it_is_and_a_new_one_has_to_be_public(domain: str) -> None:
    assert address.normalise(f"user@{domain}") == f"user@{domain}"
    with pytest.raises(InvalidEmail):
        address.normalise_new_domain(domain)


def test_endings_that_are_used_inside_can_be_allowed() -> None:
    for domain in ("office.local", "printer.home.arpa"):
        assert address.normalise_new_domain(domain, ("local", "home.arpa")) == domain
    for domain in ("local", "office.invalid", "a..local"):
        with pytest.raises(InvalidEmail):
            address.normalise_new_domain(domain, ("local", "home.arpa"))


# In use at carriers in Japan and elsewhere, though no new mailbox here could be called so.
CARRIERS = [
    "a..b@docomo.ne.jp",
    "abc.@docomo.ne.jp",
    "-x-@ezweb.ne.jp",
    "o'brien@example.com",
    "_x@example.com",
    "a/b@x.de",
]


@pytest.mark.parametrize("text", CARRIERS)
def test_a_destination_may_be_whatever_its_own_server_takes(text: str) -> None:
    assert address.normalise_destination(text) == text


@pytest.mark.parametrize(
    "text", ["|/bin/cat", "a*@x.de", "a b@x.de", "a,b@x.de", "a@b@x.de", "<a@x.de>", "[a]@x.de", "a@dom"]
)
def test_a_destination_is_no_pattern_and_no_command(text: str) -> None:
    with pytest.raises(InvalidEmail):
        address.normalise_destination(text)


def test_it_shows_punycode_readably() -> None:
    assert address.readable("info@xn--mnchen-3ya.de") == "info@münchen.de"
    assert address.readable("@xn--mnchen-3ya.de") == "@münchen.de"
    assert address.readable("anna@example.com") == "anna@example.com"


def test_it_shows_broken_punycode_as_it_is() -> None:
    assert address.readable("info@xn--\udc80.de") == "info@xn--\udc80.de"
    assert address.readable("info@xn--a.de") == "info@xn--a.de"


def test_it_allows_a_catch_all_for_aliases_only() -> None:
    assert address.normalise_alias("@Example.com") == "@example.com"
    assert address.normalise_alias("Sales@Example.com") == "sales@example.com"
    with pytest.raises(InvalidEmail):
        address.normalise_alias("@")


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ("Anna@example.com", "capital"),
        ("anna@Example.com", "capital"),
        ("a/b@example.com", "may hold"),
        ("anna@localhost", "not a domain name"),
        ("anna", "no @"),
        ("jürgen@example.com", "outside a–z"),
    ],
)
def test_it_says_why_an_address_of_the_server_is_not_managed(found: str, reason: str) -> None:
    assert reason in (address.refusal(found) or "")


@given(st.text(max_size=40))
def test_it_never_raises_anything_but_invalid_email(text: str) -> None:
    for check in (address.normalise, address.normalise_alias, address.normalise_domain):
        with suppress(InvalidEmail):
            check(text).encode("ascii")


@given(st.text(max_size=40), st.text(max_size=20))
def test_it_judges_any_line_of_a_server(local: str, domain: str) -> None:
    reason = address.refusal(f"{local}@{domain}")
    assert reason is None or reason
    assert reason is not None or SAFE.fullmatch(f"{local}@{domain}")


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,20}[A-Za-z0-9]", fullmatch=True),
    st.sampled_from(["example.com", "BÜCHER.example"]),
)
def test_it_is_idempotent_and_its_own_result_is_acceptable(local: str, domain: str) -> None:
    if ".." in local:
        return
    stored = address.normalise(f"{local}@{domain}")
    assert address.normalise(stored) == stored
    assert address.refusal(stored) is None
    assert SAFE.fullmatch(stored)
    assert address.normalise(address.readable(stored)) == stored


@given(st.text(), st.integers(min_value=1, max_value=100))
def test_it_shortens_anything_to_something_printable(text: str, width: int) -> None:
    shown = address.shorten(text, width)
    assert len(shown) <= width
    assert shown.isprintable()
    shown.encode()
