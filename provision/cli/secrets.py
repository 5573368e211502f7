"""Passwords come from a prompt or from stdin, never from an argument: those are in the process list and the history."""

import sys
from typing import Annotated

import typer

from provision.core.errors import InvalidInput
from provision.core.secret import Secret

FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")]
Generate = Annotated[bool, typer.Option("--generate", help="Make a password and show it, this once only.")]


def ask_password(*, from_stdin: bool, twice: bool = True) -> Secret:
    """The password that was typed or piped in. Raises: InvalidInput when there is nobody to type it."""
    if from_stdin:
        return Secret(_first_line())
    if not sys.stdin.isatty():
        raise InvalidInput(
            "There is nobody here to type a password; pipe it in with --password-stdin.", code="PASSWORD_NEEDED"
        )
    return Secret(typer.prompt("Password", hide_input=True, confirmation_prompt=twice, err=True))


def ask_new_password(*, from_stdin: bool, generate: bool) -> Secret | None:
    """A password, or None where one is to be made. Raises: InvalidInput for both."""
    if from_stdin and generate:
        raise InvalidInput("Either --password-stdin or --generate, not both.", code="PASSWORD_NEEDED")
    return None if generate else ask_password(from_stdin=from_stdin)


def ask_secret(name: str) -> Secret:
    """A secret setting, typed, or the next line of stdin. Raises: InvalidInput when nothing came."""
    if sys.stdin.isatty():
        return Secret(typer.prompt(name, hide_input=True, err=True))
    return Secret(_first_line())


def _first_line() -> str:
    line = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    if not line:
        raise InvalidInput("Nothing came on stdin; the password should be its first line.", code="PASSWORD_NEEDED")
    return line
