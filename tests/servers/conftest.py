"""Fixtures: the Docker engine, containers of it, and each kind of mail server for the contract."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound

from tests.servers.engine import Engine, NoEngine, shared_engine
from tests.servers.rig import ContainerRig, FolderRig, Rig, put_files

RELEASES = {"v12": "v12.1.0", "v14": "v14.0.0", "v15": "v15.1.0", "v16": "v16.0.0"}
KINDS = ["dms_files", *(pytest.param(f"dms_exec {name}", marks=pytest.mark.engine) for name in RELEASES)]


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    try:
        with shared_engine() as started:
            yield started
    except NoEngine as reason:
        pytest.skip(f"Tests in containers are left out: {reason}.")


@pytest.fixture(scope="session")
def containers(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ContainerRig]:
    """One container for each release, without services: `setup` and the files only."""
    folders = {name: tmp_path_factory.mktemp(name) for name in RELEASES}
    return {name: ContainerRig(engine, folders[name], release=RELEASES[name]) for name in RELEASES}


@pytest.fixture
def container(containers: dict[str, ContainerRig]) -> ContainerRig:
    """The v15 one with an empty config volume."""
    put_files(containers["v15"].folder, {})
    return containers["v15"]


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    """A mail server of each kind with an empty config volume."""
    kind, _, release = request.param.partition(" ")
    if kind == "dms_files":
        return FolderRig(tmp_path)
    found: ContainerRig = request.getfixturevalue("containers")[release]
    put_files(found.folder, {})
    return found


@pytest.fixture
def new_container(engine: Engine, tmp_path: Path) -> Iterator[Callable[..., ContainerRig]]:
    """Makes containers for one test; options as for `docker run`."""
    made: list[ContainerRig] = []

    def make(**options: Any) -> ContainerRig:
        folder = options.pop("folder", tmp_path)
        made.append(ContainerRig(engine, folder, **options))
        return made[-1]

    yield make
    for each in made:
        with suppress(NotFound):
            each.remove()
