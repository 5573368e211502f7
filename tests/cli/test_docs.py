"""docs/cli.md is what really happens: its commands are run as typed, and every command and option is in it."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provision.cli import main
from provision.settings.config import get_settings
from provision.storage.database import ROOT
from tests.cli.conftest import commands

PAGE = ROOT / "docs" / "cli.md"
CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "HASH"),
    (re.compile(r"\d+ links"), "N links"),
    (re.compile(r"\d+ GB free"), "N GB free"),
    (re.compile(r"SQLite [\d.]+|\(\w+ here\)|release \(\d+\)"), "HERE"),
    (re.compile(r"(once only: )\S+"), r"\1PASSWORD"),
    (re.compile(r"cli:[\w.-]+"), "cli:LOGIN"),
    (re.compile(r"  +"), "  "),
)


def steps() -> Iterator[tuple[str, str]]:
    """Each command of the page with the output that is printed below it."""
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = step.partition("\n")
            if "<<'END'" in command:
                document, _, output = output.partition("END\n")
                command = f"{command}\n{document}END"
            yield command, output


def run(command: str, folder: Path) -> str:
    """What a person sees, with the exit code where it is not 0."""
    plain_call = re.fullmatch(r"(?:echo '([^']*)' \| )?python -m provision ([^$|;&<>`]*)", command.strip())
    if plain_call:
        return run_forked(shlex.split(plain_call[2]), f"{plain_call[1] or ''}\n", folder)
    programs = str(Path(sys.executable).parent)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    code = f"[exit code {done.returncode}]\n" if done.returncode else ""
    return done.stdout.decode().replace(str(folder), "/srv/mail") + code


def run_forked(arguments: list[str], typed: str, folder: Path) -> str:
    """The same in a process of its own that need not be imported once more, which takes a second each."""
    given, out = folder.parent / "stdin", folder.parent / "stdout"
    given.write_text(typed)
    process = os.fork()
    if process == 0:  # the child; whatever happens it does not come back
        code = 70
        try:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update({"PATH": os.defpath, "HOME": str(folder), "LANG": "C.UTF-8"})
            os.dup2(os.open(given, os.O_RDONLY), 0)
            os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
            os.dup2(1, 2)
            sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
            get_settings.cache_clear()
            code = main(arguments)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return out.read_text().replace(str(folder), "/srv/mail") + (f"[exit code {code}]\n" if code else "")


def plain(output: str) -> str:
    for pattern, word in CHANGING:
        output = pattern.sub(word, output)
    return "\n".join(line.rstrip() for line in output.strip().splitlines())


def test_the_session_of_the_page_goes_as_printed(tmp_path: Path) -> None:
    folder = tmp_path.resolve() / "mail"
    folder.mkdir()
    for command, printed in steps():
        assert plain(run(command, folder)) == plain(printed), command


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_and_option_is_described(name: str, command: Any) -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(rf"\| `{name}[ `]", line)]
    assert len(lines) == 1, f"{name} is not in the table of docs/cli.md"
    for option in command.params:
        if option.param_type_name == "option" and option.opts[0] != "--help":
            assert f"`{option.opts[0]}" in lines[0]


def test_every_command_helps_itself() -> None:
    for name, command in commands():
        assert command.help, name
