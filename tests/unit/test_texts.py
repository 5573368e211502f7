"""Every text of the product is in the catalogue, and every language of the catalogue has all of them."""

import ast
import re
from collections.abc import Iterator

import pytest
from babel.messages import Catalog
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from scripts import texts

LANGUAGES = sorted(file.parent.parent.name for file in texts.LOCALE.glob("*/LC_MESSAGES/postroom.po"))
FORMS = {"de": 2, "fr": 2, "ja": 1, "zh": 1}
ADVICE = "scripts/texts brings webui/locale up to date"


def forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def messages(catalog: Catalog) -> Iterator[Message]:
    return (message for message in catalog if message.id)


def keys(catalog: Catalog) -> set[tuple[tuple[str, ...], str | None]]:
    return {(forms(message.id), message.context) for message in messages(catalog)}


def values(text: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", text))


def test_each_text_of_the_code_is_in_the_template() -> None:
    with texts.TEMPLATE.open("rb") as file:
        there = keys(read_po(file))
    wanted = keys(texts.extracted())
    assert (wanted - there, there - wanted) == (set(), set()), ADVICE


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_each_text_and_no_other(language: str) -> None:
    catalog = texts.read(language)
    assert keys(catalog) == keys(texts.extracted()), ADVICE
    assert not catalog.obsolete
    assert [message.id for message in messages(catalog) if message.fuzzy] == []
    assert [message.id for message in messages(catalog) if not all(map(str.strip, forms(message.string)))] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_values_of_the_text(language: str) -> None:
    for message in messages(texts.read(language)):
        wanted = values(forms(message.id)[-1])
        for form in forms(message.string):
            spared = {"n"} if message.pluralizable else set()  # “the only one”
            assert values(form) | spared == wanted | spared, message.id
        if wanted:
            filled = dict.fromkeys(wanted, "·")
            numbers = ["·"] * (1 + max((int(name) for name in wanted if name.isdigit()), default=-1))
            assert all(form.format(*numbers, **filled) for form in forms(message.string)), message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_counted_text_has_the_forms_of_its_language(language: str) -> None:
    catalog = texts.read(language)
    counted = [message for message in messages(catalog) if message.pluralizable]
    assert len(counted) > 20
    assert catalog.num_plurals == FORMS.get(language, catalog.num_plurals)
    assert {len(forms(message.string)) for message in counted} == {catalog.num_plurals}


def test_no_text_is_said_alone_and_counted() -> None:
    """gettext would find one of the two only."""
    alone = {message.id for message in messages(texts.extracted()) if isinstance(message.id, str)}
    counted = {message.id[0] for message in messages(texts.extracted()) if not isinstance(message.id, str)}
    assert alone & counted == set()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('_("Save")', [("Save", None)]),
        ('pgettext("noun", "Import")', [("Import", "noun")]),
        ('counted(3, "{n} row", "{n} rows")', [(("{n} row", "{n} rows"), None)]),
        ('HEADINGS = N_({"A": "One", "B": ("Two", f)})', [("One", None), ("Two", None)]),
        ('raise NotFound(f"{a.name} is in {place(b)!r}, {a.name}.")', [("{0} is in {1}, {0}.", None)]),
        ('raise NotFound("It is {name} {seconds:g}.".format(name=1))', []),
        ('N_("It is {name} {seconds:g}, {name}.")', [("It is {0} {1}, {0}.", None)]),
        ('error("a" if b else "c d")', []),
        ('NotFound("a" if b else N_("c d"))', [("a", None), ("c d", None)]),
        ('Field(1, description="how many")', [("how many", None)]),
    ],
)
def test_what_is_taken_from_code(code: str, found: list[texts.Text]) -> None:
    assert list(texts.texts(ast.parse(code), {"NotFound"})) == found


def test_what_is_no_literal_is_refused() -> None:
    with pytest.raises(SystemExit, match="no literal"):
        list(texts.texts(ast.parse("_(title)"), set()))


def test_every_error_and_every_maker_of_one_is_looked_into() -> None:
    assert {
        "ProvisionError",
        "Unreachable",
        "DatabaseUnavailable",
        "InvalidEmail",
        "_unreadable",
    } <= texts.error_names()
