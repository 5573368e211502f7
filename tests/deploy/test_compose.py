"""The compose files as Compose reads them: complete, and no more open than they say."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
import yaml

from provision.settings.config import Settings, variables
from tests.deploy.image import ROOT, UID

FILES = ("compose.yaml", "compose.exec.yaml", "compose.replicas.yaml")
ENVIRONMENT = {"MAIL_HOSTNAME": "mail.example.com", "DOCKER_GID": "999", "DASHBOARD_HOSTNAME": "admin.example.com"}
PUBLIC = {"mailserver": {25, 465, 587, 993}, "proxy": {80, 443}}
# What a compose file says itself, so that nothing else can.
DECIDED = {
    "compose.yaml": {"data_dir", "config_dir", "container"},
    "compose.exec.yaml": {"data_dir", "config_dir", "container"},
    "compose.replicas.yaml": {"data_dir", "config_dir", "container", "database_url", "database_password_file", "jobs"},
}
HEX = "0123456789abcdef" * 4
# With the patch version, and by content where that is known.
PINNED = r"[\w./-]+:\d+\.\d+(\.\d+)?[\w-]*(@sha256:[0-9a-f]{64})?"


def compose() -> list[str]:
    if shutil.which("docker") and not subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    pytest.skip("Docker Compose is not installed")


def read(name: str, told: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """With these words in the file `.env`; neither that of the checkout nor the environment counts."""
    bare = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME")}
    with NamedTemporaryFile("w") as file:
        file.write("".join(f"{key}={value}\n" for key, value in told.items()))
        file.flush()
        argv = [*compose(), "--env-file", file.name, "-f", name, "config"]
        return subprocess.run(argv, cwd=ROOT, env=bare, capture_output=True, text=True, timeout=60)


@cache
def services(name: str) -> dict[str, dict[str, Any]]:
    done = read(name, ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return dict(yaml.safe_load(done.stdout)["services"])


def each_service() -> Iterator[Any]:
    for name in FILES:
        for service in yaml.safe_load((ROOT / name).read_text())["services"]:
            yield pytest.param(name, service, id=f"{name}-{service}")


@pytest.mark.parametrize("name", FILES)
def test_what_must_be_set_is_asked_for(name: str) -> None:
    done = read(name, {})
    assert done.returncode != 0
    assert "set it in the file .env" in done.stderr


@pytest.mark.parametrize(("name", "service"), each_service())
def test_each_service_is_watched_started_again_and_closed(name: str, service: str) -> None:
    found = services(name)[service]
    text = yaml.safe_dump(found)
    assert found["restart"] == ("no" if service == "permissions" else "always")
    if service in ("mailserver", "database", "socket-proxy"):
        assert found["healthcheck"]["test"], "images without a check of their own, or one that must be asked for"
    if service not in ("mailserver", "database"):
        assert found["cap_drop"] == ["ALL"]
        assert found["security_opt"] == ["no-new-privileges:true"]
    assert ("docker.sock" in text) == (service == "socket-proxy")
    assert "privileged: true" not in text
    assert re.fullmatch(PINNED, found["image"]), "a pinned version"


@pytest.mark.parametrize(("name", "service"), each_service())
def test_only_mail_and_the_proxy_are_open_to_the_world(name: str, service: str) -> None:
    for port in services(name)[service].get("ports", []):
        host, published = published_at(port)
        assert host == "127.0.0.1" or published in PUBLIC.get(service, ()), (service, port)


def published_at(port: Any) -> tuple[str, int]:
    """Address and port, in the long form of Compose 2 or the short one of Compose 1."""
    if isinstance(port, dict):
        return port.get("host_ip", ""), int(port["published"])
    host, _, rest = str(port).removesuffix("/tcp").rpartition(":")[0].rpartition(":")
    return host, int(rest)


def test_no_password_stands_in_a_file_or_an_environment() -> None:
    for name in FILES:
        for service in services(name).values():
            for key, value in (service.get("environment") or {}).items():
                assert value is None or "PASSWORD" not in key.upper() or str(value).startswith("/run/secrets/")
                assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), key


@pytest.mark.parametrize("name", FILES)
def test_every_setting_in_the_file_env_reaches_each_process(name: str) -> None:
    names = {each for field in set(Settings.model_fields) - DECIDED[name] for each in variables(field)}
    told = {each: f"of-{each}" for each in names | {"STREAMLIT_SERVER_BASE_URL_PATH"}}
    done = read(name, {**told, **ENVIRONMENT})
    assert done.returncode == 0, done.stderr
    for service, found in yaml.safe_load(done.stdout)["services"].items():
        if found["image"].startswith("postroom:") and service != "permissions":
            assert told.items() <= found["environment"].items(), service


def test_the_image_is_built_on_what_cannot_move() -> None:
    (base,) = re.findall(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert re.fullmatch(PINNED, base)
    assert "@sha256:" in base


def test_permissions_are_given_to_the_group_of_the_image() -> None:
    assert f"chgrp {UID} " in yaml.safe_dump(services("compose.yaml")["permissions"]["command"])
    assert f"ARG UID={UID}\nARG GID={UID}\n" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/version", True),
        ("GET", "/v1.41/containers/mailserver/json", True),
        ("GET", f"/v1.41/exec/{HEX}/json", True),
        ("POST", "/v1.41/containers/mailserver/exec", True),
        ("POST", f"/v1.41/exec/{HEX}/start", True),
        ("POST", "/v1.41/containers/create", False),
        ("POST", "/v1.41/containers/other/exec", False),
        ("GET", "/v1.41/containers/json", False),
        ("GET", "/v1.41/containers/other/json", False),
        ("PUT", "/v1.41/containers/mailserver/archive", False),
        ("POST", "/v1.41/containers/mailserver/stop", False),
        ("GET", "/v1.41/containers/mailserver/../other/json", False),
        ("DELETE", "/v1.41/containers/mailserver", False),
    ],
)
def test_the_socket_proxy_lets_through_commands_in_one_container(method: str, path: str, allowed: bool) -> None:
    """It puts ^ and $ around each pattern."""
    command = services("compose.exec.yaml")["socket-proxy"]["command"]
    rules = [str(word).partition("=")[2] for word in command if str(word).startswith(f"-allow{method}=")]
    assert any(re.fullmatch(rule, path) for rule in rules) is allowed
