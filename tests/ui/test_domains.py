"""The domains page without a browser."""

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from provision.app import Postroom
from tests.ui.conftest import SYSTEM
from webui.domains import parts

Open = Callable[..., AppTest]


def labels(test: AppTest) -> set[str]:
    return {button.label for button in test.button} & {"Add domain", "Edit", "Delete"}


def test_domains_show_users_quota_and_server(company: Postroom, open_as: Open) -> None:
    test = open_as(company, "alice", "domains")
    frame = test.dataframe[0].value.set_index("name")
    assert list(frame.index) == ["example.com", "example.org", "sales.example.com"]
    assert frame.loc["example.com", ["mailboxes", "quota", "default", "server", "description"]].tolist() == [
        "21",
        "42 GB",
        "2 GB",
        "headquarters",
        "Head office",
    ]
    assert frame.loc["example.org", "default"] == "1 GB (standard)"
    assert labels(test) == {"Add domain", "Edit", "Delete"}


def test_the_search_knows_names_and_descriptions(company: Postroom, open_as: Open) -> None:
    test = open_as(company, "alice", "domains")
    test.text_input(key="dm_q").set_value("branch").run()
    assert list(test.dataframe[0].value["name"]) == ["example.org"]


def test_viewers_and_domain_admins_change_nothing(company: Postroom, open_as: Open) -> None:
    assert labels(open_as(company, "vera", "domains")) == set()
    test = open_as(company, "dora", "domains")
    assert labels(test) == set()
    assert list(test.dataframe[0].value["name"]) == ["example.com"]


def test_a_name_in_its_own_script_is_readable_and_found(own_company: Postroom, open_as: Open) -> None:
    own_company.services.domains.create(SYSTEM, "bücher.example", "branch")
    test = open_as(own_company, "alice", "domains")
    assert "bücher.example" in list(test.dataframe[0].value["name"])
    rows = own_company.queries.domains(SYSTEM)
    assert [row["name"] for row in parts.page_of(rows, "büch", 1, 50).rows] == ["xn--bcher-kva.example"]


def test_the_default_quota_can_go_back_to_the_standard(own_company: Postroom) -> None:
    row = own_company.queries.domain_by_name(SYSTEM, "example.com")
    own_company.services.domains.edit(SYSTEM, row.uid, default_quota_bytes=-1)
    assert own_company.queries.domain_by_name(SYSTEM, "example.com").default_quota_bytes is None
