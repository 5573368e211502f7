"""A choice made while a timed fragment ends is what the page shows. Two script threads of one session would lose it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.attack.tab import Tab, tab
from tests.e2e.site import Site, serve, token_of

SLOWED = Path(__file__).parent / "slowed"
SHOWS = {"Waiting": "waiting", "Compare": "Preview reads the mail server"}
TRIES = 20


@pytest.fixture
def slow_site(tmp_path: Path) -> Iterator[Site]:
    """Where the moment in which a click could be lost is long enough to be met."""
    with serve(tmp_path, PYTHONPATH=f"{SLOWED}:.") as running:
        yield running


@pytest.mark.parametrize("timer_first", [True, False])
def test_a_choice_beside_a_timed_fragment_is_not_lost(slow_site: Site, timer_first: bool) -> None:
    lost = []
    with tab(slow_site.url, token_of(slow_site.app, "alice")) as alice:
        alice.open("sync")
        choice = next(name for name, part in alice.parts.items() if "Compare" in getattr(part, "options", ()))
        for number in range(TRIES):
            chosen = ("Compare", "Waiting")[number % 2]
            if timer_first:
                ask_for_timed_fragment(alice)
                time.sleep(0.02 + 0.002 * (number % 10))
            alice.held[choice] = chosen
            alice.ask()
            if not timer_first:
                time.sleep(0.02 * number)
                ask_for_timed_fragment(alice)
            alice.wait(ForwardMsg.FINISHED_SUCCESSFULLY)  # of the page, not of the fragment
            if not any(SHOWS[chosen] in words for words in alice.words):
                lost.append((number, chosen))
    assert lost == []


def test_a_page_after_a_dialog_is_not_drawn_within_it(slow_site: Site) -> None:
    """The thread that has run the dialog may run the page next, and must not go on where it was."""
    with tab(slow_site.url, token_of(slow_site.app, "alice")) as alice:
        alice.open("mailboxes")
        usual_place = alice.heading_place
        places = []
        for number in range(TRIES):
            alice.press("Create mailbox")
            alice.ask(fragment=alice.fragments[alice.find("Address")])
            time.sleep(0.01 + 0.005 * (number % 10))
            alice.ask()
            alice.wait(ForwardMsg.FINISHED_SUCCESSFULLY)
            places.append(alice.heading_place)
        assert set(places) == {usual_place}


def ask_for_timed_fragment(alice: Tab) -> None:
    """With what the browser held when its timer went off."""
    alice.ask(fragment=alice.timers[-1], timer=True)
