"""What can be seen, and what is the same."""

import unicodedata

import pytest

from provision.core.errors import InvalidInput, WeakPassword
from provision.core.letters import folded, invisible, is_blank, normal
from provision.core.passwords import check_password
from provision.core.secret import Secret
from provision.services.checks import check_description, check_display_name, check_name
from tests.conftest import STANDARD

NAMES = ["田中　花子", "Jean\u00a0Dupont", "علی\u200cرضا", "👩\u200d💻 Dev", "क्\u200dष", "Zoë", "a\u2003b", "№ 5 ☎️"]
HIDDEN = [
    "\x07",
    "\t",
    "\n",
    "\x85",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\u2028",
    "\u2029",
    "\u00ad",
    "\ue000",
    "\ud800",
    "\u0378",
]


@pytest.mark.parametrize("name", NAMES)
def test_what_people_are_called_can_be_seen(name: str) -> None:
    assert check_display_name(name) == name
    assert check_description(name) == name
    assert check_name(name, 80) == name


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_nobody_can_see_is_named(hidden: str) -> None:
    number = f"U+{ord(hidden):04X}"
    for check in (check_display_name, check_description, lambda text: check_name(text, 80)):
        with pytest.raises(InvalidInput) as caught:
            check(f"Anna{hidden}Abe")
        assert number in caught.value.message
    assert (invisible(f"a{hidden}") or "").startswith(number)


def test_a_bidi_override_is_called_by_its_name() -> None:
    assert invisible("a\u202eb") == "U+202E RIGHT-TO-LEFT OVERRIDE"


@pytest.mark.parametrize("text", ["\u200d", "\u200c\u200d", "\u3000\u200d"])
def test_a_name_of_nothing_to_see_is_no_name(text: str) -> None:
    assert is_blank(text)
    with pytest.raises(InvalidInput):
        check_name(text, 80)
    with pytest.raises(InvalidInput):
        check_display_name(text)
    assert check_display_name("\u3000") == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller", unicodedata.normalize("NFD", "müller")),
        ("ＭÜＬＬＥＲ", "müller"),
        ("ｱｲｳ", "アイウ"),
        ("İstanbul", "istanbul"),
        ("İSTANBUL", "i̇stanbul"),
        ("Straße", "STRASSE"),
        ("田中　花子", "田中 花子"),
        ("علی\u200cرضا", "علیرضا"),
        ("ﬁscher", "Fischer"),
    ],
)
def test_the_same_word_is_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)
    assert folded(folded(one)) == folded(one)


def test_a_password_is_kept_in_one_form() -> None:
    composed = Secret("Zürich-Ärger-1")
    assert check_password(Secret(unicodedata.normalize("NFD", composed.reveal())), STANDARD) == composed
    assert check_password(composed, STANDARD) == composed
    assert check_password(Secret("Ｃorrect-Horse-１"), STANDARD) == Secret("Correct-Horse-1")
    assert check_password(Secret("Two\u3000Words-1"), STANDARD).reveal() == normal("Two\u3000Words-1") == "Two Words-1"
    for hidden in ("\u202e", "\x07", "\u200b"):
        with pytest.raises(WeakPassword, match="invisible"):
            check_password(Secret(f"Correct-{hidden}Horse-1"), STANDARD)
