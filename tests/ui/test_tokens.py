"""API tokens on the settings page: who sees them, and what is shown."""

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from provision.app import Postroom
from tests.ui.conftest import SYSTEM

Open = Callable[..., AppTest]


def tokens_part(company: Postroom, open_as: Open) -> AppTest:
    page = open_as(company, "alice", "settings")
    return page.radio(key="st_part").set_value("tokens").run()


def test_the_list_shows_what_a_token_may_and_never_the_token(own_company: Postroom, open_as: Open) -> None:
    _row, token = own_company.services.tokens.create(SYSTEM, "billing", ["mailbox:write"])
    page = tokens_part(own_company, open_as)
    assert not page.exception
    (shown,) = [frame.value for frame in page.dataframe]
    assert list(shown["name"]) == ["billing"]
    assert list(shown["scopes"]) == ["mailbox:write"]
    assert token.reveal() not in str(shown.to_dict())


def test_without_tokens_it_says_what_they_are_for(own_company: Postroom, open_as: Open) -> None:
    page = tokens_part(own_company, open_as)
    assert any("No token yet" in text.value for text in page.markdown)
    assert "Make API token" in {button.label for button in page.button}
