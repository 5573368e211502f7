"""Naughty strings typed into every field of every form, over the websocket of a running server."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.attack.naughty import hard
from tests.attack.tab import Tab, tab
from tests.e2e.site import Site, token_of

TEXTS = hard(4)
# Page and query → the button that opens the form, what is in its other fields, and its last button.
FORMS: list[tuple[str, str, str, dict[str, str], str]] = [
    ("mailboxes", "", "Create mailbox", {"Address": "typed@example.com"}, "Create"),
    ("aliases", "", "Add alias", {"Alias": "typed@example.com", "Goes to": "x@elsewhere.net"}, "Add"),
    ("domains", "", "Add domain", {"Domain": "typed.example.com"}, "Add"),
    ("settings", "", "Add mail server", {"Name": "typed"}, "Add"),
    ("settings", "st_part=operators", "Add operator", {"User name": "typed"}, "Add"),
    ("settings", "st_part=tokens", "Make API token", {"Name": "typed"}, "Make"),
    ("mailboxes", "", "Change password", {"Old password": "x"}, "Change password"),
]


@pytest.fixture
def alice(site: Site) -> Iterator[Tab]:
    with tab(site.url, token_of(site.app, "alice")) as found:
        yield found


def fields(mine: Tab, fragment: bool) -> list[str]:
    """Labels of what can be typed into: in the dialog, or on the page."""
    kinds = ("TextInput", "TextArea")
    found = [
        n for n, part in mine.parts.items() if type(part).__name__ in kinds and bool(mine.fragments[n]) == fragment
    ]
    return [mine.parts[name].label for name in found]


def check(mine: Tab, what: object) -> None:
    assert "Something went wrong" not in mine.said, (what, mine.said)
    assert b"Traceback" not in mine.raw, what


@pytest.mark.parametrize(
    ("page", "query", "opens", "others", "sends"), FORMS, ids=lambda part: part if isinstance(part, str) else ""
)
def test_a_form_refuses_or_takes_it_with_a_sentence(
    alice: Tab, page: str, query: str, opens: str, others: dict[str, str], sends: str
) -> None:
    alice.open(page, query)
    alice.press(opens)
    labels = fields(alice, fragment=True)
    assert set(others) <= set(labels)
    for label in labels:
        for text in TEXTS:
            alice.open(page, query)
            alice.press(opens)
            for name, value in {**others, label: text}.items():
                alice.fill(name, value)
            alice.press(next((name for name in (sends, f"{sends} …") if name in alice.labels), "Save"))
            check(alice, (label, text))
            if "Close" in alice.labels:  # the one-time password, over everything else until then
                alice.press("Close")


@pytest.mark.parametrize("page", ["mailboxes", "aliases", "domains", "logs", "sync"])
def test_a_filter_takes_anything(alice: Tab, page: str) -> None:
    alice.open(page, "sy_part=compare" if page == "sync" else "")
    labels = fields(alice, fragment=False)
    assert labels
    for label in labels:
        for text in TEXTS:
            alice.fill(label, text)
            alice.run()
            check(alice, (label, text))


@pytest.mark.parametrize(
    "name",
    [
        "mb_q",
        "mb_domain",
        "mb_open",
        "mb_page",
        "mb_sort",
        "al_q",
        "sy_server",
        "sy_part",
        "lg_days",
        "st_part",
        "language",
    ],
)
def test_an_address_may_say_anything(alice: Tab, name: str) -> None:
    pages = {"al": "aliases", "sy": "sync", "lg": "logs", "st": "settings"}
    for text in TEXTS:
        alice.open(pages.get(name[:2], "mailboxes"), f"{name}={quote(text, safe='')}")
        check(alice, (name, text))


def test_the_sign_in_takes_anything(site: Site) -> None:
    with tab(site.url) as stranger:
        for text in TEXTS[:5]:
            stranger.open()
            stranger.fill("User name", text)
            stranger.fill("Password", text)
            stranger.press("Sign in")
            check(stranger, text)
            assert not stranger.sent_away_to
