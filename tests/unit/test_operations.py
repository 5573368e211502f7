"""The list of operations is whole: what is recorded anywhere can be looked for, and nothing else stands in it."""

import ast
from pathlib import Path

from provision.audit.events import RESOURCES, Operation
from provision.core.state import Resource

ROOT = Path(__file__).resolve().parents[2]
FILES = [*ROOT.glob("provision/**/*.py"), *ROOT.glob("api/*.py")]
NODES = [node for path in FILES if path.name != "events.py" for node in ast.walk(ast.parse(path.read_text()))]
SHOWN = {"mailbox.create"}  # an example of the API's document


def test_each_operation_is_used() -> None:
    used = {node.attr for node in NODES if isinstance(node, ast.Attribute) and node.attr.isupper()}
    repairs = {operation.name for operation in Operation if operation.value in {f"{r}.repair" for r in Resource}}
    assert {operation.name for operation in Operation} - used - repairs == set()


def test_no_operation_is_named_by_a_text_of_its_own() -> None:
    names = {operation.value for operation in Operation} - SHOWN
    assert {node.value for node in NODES if isinstance(node, ast.Constant) and node.value in names} == set()


def test_what_takes_an_operation_back_is_one_too() -> None:
    assert {operation.undo for operation in Operation if operation.undo} <= set(Operation)


def test_each_kind_of_thing_is_listed() -> None:
    subjects = {
        str(node.args[0].value)
        for node in NODES
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Subject"
        if node.args and isinstance(node.args[0], ast.Constant)
    }
    assert subjects - set(RESOURCES) == set()
    assert {operation.about for operation in Operation} - set(RESOURCES) == {"api", "page", "sync"}
