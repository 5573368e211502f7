"""The rules on the settings page, and the hints under the boxes in which passwords are typed."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from provision.app import Postroom
from provision.core.policy import NAMES
from provision.services.policy import Source
from tests.ui.conftest import SYSTEM, token_of
from webui.http.sessions import TEST_TOKEN
from webui.kit.i18n import STATE

Open = Callable[..., AppTest]


def rules_part(company: Postroom, open_as: Open, language: str = "en") -> AppTest:
    page = open_as(company, "alice", "settings")
    page.session_state[STATE] = language
    return page.radio(key="st_part").set_value("policy").run()


def press(page: AppTest, label: str) -> AppTest:
    (button,) = [button for button in page.button if button.label == label]
    return button.click().run()


def row(page: AppTest, number: int) -> dict[str, object]:
    return page.dataframe[0].value.iloc[number].to_dict()


def test_it_says_what_holds_and_where_it_comes_from(own_company: Postroom, open_as: Open) -> None:
    own_company.settings.retry_cap_seconds = 600
    own_company.services.policy.edit(SYSTEM, {"default_quota_mb": 2048, "enable_auto_import": True})
    page = rules_part(own_company, open_as)
    assert not page.exception
    assert row(page, 0) == {
        "rule": "Fewest characters of a password",
        "value": "8",
        "source": ["Default"],
        "default": "8",
        "variable": "POSTROOM_PASSWORD_MIN_LENGTH",
    }
    shown = {r["variable"]: (r["value"], r["source"], r["default"]) for r in (row(page, n) for n in range(len(NAMES)))}
    assert shown["POSTROOM_DEFAULT_QUOTA_MB"] == ("2 GB", ["Set here"], "1 GB")
    assert shown["POSTROOM_RETRY_CAP_SECONDS"] == ("600 s", ["Environment"], "600 s")
    assert shown["ENABLE_AUTO_IMPORT"] == ("on", ["Set here"], "off")


def script(name: str, stale: int) -> None:
    """The dialog alone, for a test's click runs the whole page again. `stale`: how many changes ago it was opened."""
    from dataclasses import replace

    import streamlit as st

    from webui.kit import ui
    from webui.settings import policy

    st.session_state[ui.OPENED] = 0  # the dialog of the run before goes on, it is not another one
    shown = ui.app().services.policy.show(ui.signed_in().actor)
    shown = replace(shown, version=shown.version - stale)
    policy.edit_dialog(shown) if name == "edit" else policy.reset_dialog(shown)


def opened(app: Postroom, name: str = "edit", *, who: str = "alice", stale: int = 0) -> AppTest:
    test = AppTest.from_function(script, args=(name, stale), default_timeout=30)
    test.session_state[TEST_TOKEN] = token_of(app, who)
    return test.run()


def test_an_admin_changes_rules_and_takes_one_back(own_company: Postroom) -> None:
    own_company.services.policy.edit(SYSTEM, {"max_attempts": 3})
    page = opened(own_company)
    page.number_input(key="st_rule_password_min_length").set_value(12)
    page.number_input(key="st_rule_max_attempts").set_value(None)
    page.number_input(key="st_rule_retry_base_seconds").set_value(2.5)
    page.selectbox(key="st_rule_enable_auto_import").set_value(True)
    press(page, "Save")
    assert not page.exception
    shown = own_company.services.policy.show(SYSTEM)
    assert {rule.name: rule.value for rule in shown.rules if rule.source is Source.SET} == {
        "password_min_length": 12,
        "retry_base_seconds": 2.5,
        "enable_auto_import": True,
    }
    record = own_company.queries.logs(SYSTEM).rows[0]
    assert (record["operator"], record["operation"]) == ("alice", "policy.edit")


def test_an_empty_field_tells_the_default(own_company: Postroom) -> None:
    own_company.services.policy.edit(SYSTEM, {"password_min_length": 12})
    page = opened(own_company)
    one, other = (page.number_input(key=f"st_rule_password_{name}_length") for name in ("min", "max"))
    assert (one.value, one.placeholder, one.min, one.max) == (12, "Default: 8", 8, 64)
    assert (other.value, other.placeholder) == (None, "Default: 32")


def test_what_makes_no_sense_is_a_sentence(own_company: Postroom) -> None:
    page = opened(own_company)
    page.number_input(key="st_rule_password_min_length").set_value(40)
    press(page, "Save")
    assert "more than password_max_length, which is 32" in page.error[0].value.replace("\\", "")
    assert own_company.services.policy.now().password_min_length == 8


def test_the_second_admin_is_told(own_company: Postroom) -> None:
    own_company.services.policy.edit(SYSTEM, {"password_min_length": 16})
    for name in ("edit", "reset"):
        page = opened(own_company, name, stale=1)
        if name == "edit":
            page.number_input(key="st_rule_password_min_length").set_value(10)
        press(page, "Save" if name == "edit" else "Back to defaults")
        assert "Somebody else has changed this" in page.error[0].value
        assert "16" in page.error[0].value
    assert own_company.services.policy.now().password_min_length == 16


def test_back_to_defaults_asks_first(own_company: Postroom, open_as: Open) -> None:
    page = rules_part(own_company, open_as)
    assert [b.disabled for b in page.button if b.label == "Back to defaults"] == [True]
    own_company.services.policy.edit(SYSTEM, {"password_min_length": 16})
    page = opened(own_company, "reset")
    assert any("Fewest characters of a password: 16 → 8" in text.value for text in page.markdown)
    assert own_company.services.policy.now().password_min_length == 16
    press(page, "Back to defaults")
    assert own_company.services.policy.now().password_min_length == 8


@pytest.mark.parametrize("name", ["edit", "reset"])
def test_only_a_super_admin_sees_the_dialogs(own_company: Postroom, name: str) -> None:
    page = opened(own_company, name, who="dora")
    assert "Your role does not allow this" in page.error[0].value
    assert {button.label for button in page.button} <= {"Close"}


@pytest.mark.parametrize(
    ("language", "words"), [("de", "12 bis 32 Zeichen"), ("ja", "12～32 文字"), ("zh", "12 至 32 个字符")]
)
def test_it_speaks_the_readers_language(own_company: Postroom, open_as: Open, language: str, words: str) -> None:
    own_company.services.policy.edit(SYSTEM, {"password_min_length": 12})
    page = rules_part(own_company, open_as, language)
    assert any(words in caption.value for caption in page.caption)


def test_the_standard_quota_is_shown_on_the_domains_page(own_company: Postroom, open_as: Open) -> None:
    own_company.services.policy.edit(SYSTEM, {"default_quota_mb": 3072})
    frame = open_as(own_company, "alice", "domains").dataframe[0].value.set_index("name")
    assert frame.loc["example.org", "default"] == "3 GB (standard)"


def test_the_hint_under_ones_own_password_tells_the_rules_in_force(own_company: Postroom, open_as: Open) -> None:
    own_company.services.policy.edit(SYSTEM, {"password_min_length": 14, "password_classes": 4})
    _row, _secret = own_company.services.operators.create(SYSTEM, "newcomer", "Viewer")
    page = open_as(own_company, "newcomer")
    assert any("14 to 32 characters, with 4 of" in caption.value for caption in page.caption)
