"""A Secret gives itself away by `reveal()` only."""

import copy
import json
import logging
import pickle
from collections.abc import Callable

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from provision.core.secret import Secret
from provision.core.state import CreateMailbox, MailboxState, SetPassword

WORD = "Correct-Horse-1"


def test_it_gives_the_value_when_asked() -> None:
    assert Secret(WORD).reveal() == WORD


@pytest.mark.parametrize("shown", [str, repr, "{}".format, "{!r}".format, "%s".__mod__, "%r".__mod__, format])
def test_it_shows_stars(shown: Callable[[object], str]) -> None:
    assert shown(Secret(WORD)) == "***"


def test_it_refuses_a_format_that_would_need_the_value() -> None:
    with pytest.raises(TypeError):
        f"{Secret(WORD):>20}"


def test_it_hides_inside_changes_and_states() -> None:
    for value in (
        CreateMailbox("a@x.io", Secret(WORD)),
        SetPassword("a@x.io", Secret(WORD)),
        MailboxState(Secret(WORD)),
    ):
        assert WORD not in repr(value)


def test_it_is_no_json() -> None:
    with pytest.raises(TypeError):
        json.dumps({"password": Secret(WORD)})


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_never_pickled_or_copied_by_machinery(way: Callable[[object], object]) -> None:
    with pytest.raises(TypeError):
        way(Secret(WORD))


def test_it_hides_in_logs(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("test").warning("new password %s", Secret(WORD))
    structlog.get_logger().warning("new password", password=Secret(WORD))
    assert WORD not in caplog.text + capsys.readouterr().out


def test_it_has_no_dict_a_debugger_could_print() -> None:
    assert not hasattr(Secret(WORD), "__dict__")


@given(st.text(), st.text())
def test_it_equals_a_secret_of_the_same_value_only(one: str, other: str) -> None:
    assert Secret(one) == Secret(one)
    assert hash(Secret(one)) == hash(Secret(one))
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) != one
