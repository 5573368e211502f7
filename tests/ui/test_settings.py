"""The settings page: its parts by link, and what the list of operators says."""

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from provision.app import Postroom
from provision.core.access import Role
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
    own_company.provisioner.create_operator(SYSTEM, "dirk", Role.DOMAIN_ADMIN)
    page = operators_part(own_company, open_as)
    domains = page.dataframe[0].value.set_index("username")["domains"]
    assert domains[["dirk", "vera", "alice", "dora"]].tolist() == ["none", "all", "all", "example.com"]
