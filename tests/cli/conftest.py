"""The command line run within the test: arguments in, exit code and output out."""

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main

from provision.cli import app, main
from provision.settings.config import get_settings


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Cli:
    """One machine with Postroom on it. Calling it runs a command line; `ok` insists on exit code 0."""

    folder: Path
    volume: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, stdin: str | bytes = "") -> Done:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        self.capsys.readouterr()
        code = main(arguments)
        return Done(code, *self.capsys.readouterr())

    def ok(self, *arguments: str, stdin: str | bytes = "") -> Done:
        done = self(*arguments, stdin=stdin)
        assert done.code == 0, done
        return done

    def anew(self, *arguments: str) -> Done:
        """After a change of the environment."""
        get_settings.cache_clear()
        return self(*arguments)

    def add(self, address: str, *more: str) -> Done:
        return self.ok("mailbox", "add", address, "--password-stdin", *more, stdin="Correct-Horse-1\n")

    def text(self, name: str = "postfix-accounts.cf") -> str:
        path = self.volume / name
        return path.read_text() if path.exists() else ""

    def break_server(self) -> None:
        self.volume.rename(self.volume.with_name("away"))

    def mend_server(self) -> None:
        self.volume.with_name("away").rename(self.volume)


@pytest.fixture
def bare(
    database_url: str, volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Cli]:
    """Nothing set up but an empty database."""
    monkeypatch.setenv("POSTROOM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("POSTROOM_DATABASE_URL", database_url)
    monkeypatch.setenv("POSTROOM_RETRY_BASE_SECONDS", "0.01")
    get_settings.cache_clear()
    yield Cli(tmp_path, volume, monkeypatch, capsys)
    get_settings.cache_clear()


@pytest.fixture
def cli(bare: Cli) -> Cli:
    """A docker-mailserver `main` with example.com on it."""
    bare.ok("server", "add", "main", "dms_files", "--set", f"path={bare.volume}")
    bare.ok("domain", "add", "example.com")
    return bare


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its name as it is typed."""
    for noun, group in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        if not hasattr(group, "commands"):
            yield noun, group
            continue
        for verb, command in group.commands.items():
            yield f"{noun} {verb}", command
