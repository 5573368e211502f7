"""The settings page: its parts by link, and what the list of operators says."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from provision.app import Postroom
from provision.core.access import Role
from provision.core.traits import Traits
from provision.services.new_mailbox import NewMailbox
from tests.conftest import HASH
from tests.servers.made_up import API_KEY, KIND, made_up
from tests.ui.conftest import SYSTEM

Open = Callable[..., AppTest]


def operators_part(company: Postroom, open_as: Open) -> AppTest:
    page = open_as(company, "alice", "settings")
    return page.radio(key="st_part").set_value("operators").run()


def test_the_link_to_a_part_holds_no_word_of_the_screen(company: Postroom, open_as: Open) -> None:
    page = operators_part(company, open_as)
    assert page.query_params["st_part"] == "operators"
    page.radio(key="st_part").set_value("servers").run()
    assert "st_part" not in page.query_params


def test_a_domain_admin_without_domains_has_none_and_a_viewer_has_all(own_company: Postroom, open_as: Open) -> None:
    own_company.services.operators.create(SYSTEM, "dirk", Role.DOMAIN_ADMIN)
    page = operators_part(own_company, open_as)
    domains = page.dataframe[0].value.set_index("username")["domains"]
    assert domains[["dirk", "vera", "alice", "dora"]].tolist() == ["none", "all", "all", "example.com"]


def fields() -> None:
    import streamlit as st

    from tests.servers.made_up import SETTINGS
    from webui.settings import servers

    st.session_state["sent"] = servers._fields(SETTINGS, st.session_state["values"], "form")


@pytest.mark.parametrize(
    ("values", "typed", "sent"),
    [
        ({}, API_KEY, API_KEY),
        ({"url": "https://made.up", "api_key": "***"}, "", "***"),
        ({"url": "https://made.up", "api_key": "***"}, "New-key", "New-key"),
    ],
)
def test_a_secret_setting_is_typed_and_never_shown(values: dict[str, str], typed: str, sent: str) -> None:
    test = AppTest.from_function(fields, default_timeout=20)
    test.session_state["values"] = values
    test.run()
    assert [field.value for field in test.text_input] == [values.get("url", ""), "", "here"]
    assert test.text_input[1].proto.type == test.text_input[1].proto.PASSWORD
    assert bool(test.text_input[1].placeholder) is bool(values)
    test.text_input[1].set_value(typed).run()
    assert test.session_state["sent"]["api_key"] == sent


@pytest.mark.parametrize(
    ("name", "page"), [("alice", "settings"), ("alice", "logs"), ("vera", "logs"), ("vera", "sync")]
)
def test_no_page_holds_a_secret_setting(own_company: Postroom, open_as: Open, name: str, page: str) -> None:
    with made_up(Traits()) as remote:
        settings = {"url": "https://made.up", "api_key": API_KEY}
        row = own_company.services.servers.create(SYSTEM, "far", KIND, settings)
        remote.key = "changed"  # the driver quotes what was refused
        own_company.sync.probe(row.id)
        own_company.services.domains.create(SYSTEM, "far.example", "far")
        own_company.services.mailboxes.create(SYSTEM, NewMailbox("anna@far.example", password_hash=HASH))
        shown = open_as(own_company, name, page)
        texts = [*shown.main, *(frame.value.to_string() for frame in shown.dataframe)]
        assert "far" in "".join(map(str, texts))
        assert API_KEY not in "".join(map(str, texts))
