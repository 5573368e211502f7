"""One image for all tests of this folder, and a container of it for each."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import HASH
from tests.deploy.image import UID, Box, build
from tests.servers.conftest import engine
from tests.servers.engine import Engine

__all__ = ["engine"]  # a fixture


@pytest.fixture(scope="session")
def image(engine: Engine) -> Iterator[object]:
    yield build(engine)
    engine.client.images.prune(filters={"dangling": True, "label": "org.opencontainers.image.title=Postroom"})


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The config volume as docker-mailserver leaves it: root's files. The folder's group is the image's."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "postfix-accounts.cf").write_text(f"ann@example.com|{HASH.reveal()}\n")
    (folder / "postfix-accounts.cf").chmod(0o644)
    os.chown(folder, 0, UID)
    folder.chmod(0o2775)
    return folder


@pytest.fixture
def box(engine: Engine, image: object, config: Path) -> Iterator[Box]:
    """Started as docs/deploy.md says: read-only, no capability, data in a volume."""
    volume = engine.client.volumes.create(f"postroom-test-{uuid4().hex[:8]}", labels={"postroom-test": ""})
    running = Box.start(engine, config, volume.name)
    running.wait_until_served()
    yield running
    running.container.remove(force=True, v=True)
    volume.remove()
