"""Every text on the screen is known in every language, with the same values in it."""

import ast
import re
from pathlib import Path

import pytest

from provision.config import Settings
from webui import entry, operators, policy, servers, tokens, ui
from webui.i18n import catalogue

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("webui/*.py"), *ROOT.glob("pages/*.py")])


def said(path: Path) -> list[tuple[int, str | None]]:
    """Line and text of each `_(…)`; None where it is no literal."""
    calls = [
        node for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_"
    ]  # fmt: skip
    first = [(call.lineno, call.args[0]) for call in calls]
    return [(line, arg.value if isinstance(arg, ast.Constant) else None) for line, arg in first]


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
        *ui.ERROR_HEADINGS.values(),
        *servers.STATES,
        *operators.STATES,
        *tokens.STATES,
        *tokens.LIVES.values(),
    ]
    assert [text for text in words if text not in catalogue()] == []
    assert [text for text in rules if text not in catalogue()] == []


def test_translations_keep_the_values() -> None:
    for english, others in catalogue().items():
        names = sorted(re.findall(r"{(\w+)}", english))
        assert all(other.strip() for other in others), english
        assert [sorted(re.findall(r"{(\w+)}", other)) for other in others] == [names, names], english
