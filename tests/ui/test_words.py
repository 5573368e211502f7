"""Pages speak the reader's language: what is counted, and what the product says of its errors."""

import ast
import re
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from provision.core.errors import UnsafePlan
from webui.kit import i18n, problems

ROOT = Path(__file__).resolve().parents[2]


LANGUAGES = [code for code in i18n.LANGUAGES if code != "en"]


def test_the_languages_are_the_folders_of_the_catalogue() -> None:
    assert i18n.LANGUAGES == {
        "en": "English",
        "de": "Deutsch",
        "fr": "Français",
        "ja": "日本語",
        "zh": "中文",
    }


def amounts() -> None:
    import streamlit as st

    from webui.kit.i18n import counted

    st.text(" | ".join(counted(n, "{n} mailbox", "{n} mailboxes") for n in (0, 1, 2000)))


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "0 mailboxes | 1 mailbox | 2,000 mailboxes"),
        ("ja", "0 件のメールボックス | 1 件のメールボックス | 2,000 件のメールボックス"),
        ("zh", "0 个邮箱 | 1 个邮箱 | 2,000 个邮箱"),
        ("de", "0 Mailboxen | 1 Mailbox | 2.000 Mailboxen"),
        ("fr", "0 boîte mail | 1 boîte mail | 2\u202f000 boîtes mail"),
    ],
)
def test_one_is_not_many(language: str, said: str) -> None:
    test = AppTest.from_function(amounts, default_timeout=20)
    test.session_state[i18n.STATE] = language
    assert test.run().text[0].value == said


def codes() -> set[str]:
    """The codes of errors as they stand in the product; the command line's own never come to a page."""
    found: set[str] = set()
    for path in [p for p in ROOT.glob("provision/**/*.py") if "cli" not in p.parts]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any("Error" in ast.unparse(base) for base in node.bases):
                given = [
                    s.value for s in node.body if isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == "code"
                ]
            elif isinstance(node, ast.Call):
                given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                given += node.args[2:3] if ast.unparse(node.func) == "RowError" else []
            else:
                continue
            found |= {str(value.value) for value in given if isinstance(value, ast.Constant) and value.value}
    return found


def test_each_error_has_a_heading_in_every_language() -> None:
    of_rows = {"COMMAND_FAILED", "SYNC_CONFLICT", "MAILBOX_GONE", "KEY_UNUSABLE"}
    made = {f"{what}_NOT_FOUND" for what in ("MAILBOX", "ALIAS", "DOMAIN", "SERVER", "OPERATOR")}
    assert len(codes()) > 40
    assert (codes() | of_rows | made) - set(problems.HEADINGS) == set()


# ---- sentences of the product --------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_sentence_is_found_again_with_its_values(language: str) -> None:
    """As it comes out of the database or an error; the same shape in another sentence would show the wrong one."""
    wrong = []
    for _shape, template in problems.shapes(language):
        names = range(1 + max(map(int, re.findall(r"{(\d+)}", template))))
        given = [f"<{name}>" for name in names]
        wanted = i18n.say(template, language).format(*given)
        if problems._translated(template.format(*given), language) != wanted:
            wrong.append(template)
    assert wrong == []


@pytest.mark.parametrize(
    ("message", "german"),
    [
        ("The operator mallory is disabled.", "Der Operator mallory ist deaktiviert."),
        ("“a b” cannot be used: it has no @.", "„a b“ ist nicht verwendbar: sie hat kein @."),
        (
            "One container must have the label a=b; there is none.",
            "Genau ein Container muss das Label a=b haben; es gibt keinen.",
        ),
        (
            "The container dms is paused; continue it with: docker unpause dms",
            "Der Container dms ist pausiert; setzen Sie ihn fort mit: docker unpause dms",
        ),
        ("Mailboxes", "Mailboxen"),
        ("What nobody has ever said.", "What nobody has ever said."),
    ],
)
def test_a_sentence_is_translated_with_what_is_in_it(message: str, german: str) -> None:
    assert problems._translated(message, "de") == german
    assert problems._translated(message, "en") == message


def test_a_value_is_not_mistaken_for_a_text() -> None:
    assert (
        problems._translated("There is no mail server called Sync.", "de") == "Es gibt keinen Mailserver namens Sync."
    )


def test_an_unsafe_plan_is_translated_with_its_advice() -> None:
    facts = "Of 1,200 entries that should be on the mail server, 1,100 are missing there and 0 would be deleted."
    for message in (facts, UnsafePlan(facts).message):
        assert problems._translated(message, "de").startswith(
            "Von 1,200 Einträgen, die auf dem Mailserver sein sollten"
        )
    assert "Nothing" not in problems._translated(UnsafePlan(facts).message, "de")


def test_no_text_takes_long_to_look_for() -> None:
    started = time.perf_counter()
    for text in (": " * 500, "(" * 1_000, "“" + "” cannot be used: " * 50, "a b; " * 200 + ".", "x" * 1_000 + "\n"):
        problems._translated(text, "ja")
    assert time.perf_counter() - started < 2


def shown_error() -> None:
    from provision.core.errors import InvalidInput
    from webui.kit import ui

    ui.show_error(InvalidInput("A user name has letters, digits and . _ - @ only."))
    ui.show_error(InvalidInput("What nobody has ever said."))


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["A user name has letters", "What nobody has ever said"]),
        ("de", ["Ein Benutzername besteht", "Das ist nicht verwendbar: What nobody"]),
        ("ja", ["ユーザー名に使えるのは", "入力内容を使用できません"]),
    ],
)
def test_an_error_is_shown_in_the_readers_language(language: str, said: list[str]) -> None:
    test = AppTest.from_function(shown_error, default_timeout=20)
    test.session_state[i18n.STATE] = language
    shown = [error.value.replace("\\", "") for error in test.run().error]
    assert [text[: len(start)] for text, start in zip(shown, said, strict=True)] == said
