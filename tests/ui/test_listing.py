"""Lists: pages, links, and a selection that never leaks to other rows."""

from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from provision.queries import Page
from webui.kit.listing import Listing


def rows(start: int) -> list[dict[str, object]]:
    return [{"uid": UUID(int=i), "address": f"a{i}@example.com"} for i in range(start, start + 3)]


def test_the_tables_key_changes_with_the_rows_shown() -> None:
    listing = Listing("xx")
    keys = {listing._table_key(rows(start)) for start in (0, 1, 50)}
    assert len(keys) == 3
    assert listing._table_key(rows(0)) in keys
    before = listing._table_key(rows(0))
    listing.clear_selection()
    assert listing._table_key(rows(0)) != before


def script() -> None:
    import streamlit as st

    from provision.queries import Page
    from provision.storage.models import SyncStatus
    from webui.kit.listing import Listing

    listing = Listing("xx", size=10)
    text = listing.search("Search")
    status = listing.choice("status", "Status", list(SyncStatus))
    shown = Page([], 95, min(listing.number, 10), 10)
    listing.pages(shown, "95 things")
    st.write(f"{text}|{status}|{listing.number}")


def shown(**query: str) -> str:
    test = AppTest.from_function(script, default_timeout=20)
    for name, value in query.items():
        test.query_params[name] = value
    return str(test.run().markdown[0].value)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "|None|1"),
        ({"xx_q": "anna", "xx_page": "3"}, "anna|None|3"),
        ({"xx_status": "FAILED"}, "|FAILED|1"),
        ({"xx_status": "nonsense", "xx_page": "-4"}, "|None|1"),
        ({"xx_page": "９"}, "|None|9"),
    ],
)
def test_a_link_says_what_is_shown(query: dict[str, str], expected: str) -> None:
    assert shown(**query) == expected


def test_what_is_chosen_stands_in_the_address_as_it_is_stored() -> None:
    test = AppTest.from_function(script, default_timeout=20).run()
    assert dict(test.query_params) == {}
    test.selectbox(key="xx_status").set_value("FAILED").run()
    assert test.query_params["xx_status"] == "FAILED"
    test.selectbox(key="xx_status").set_value(None).run()
    assert "xx_status" not in test.query_params


def test_what_the_address_says_is_the_default_that_the_browser_is_told() -> None:
    """It goes back to the default where somebody clicks before it has noted the state (seen on a busy machine)."""
    test = AppTest.from_function(script, default_timeout=20)
    test.query_params["xx_status"] = "FAILED"
    for _draw in range(2):
        box = test.run().selectbox(key="xx_status")
        assert (box.proto.default, box.value) == (2, "FAILED")
    test.selectbox(key="xx_status").set_value("PENDING").run()
    assert test.query_params["xx_status"] == "PENDING"


def test_what_means_nothing_leaves_the_address() -> None:
    test = AppTest.from_function(script, default_timeout=20)
    test.query_params["xx_status"] = "nonsense"
    assert "xx_status" not in test.run().query_params


def test_a_page_knows_how_many_there_are() -> None:
    assert [Page([], total, 1, 50).pages for total in (0, 50, 51)] == [1, 1, 2]
