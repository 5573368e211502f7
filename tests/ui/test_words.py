"""Every text on the screen is known in every language, with the same values in it."""

import ast
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from provision.settings.config import Settings
from webui import entry
from webui.kit import format, problems
from webui.kit.i18n import STATE, catalogue
from webui.kit.texts import problems as texts_of_problems
from webui.settings import operators, policy, tokens

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("webui/**/*.py"), *ROOT.glob("pages/*.py")])


def said(path: Path) -> list[tuple[int, str | None]]:
    """Line and text of each `_(…)`, and of each `counted(n, one, many)` the plural; None where it is no literal."""
    place = {"_": 0, "counted": 2}
    texts = [
        (node.lineno, node.args[place[node.func.id]])
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in place
    ]
    return [(line, arg.value if isinstance(arg, ast.Constant) else None) for line, arg in texts]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_each_text_has_japanese_and_chinese(path: Path) -> None:
    texts = said(path)
    assert [line for line, text in texts if text is None] == [], "not a literal"
    assert [text for _, text in texts if text not in catalogue()] == []


def test_tables_of_texts_are_known_too() -> None:
    titles = [title for pages in entry.SECTIONS.values() for _name, title, *_rest in pages]
    rules = [f.description for name, f in Settings.model_fields.items() if name not in policy.UNSHOWN and f.description]
    words = [
        *titles,
        *filter(None, entry.SECTIONS),
        *problems.HEADINGS.values(),
        *format.SERVER_STATES,
        *operators.STATES,
        *tokens.STATES,
        *tokens.LIVES.values(),
        *policy.SOURCES.values(),
        *policy.GROUPS,
        *(label for labels in policy.GROUPS.values() for label in labels.values()),
    ]
    assert [text for text in words if text not in catalogue()] == []
    assert [text for text in rules if text not in catalogue()] == []


def test_translations_keep_the_values() -> None:
    for english, others in catalogue().items():
        names = sorted(re.findall(r"{(\w+)}", english))
        assert all(other.strip() for other in others), english
        assert [sorted(re.findall(r"{(\w+)}", other)) for other in others] == [names, names], english


def amounts() -> None:
    import streamlit as st

    from webui.kit.i18n import counted

    st.text(" | ".join(counted(n, "{n} mailbox", "{n} mailboxes") for n in (0, 1, 2000)))


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "0 mailboxes | 1 mailbox | 2,000 mailboxes"),
        ("ja", "0 件のメールボックス | 1 件のメールボックス | 2,000 件のメールボックス"),
    ],
)
def test_one_is_not_many(language: str, said: str) -> None:
    test = AppTest.from_function(amounts, default_timeout=20)
    test.session_state[STATE] = language
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


def test_translated_sentences_are_those_that_are_said() -> None:
    """A sentence that the product says in other words now would come in English, unseen."""
    sources = "".join(path.read_text() for path in ROOT.glob("provision/**/*.py"))
    whole = re.sub(r'"\s*\n?\s*f?"', "", sources)
    sentences = [text for text in texts_of_problems.TEXTS if text.endswith(".")]
    made = {f"This {what} does not exist any more." for what in ("mailbox", "alias", "domain")}
    assert [text for text in sentences if text not in whole and text not in made] == []
