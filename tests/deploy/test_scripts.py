"""The scripts on machines that do not suit: one clear sentence, no traceback, and nothing unchecked that looks well."""

import os
import re
import shutil
import socket
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.testclient import TestClient

from provision.core.secret import Secret
from scripts import dev_app, dev_seed
from tests.e2e.site import ROOT

OLD = '#!/bin/sh\necho "Python 3.9.2"; exit 1\n'
# As Debian's without python3-venv: it makes a half, complains and fails.
NO_VENV = f"""#!/bin/sh
[ "$2" = venv ] || exec {sys.executable} "$@"
shift 2
{sys.executable} -m venv --without-pip "$@"
exit 1
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The scripts in a folder without a virtual environment."""
    folder = tmp_path / "postroom"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "requirements.txt").write_text("")
    return folder


def refusal(checkout: Path, *arguments: str, **environment: str) -> str:
    """What is said; one sentence or two on a line of their own."""
    done = subprocess.run(
        ["scripts/run", *arguments],
        cwd=checkout,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    return done.stderr


def program(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port"], "--port needs a value"),
        (["--port", "abc"], "--port needs a number, not abc."),
        (["--container"], "--container needs a value"),
        (["--nonsense"], "Unknown option --nonsense"),
    ],
)
def test_a_wrong_option(checkout: Path, arguments: list[str], said: str) -> None:
    assert refusal(checkout, *arguments).count("\n") == 1
    assert said in refusal(checkout, *arguments)
    assert not (checkout / ".venv").exists(), "it is said before anything is installed"


def test_a_wrong_option_of_the_development_server(checkout: Path) -> None:
    done = subprocess.run(["scripts/dev", "--nonsense"], cwd=checkout, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Unknown option --nonsense" in done.stderr


def test_an_old_python(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "sha256sum", "cut", "grep", "sed", "env"):
        (tools / name).symlink_to(str(shutil.which(name)))
    program(tools, "python3", OLD)
    said = refusal(checkout, PATH=str(tools), PYTHON="")
    assert "needs Python 3.11 or newer" in said
    assert "apt install python3" in said


def test_python_without_venv_and_then_with_it(checkout: Path, tmp_path: Path) -> None:
    assert "apt install python3-venv" in refusal(checkout, PYTHON=program(tmp_path, "python-bare", NO_VENV))
    assert (checkout / ".venv/bin/python").exists(), "half of it is there"
    make_venv(checkout)


def make_venv(checkout: Path, name: str = "requirements.txt") -> bool:
    """Whether anything was installed."""
    command = ["bash", "-euo", "pipefail", "-c", f". scripts/common.sh; make_venv {name}"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    return "Installing" in done.stderr


def test_each_change_of_what_is_pinned_is_installed(checkout: Path) -> None:
    new, development = checkout / "requirements.txt", checkout / "requirements-dev.txt"
    development.write_text("# development\n")
    both = ("requirements.txt", "requirements-dev.txt")
    assert [make_venv(checkout, name) for name in both * 2] == [True, True, False, False]
    new.write_text("# of a newer release\n")
    assert [make_venv(checkout) for _ in range(2)] == [True, False]
    new.write_text("")
    assert [make_venv(checkout, name) for name in both * 2] == [True, True, False, False], "back to the former one"
    new.write_text("no-such-thing\n")
    assert "cannot be installed" in refusal(checkout)
    new.write_text("")
    assert make_venv(checkout), "nobody knows what a broken off attempt has left"


def test_no_package_index(checkout: Path) -> None:
    (checkout / "requirements.txt").write_text(f"idna==3.10 --hash=sha256:{'0' * 64}\n")
    unreachable = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "/nowhere",
    }
    said = refusal(checkout, **unreachable, PIP_RETRIES="0", PIP_CONFIG_FILE=os.devnull)
    assert "Is the package index reachable?" in said


def test_a_taken_port(checkout: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert f"Port {port} is taken" in refusal(checkout, "--port", str(port))


# ---- scripts/dev ---------------------------------------------------------------------------


def test_the_company_to_develop_with_has_enough_people() -> None:
    people = list(islice(dev_seed.newcomers(Secret("Correct-Horse-1")), dev_seed.MAILBOXES))
    assert len({person.address for person in people}) == dev_seed.MAILBOXES


def test_pages_that_are_developed_ask_who_serves_them() -> None:
    """Each page asks for the script, the script asks for the process; what is no page stays as it is."""
    page = served(HTMLResponse("<p>Page</p>"), "/mailboxes")
    assert page == f"<p>Page</p>{dev_app.TAG.decode()}"
    assert served(PlainTextResponse("Text"), "/health") == "Text"
    assert dev_app.PROCESS in served(PlainTextResponse(""), "/dev/reload.js")
    assert served(PlainTextResponse(""), "/dev/process") == dev_app.PROCESS


def served(answer: Response, path: str) -> str:
    return TestClient(dev_app.LiveReload(answer)).get(path).text


def test_the_development_server_watches_folders_that_exist() -> None:
    (folders,) = re.findall(r"for folder in ([\w ]+);", (ROOT / "scripts/dev").read_text())
    assert [name for name in folders.split() if not (ROOT / name).is_dir()] == []


# ---- scripts/audit-packages ----------------------------------------------------------------


def audited(checkout: Path, requirements: str) -> tuple[int, str]:
    """On a machine whose only way out is shut."""
    (checkout / "requirements.txt").write_text(requirements)
    shut = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9") | {"NO_PROXY": "", "no_proxy": ""}
    done = subprocess.run(
        [sys.executable, "scripts/audit-packages"],
        cwd=checkout,
        env={**os.environ, **shut},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


def test_an_advisory_service_out_of_reach_is_neither_success_nor_failure(checkout: Path) -> None:
    code, said = audited(checkout, f"postroom-has-no-such==1 --hash=sha256:{'0' * 64}\n")
    assert (code, "cannot be reached" in said) == (os.EX_TEMPFAIL, True), said


def test_packages_that_could_not_be_asked_about_are_one(checkout: Path) -> None:
    code, said = audited(checkout, "this is no requirement\n")
    assert (code, "could not be checked" in said) == (1, True), said


# ---- scripts/test --------------------------------------------------------------------------

# Stands for every program of the virtual environment: the tests pass, and the advisory service is away.
AWAY = """#!/bin/sh
case "$*" in
*audit-packages) echo "Advisories: nothing was checked."; exit 75 ;;
*tests.summary*) echo "summary: $*" ;;
*pytest*) echo "1 passed" ;;
esac
"""


def test_what_was_not_checked_is_said_at_the_end(checkout: Path) -> None:
    programs = checkout / ".venv/bin"
    programs.mkdir(parents=True)
    for name in ("python", "ruff", "mypy"):
        program(programs, name, AWAY)
    pinned = "sha256sum requirements*.txt | sha256sum | cut -c1-16"
    wanted = subprocess.run(["bash", "-c", pinned], cwd=checkout, capture_output=True, text=True).stdout
    (checkout / ".venv/.installed").write_text(f"requirements-dev.txt {wanted}")
    done = subprocess.run(
        ["scripts/test", "quick"], cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout
    assert "--warning Advisories: nothing was checked." in done.stdout.splitlines()[-1]
