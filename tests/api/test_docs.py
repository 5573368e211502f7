"""docs/api.md is what really happens: its lines are run as typed, against a server on a port."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette

from api.app import MOUNT, api_routes, create_api, mounted
from provision.app import Postroom
from provision.storage.database import ROOT
from tests.conftest import World
from tests.waiting import wait_for

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z"), "TIME"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b"), "ID"),
    (re.compile(r"(once only: )\S+"), r"\1TOKEN"),
)
pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@contextmanager
def serving(app: Postroom) -> Iterator[str]:
    """The API on a free port of this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    whole = Starlette(routes=[mounted(create_api(lambda: app))])
    server = uvicorn.Server(uvicorn.Config(whole, port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{port}{MOUNT}/provision"
    finally:
        server.should_exit = True
        thread.join()


def steps() -> Iterator[tuple[str, str]]:
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = step.partition("\n")
            yield command, output.strip()


def plain(output: str) -> str:
    for pattern, word in CHANGING:
        output = pattern.sub(word, output)
    return output.strip()


def test_the_journey_goes_as_printed(world: World, tmp_path: Path) -> None:
    settings = world.app.settings
    programs = str(Path(sys.executable).parent)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
        "POSTROOM_DATA_DIR": str(settings.data_dir),
        "POSTROOM_DATABASE_URL": settings.database_url,
    }
    with serving(world.app) as url:
        environment["API"] = url
        for command, printed in steps():
            script = f"{command}\nprintf '\\n%s' \"$ID\" >id.txt"  # what a line sets, the next ones know
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert plain(done.stdout) == printed, (command, done.stderr)
            environment["ID"] = (tmp_path / "id.txt").read_text().strip()
            if found := re.search(r"once only: (\S+)", done.stdout):
                environment["TOKEN"] = found[1]


def described() -> set[tuple[str, str]]:
    """Path and method, as the table has them."""
    rows = re.findall(r"^\| (`/[^|]*) \| ([A-Z ]+) \|", PAGE, re.MULTILINE)
    return {
        (path, method)
        for paths, methods in rows
        for path in paths.replace("`", "").split()
        for method in methods.split()
    }


def test_the_table_has_every_path_with_its_methods_and_no_other(world: World) -> None:
    routes = api_routes(create_api(lambda: world.app))
    assert described() == {
        (f"{MOUNT}{path}".removeprefix(f"{MOUNT}/provision"), method.upper()) for path, method, _ in routes
    }
