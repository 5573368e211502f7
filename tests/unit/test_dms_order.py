"""The order of lines against the plain statement of it: what grep finds first is the address's own line."""

import re

from hypothesis import given
from hypothesis import strategies as st

from provision.servers.dms.order import FEW, find_pairs, first_hit, own_line_first

MENTION = re.compile(r"[^\s:]+@[^\s:]+")
names = st.text("ab.-", min_size=1, max_size=5).filter(lambda name: name[0] != ".")  # as we allow them
addresses = st.builds("{}@{}".format, names, st.sampled_from(["x.io", "x-io", "x.io.uk", "b.x.io", "y.io"]))


def greps(key: str, text: str) -> bool:
    return re.search(re.escape(key).replace(r"\.", "."), text) is not None


def key_of(line: str) -> str:
    return "" if line.startswith("#") else line.partition(":")[0]


@given(st.sets(addresses, max_size=3 * FEW), st.sets(addresses, max_size=20))
def test_the_quick_search_finds_what_grep_finds(keys: set[str], texts: set[str]) -> None:
    found = list(find_pairs(keys, dict.fromkeys(texts, 0)))
    assert len(found) == len(set(found))
    assert set(found) == {(text, key) for text in texts for key in keys if greps(key, text)}


@given(st.lists(addresses, unique=True, max_size=30), st.lists(addresses, max_size=5), st.randoms())
def test_each_address_finds_its_own_line_first(entries: list[str], mentioned: list[str], random: object) -> None:
    lines = [f"{key}:1M" for key in entries] + [f"# {key}: by hand" for key in mentioned]
    random.shuffle(lines)  # type: ignore[attr-defined]
    ordered = own_line_first(lines, key_of, entries, MENTION)
    assert sorted(ordered) == sorted(lines)
    assert [first_hit(ordered, f"{key}:") for key in entries] == [f"{key}:1M" for key in entries]


@given(st.lists(addresses, unique=True, max_size=30), st.integers(0, 30))
def test_lines_that_may_not_move_keep_their_order(entries: list[str], movable_from: int) -> None:
    ordered = own_line_first(entries, str, entries[movable_from:], MENTION)
    stay = entries[:movable_from]
    assert [line for line in ordered if line in set(stay)] == stay


def test_lines_in_a_good_order_are_left_alone() -> None:
    lines = ["# all of x.io", "b@x.io:1M", "", "a@x.io:2M", "aa@x.io:3M"]
    assert own_line_first(lines, key_of, ["b@x.io", "a@x.io", "aa@x.io"], MENTION) == lines
