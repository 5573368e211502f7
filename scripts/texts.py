"""The texts of the pages, from the code into `webui/locale`. See “a language” in CONTRIBUTING.md.

scripts/texts          the code has changed: bring postroom.pot and the file of each language up to date
scripts/texts add es   begin a language
"""

import ast
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "webui" / "locale"
TEMPLATE = LOCALE / "postroom.pot"
SOURCES = [path for folder in ("pages", "webui", "provision") for path in sorted((ROOT / folder).rglob("*.py"))]
UNREAD = [ROOT / "provision" / "cli", ROOT / "webui" / "kit" / "i18n.py"]  # one speaks English, the other all
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)  # one date for all: a run that changes nothing changes no file
Text = tuple[str | tuple[str, str], str | None]  # the text, or both of what is counted; the context


def extracted() -> Catalog:
    """Every text of the product."""
    catalog = empty(None)
    errors = error_names()
    for path in SOURCES:
        if not any(path.is_relative_to(unread) for unread in UNREAD):
            for text, context in texts(ast.parse(path.read_text(encoding="utf-8")), errors):
                catalog.add(text, context=context, locations=[(str(path.relative_to(ROOT)), 0)])
    return catalog


def error_names() -> set[str]:
    """The classes of errors, and the functions that return one: their first argument is a sentence for people."""
    names, known = {"ProvisionError"}, 0
    trees = [node for path in SOURCES for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    while known != len(names):
        known = len(names)
        names |= {n.name for n in trees if isinstance(n, ast.ClassDef) and names & {ast.unparse(b) for b in n.bases}}
    makers = {n.name for n in trees if isinstance(n, ast.FunctionDef) and n.returns and ast.unparse(n.returns) in names}
    return names | makers


def texts(tree: ast.AST, errors: set[str]) -> Iterator[Text]:
    """In the order in which they stand in the file."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        name = ast.unparse(call.func).rpartition(".")[2]
        if name == "counted":
            yield (_literal(call.args[1]), _literal(call.args[2])), None
        elif name == "pgettext":
            yield _literal(call.args[1]), _literal(call.args[0])
        elif name == "_":
            yield _literal(call.args[0]), None
        elif name == "N_" or (name in errors and call.args):
            yield from ((text, None) for text in _sentences(call.args[0]) if any(c.isalpha() for c in text))
        elif name == "Field":  # of a setting
            yield from ((_literal(k.value), None) for k in call.keywords if k.arg == "description")


def _literal(node: ast.expr) -> str:
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        raise SystemExit(f"line {node.lineno}: {ast.unparse(node)} is no literal; a text of a table is marked by N_")
    return node.value


def _sentences(node: ast.expr) -> Iterator[str]:
    """Those in an expression; of a table, its values."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        yield _numbered(node)
    elif isinstance(node, ast.Dict | ast.BoolOp):
        for value in node.values:
            yield from _sentences(value)
    elif isinstance(node, ast.Tuple | ast.List):
        for value in node.elts:
            yield from _sentences(value)
    elif isinstance(node, ast.IfExp):
        yield from (*_sentences(node.body), *_sentences(node.orelse))


def _numbered(node: ast.Constant | ast.JoinedStr) -> str:
    """`f"{name} is taken."` and `"{name} is taken."` as `{0} is taken.`: what a variable is called does not matter."""
    if isinstance(node, ast.Constant):
        node = ast.parse("f" + repr(node.value), mode="eval").body if "{" in node.value else node
    if isinstance(node, ast.Constant):
        return str(node.value)
    seen: list[str] = []
    parts = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            parts.append(str(part.value).replace("{", "{{").replace("}", "}}"))
        else:
            value = ast.unparse(part.value)
            seen += [value] if value not in seen else []
            parts.append(f"{{{seen.index(value)}}}")
    return "".join(parts)


# ---- the files -----------------------------------------------------------------------------


def empty(language: str | None) -> Catalog:
    about = "# The texts of Postroom. How they come here, and how a language is added: CONTRIBUTING.md."
    us = {"project": "Postroom", "version": "1", "last_translator": "Postroom", "language_team": "Postroom"}
    dates = {"creation_date": WRITTEN, "revision_date": WRITTEN}
    return Catalog(language, header_comment=about, msgid_bugs_address="CONTRIBUTING.md", fuzzy=False, **us, **dates)


def file_of(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "postroom.po"


def read(language: str) -> Catalog:
    with file_of(language).open("rb") as file:
        return read_po(file, locale=language)


def write(path: Path, catalog: Catalog) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalog, width=100, ignore_obsolete=True, include_lineno=False, omit_header=False)


def update(language: str, template: Catalog) -> None:
    """What is new is empty; what is nearly an old text takes its translation, “fuzzy” until somebody has looked."""
    catalog, known = empty(language), read(language)
    known.update(template)
    for message in template:
        if message.id:
            there = known.get(message.id, message.context)
            catalog.add(message.id, there.string, message.locations, there.flags, context=message.context)
    write(file_of(language), catalog)


def main(arguments: list[str]) -> None:
    template = extracted()
    write(TEMPLATE, template)
    if arguments[:1] == ["add"] and len(arguments) == 2:
        write(file_of(arguments[1]), empty(arguments[1]))
    elif arguments:
        raise SystemExit(__doc__)
    for file in sorted(LOCALE.glob("*/LC_MESSAGES/postroom.po")):
        update(file.parent.parent.name, template)


if __name__ == "__main__":
    main(sys.argv[1:])
