"""Who gets in, and what they then see."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from provision.app import Postroom
from tests.ui.conftest import ROOT, SYSTEM, dashboard, token_of
from webui.http.sessions import TEST_TOKEN

PAGES = sorted(ROOT.glob("pages/*.py"))
Open = Callable[..., AppTest]


def written(test: AppTest) -> list[str]:
    """Everything a page shows to read or to press."""
    kinds = (
        "title",
        "subheader",
        "markdown",
        "caption",
        "metric",
        "dataframe",
        "button",
        "text_input",
        "selectbox",
        "code",
    )
    return [str(element.value) for kind in kinds for element in test.get(kind)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_run_alone_by_a_stranger_shows_nothing(company: Postroom, path: Path) -> None:
    test = AppTest.from_file(str(path), default_timeout=30).run()
    assert written(test) == []
    assert [info.value for info in test.info] == ["Please sign in."]
    assert not test.exception


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_first_statement_of_a_page_is_the_gate(path: Path) -> None:
    lines = [
        line
        for line in path.read_text().splitlines()
        if line and not line.startswith(("import", "from", '"', "#", " ", ")"))
    ]
    assert lines[0].startswith("who = ui.signed_in("), lines[0]


def test_a_stranger_sees_the_sign_in_only(company: Postroom) -> None:
    test = dashboard().run()
    assert [title.value for title in test.title] == ["Postroom"]
    assert [field.label for field in test.text_input] == ["User name", "Password"]
    with pytest.raises(ValueError, match="pages"):
        test.switch_page(str(ROOT / "pages" / "logs.py"))


def test_who_guesses_is_told_to_wait(own_company: Postroom) -> None:
    said = []
    for _try in range(6):
        test = dashboard().run()
        for field, text in zip(test.text_input, ("dora", "Wrong-Horse-1"), strict=True):
            field.set_value(text)
        test.button[0].click().run()
        said += [error.value for error in test.error]
    assert said == ["The user name or the password is wrong."] * 5 + [
        "Too many failed sign-ins. Try again in 15 minutes."
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_each_page_opens_for_a_super_admin(company: Postroom, open_as: Open, path: Path) -> None:
    test = open_as(company, "alice", path.stem)
    assert len(test.title) == 1
    assert not test.exception
    assert not test.error


@pytest.mark.parametrize("name", ["dora", "vera"])
def test_settings_do_not_exist_for_others(company: Postroom, open_as: Open, name: str) -> None:
    test = open_as(company, name)
    assert [title.value for title in test.title] == ["Overview"]
    with pytest.raises(ValueError, match="pages"):
        test.switch_page(str(ROOT / "pages" / "settings.py"))


def test_dashboard_py_runs_as_a_script_too(company: Postroom) -> None:
    test = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=30).run()
    assert [title.value for title in test.title] == ["Postroom"]


def test_a_page_asks_for_the_role_itself(company: Postroom) -> None:
    test = AppTest.from_file(str(ROOT / "pages" / "settings.py"), default_timeout=30)
    test.session_state[TEST_TOKEN] = token_of(company, "vera")
    test.run()
    assert [error.value for error in test.error] == ["Your role does not allow this."]
    assert written(test) == []


def test_a_domain_admin_sees_their_domain(company: Postroom, open_as: Open) -> None:
    test = open_as(company, "dora")
    shown = " ".join(frame.value.to_string() for frame in test.dataframe)
    assert "sales.example.com" not in shown
    assert "example.com" in shown


def test_a_revoked_session_ends_at_the_next_click(own_company: Postroom, open_as: Open) -> None:
    test = open_as(own_company, "vera")
    uid = next(r["uid"] for r in own_company.queries.operators(SYSTEM) if r["username"] == "vera")
    own_company.services.operators.end_sessions(SYSTEM, uid)
    test.run()
    assert [title.value for title in test.title] == ["Postroom"]


def test_the_language_is_the_browsers_until_another_is_chosen(company: Postroom) -> None:
    test = dashboard()
    test.context["locale"] = "ja-JP"
    test.run()
    assert test.text_input[0].label == "ユーザー名"
    test.selectbox[0].set_value("zh").run()
    assert test.text_input[0].label == "用户名"


def test_the_chosen_language_is_remembered(own_company: Postroom, open_as: Open) -> None:
    open_as(own_company, "alice").selectbox(key="language").set_value("ja").run()
    assert [title.value for title in open_as(own_company, "alice").title] == ["概要"]


def test_a_fault_is_a_sentence_with_a_number(company: Postroom, open_as: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(company.queries), "counts", lambda self, actor: 1 / 0)
    test = open_as(company, "alice")
    assert [error.value[:26] for error in test.error] == ["Something went wrong here."]
    assert not test.exception
    assert "ZeroDivision" not in str(test.main)
