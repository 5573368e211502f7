"""Naughty strings as arguments of the command line: a sentence and an exit code, nothing that steers the terminal."""

import pytest

from tests.attack.naughty import hard
from tests.cli.conftest import Cli, bare, cli  # noqa: F401

TEXTS = [text for text in hard(15) if "\0" not in text] + ["\x1b[2J", "\udcff"]
COMMANDS = [
    ("mailbox", "add", "{}", "--password-stdin"),
    ("mailbox", "show", "{}"),
    ("mailbox", "list", "--search", "{}"),
    ("mailbox", "list", "--domain", "{}"),
    ("mailbox", "add", "a@example.com", "--password-stdin", "--name", "{}"),
    ("alias", "add", "{}", "x@elsewhere.net"),
    ("alias", "add", "i@example.com", "{}"),
    ("domain", "add", "{}"),
    ("domain", "add", "d.example.com", "--description", "{}"),
    ("server", "add", "{}", "dms_files", "--set", "path=/nowhere"),
    ("server", "add", "s", "dms_files", "--set", "path={}"),
    ("server", "check", "{}"),
    ("quota", "set", "a@example.com", "{}"),
    ("log", "list", "--search", "{}"),
    ("operator", "add", "{}", "--role", "Viewer", "--generate"),
    ("--as", "{}", "mailbox", "list"),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_each_command_is_one_that_takes_an_argument(cli: Cli) -> None:  # noqa: F811
    """Otherwise nothing below would be an attack, but the same usage error again and again."""
    for command in COMMANDS:
        done = cli(*[part.replace("{}", "plain") for part in command], stdin="Correct-Horse-1\n")
        assert "Usage:" not in done.err, (command, done.err)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_argument_is_refused_or_taken(cli: Cli, command: tuple[str, ...]) -> None:  # noqa: F811
    for text in TEXTS:
        done = cli(*[part.replace("{}", text) for part in command], stdin="Correct-Horse-1\n")
        said = done.out + done.err
        assert done.code in (0, 1, 2, 3, 4), text
        assert "unexpected" not in said.lower(), (text, said)
        assert "Traceback" not in said, text
        assert "\x1b" not in said, text
