"""The aliases page without a browser: what each role sees, filters, what is typed as destinations."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from provision.app import Postroom
from provision.core.errors import AccessDenied
from provision.queries import LogFilter
from tests.batches import note_batches
from tests.ui.conftest import SYSTEM, token_of
from webui.aliases import parts
from webui.http.sessions import TEST_TOKEN

Open = Callable[..., AppTest]
ACTIONS = {"Add alias", "Import CSV", "Edit", "Owner", "Retry", "Delete"}


def actions(test: AppTest) -> set[str]:
    return {button.label for button in test.button} & ACTIONS


def listed(test: AppTest) -> list[str]:
    return list(test.dataframe[0].value["address"])


def test_aliases_are_listed_by_owner_and_those_without_one_last(company: Postroom, open_as: Open) -> None:
    test = open_as(company, "alice", "aliases")
    owners = list(test.dataframe[0].value["mailbox"])
    known = [owner for owner in owners if isinstance(owner, str)]
    assert len(known) == 4
    assert owners[:4] == sorted(known)
    assert "@sales.example.com  (catch-all)" in listed(test)
    assert actions(test) == ACTIONS


def test_the_search_finds_aliases_and_destinations(company: Postroom, open_as: Open) -> None:
    test = open_as(company, "alice", "aliases")
    test.text_input(key="al_q").set_value("partner.example.net").run()
    assert listed(test) == ["orders@sales.example.com"]
    test.text_input(key="al_q").set_value("nothing like it").run()
    assert not test.dataframe
    assert any("Widen the filters" in text.value for text in test.markdown)


def test_the_filter_by_domain(company: Postroom, open_as: Open) -> None:
    test = open_as(company, "alice", "aliases")
    test.selectbox(key="al_domain").set_value("sales.example.com").run()
    assert sorted(listed(test)) == ["@sales.example.com  (catch-all)", "orders@sales.example.com"]


def test_a_viewer_sees_no_actions(company: Postroom, open_as: Open) -> None:
    test = open_as(company, "vera", "aliases")
    assert listed(test)
    assert actions(test) == set()


def test_a_domain_admin_sees_the_aliases_of_their_domain(company: Postroom, open_as: Open) -> None:
    assert all(name.endswith("@example.com") for name in listed(open_as(company, "dora", "aliases")))


def test_a_foreign_domain_admin_is_denied_and_recorded(own_company: Postroom) -> None:
    row = next(row for row in own_company.queries.operators(SYSTEM) if row["username"] == "dora")
    token = own_company.sign_in.open_session(row["uid"], "192.0.2.7")
    dora = own_company.sign_in.current(token, "192.0.2.7")
    assert dora
    foreign = own_company.queries.alias_by_address(SYSTEM, "orders@sales.example.com")
    with pytest.raises(AccessDenied):
        own_company.services.aliases.delete_many(dora.actor, [foreign.uid])
    (record,) = own_company.queries.logs(SYSTEM, LogFilter(operator="dora")).rows[:1]
    assert (record["operation"], record["status"], record["error"]) == (
        "alias.delete",
        "FAILED",
        "INSUFFICIENT_PERMISSION",
    )
    assert own_company.queries.alias_by_address(SYSTEM, "orders@sales.example.com").removing is False


@pytest.mark.parametrize(
    "text", ["a@x.example\nb@x.example", "a@x.example, b@x.example", " a@x.example;b@x.example ,\n"]
)
def test_destinations_come_by_line_or_comma(text: str) -> None:
    assert parts.split(text) == ["a@x.example", "b@x.example"]


def test_several_aliases_go_in_one_batch(own_company: Postroom) -> None:
    batches = note_batches(own_company)
    uids = [row["uid"] for row in own_company.queries.aliases(SYSTEM, domain="example.com").rows]
    assert own_company.services.aliases.delete_many(SYSTEM, uids) == 5
    assert batches == [5]
    assert own_company.queries.aliases(SYSTEM, domain="example.com").total == 0


def importing() -> None:
    import streamlit as st

    from webui.aliases import csv_import
    from webui.kit import ui

    st.session_state[ui.OPENED] = 0
    csv_import.import_dialog()


def test_aliases_are_imported_from_a_file_after_a_look(own_company: Postroom) -> None:
    test = AppTest.from_function(importing, default_timeout=30)
    test.session_state[TEST_TOKEN] = token_of(own_company, "alice")
    test.run()
    data = b"alias,destinations\nall@sales.example.com,x@example.net;y@example.net\nnonsense,x@example.net\n"
    test.file_uploader[0].set_value(("aliases.csv", data, "text/csv")).run()
    assert not test.exception
    refused, planned = (table.value for table in test.dataframe)
    assert (list(refused["row"]), list(planned["destinations"])) == ([3], ["x@example.net, y@example.net"])
    next(button for button in test.button if button.label == "Import 1 alias").click().run()
    assert not test.error
    (made,) = own_company.queries.aliases(SYSTEM, search="all@sales.example.com").rows
    assert made["destinations"] == ["x@example.net", "y@example.net"]
