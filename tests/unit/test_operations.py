"""The list of operations is whole: what is recorded anywhere can be looked for."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from provision.audit.events import NAMES, OPERATIONS, RESOURCES
from provision.services.provisioner import Provisioner

ROOT = Path(__file__).resolve().parents[2]
OTHER_WORDS = {"server.id", "domain.id", "operator.id", "mailbox.id", "key.pem"}  # columns of the database, a file


def literals() -> Iterator[tuple[str, ast.AST]]:
    """The texts in the sources, docstrings left out; f-strings with * for what is put in."""
    for path in (*ROOT.glob("provision/**/*.py"), *ROOT.glob("api/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value, node
            elif isinstance(node, ast.JoinedStr):
                parts = [str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values]
                yield "".join(parts), node


def named(call: str, place: int) -> set[str]:
    """What is given at this place of all calls of a function, where it stands there as a text."""
    found = set()
    for path in (*ROOT.glob("provision/**/*.py"), *ROOT.glob("api/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and len(node.args) > place:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                given = node.args[place]
                if name == call and isinstance(given, ast.Constant):
                    found.add(str(given.value))
    return found


def test_each_operation_in_the_sources_is_listed() -> None:
    looks_so = re.compile(rf"({'|'.join(NAMES)})\.[a-z_]+")
    used = {text for text, _ in literals() if looks_so.fullmatch(text)} - OTHER_WORDS
    made = (
        {f"{about}.repair" for about in ("mailbox", "alias")}
        if "*.repair" in {text for text, _ in literals()}
        else set()
    )
    assert used | made == set(OPERATIONS)


def test_each_operation_that_is_recorded_or_denied_is_listed() -> None:
    marked = {getattr(getattr(Provisioner, name), "operation", "") for name in dir(Provisioner)} - {""}
    recorded = named("operation", 0) | named("record_done", 2) | named("record_intents", 2) | named("_done", 2)
    assert len(marked) > 30
    assert (marked | recorded) - set(OPERATIONS) == set()


def test_each_kind_of_thing_is_listed() -> None:
    assert named("Subject", 0) - set(RESOURCES) == set()
