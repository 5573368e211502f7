"""Postroom's image, built from the Dockerfile on a Debian with Python, and a container of it, run as an admin would."""

import json
import os
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import BuildError

from tests.servers.engine import LABEL, Engine
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
BASE = "postroom-test-python"
IMAGE = "postroom-test-image"
UID = 8501  # of the Dockerfile


def build(engine: Engine) -> Any:
    """The image. pip goes by the network of this machine, and by the index that is set here."""
    engine.require_debian(BASE, "trixie", "python3,python3-venv")
    index = {"PIP_INDEX_URL": os.environ["PIP_INDEX_URL"]} if "PIP_INDEX_URL" in os.environ else {}
    try:
        return engine.client.images.build(
            path=str(ROOT), tag=IMAGE, rm=True, network_mode="host", buildargs={"BASE": BASE, **index}
        )[0]
    except BuildError as error:
        said = "".join(line.get("stream", "") for line in error.build_log)
        raise AssertionError(f"the image cannot be built: {error}\n{said[-2000:]}") from None


@dataclass(frozen=True)
class Box:
    """A running container, with the config volume of a mail server at /config."""

    container: Any
    config: Path

    @classmethod
    def start(cls, engine: Engine, config: Path, data: str, **environment: str) -> "Box":
        container = engine.client.containers.run(
            IMAGE,
            detach=True,
            labels=[LABEL],
            read_only=True,
            tmpfs={"/tmp": ""},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            ports={"8501/tcp": ("127.0.0.1", None)},
            volumes={data: {"bind": "/data", "mode": "rw"}, str(config): {"bind": "/config", "mode": "rw"}},
            environment={"POSTROOM_CONFIG_DIR": "/config", **environment},
        )
        return cls(container, config)

    @property
    def url(self) -> str:
        self.container.reload()
        return f"http://127.0.0.1:{self.container.ports['8501/tcp'][0]['HostPort']}"

    def health(self) -> str:
        self.container.reload()
        return str(self.container.attrs["State"]["Health"]["Status"])

    def wait_until_healthy(self) -> None:
        """By the image's own check, as the engine sees it."""
        assert wait_for(lambda: self.health() == "healthy", 90), self.log()

    def wait_until_served(self) -> None:
        assert wait_for(self._is_served, 60), self.log()

    def _is_served(self) -> bool:
        try:
            return self.get("/health")[0] == 200
        except OSError:
            return False

    def log(self) -> str:
        return str(self.container.logs().decode())

    def first_password(self) -> str:
        found = re.findall(r"sign in as “admin” with the one-time password (\S+)", self.log())
        assert len(found) == 1, self.log()
        return str(found[0])

    def run(self, *command: str) -> str:
        """A command inside, as `docker compose exec postroom …` runs it."""
        code, output = self.container.exec_run(list(command))
        assert code == 0, output.decode()
        return str(output.decode())

    def get(self, path: str) -> tuple[int, str]:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()

    def call(self, token: str, method: str, path: str, body: object = None) -> Any:
        """One call of the API; its answer."""
        request = urllib.request.Request(
            f"{self.url}/api/provision{path}",
            json.dumps(body).encode() if body else None,
            method=method,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def stop(self) -> int:
        """The exit code."""
        self.container.stop(timeout=10)
        return int(self.container.wait()["StatusCode"])
