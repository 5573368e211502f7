"""Fixtures: the Docker engine, containers of it, and each kind of mail server for the contract."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound

from tests.servers.engine import Engine, NoEngine, shared_engine
from tests.servers.rig import ContainerRig, FolderRig, Rig, put_files

RELEASES = {"v12": "v12.1.0", "v14": "v14.0.0", "v15": "v15.1.0", "v16": "v16.0.0"}
NIGHTLY_RELEASES = ("v12", "v14", "v16")  # by day the one that most have


def _marks(release: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.engine, *([pytest.mark.nightly] if release in NIGHTLY_RELEASES else [])]


KINDS = ["dms_files", *(pytest.param(f"dms_exec {name}", marks=_marks(name)) for name in RELEASES)]


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    try:
        with shared_engine() as started:
            yield started
    except NoEngine as reason:
        pytest.skip(f"Tests in containers are left out: {reason}.")


@pytest.fixture(scope="session")
def container_of(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ContainerRig]:
    """`container_of("v15")`: one for each release, without services: `setup` and the files only."""
    return cache(lambda name: ContainerRig(engine, tmp_path_factory.mktemp(name), release=RELEASES[name]))


@pytest.fixture
def container(container_of: Callable[[str], ContainerRig]) -> ContainerRig:
    """The v15 one with an empty config volume."""
    found = container_of("v15")
    put_files(found.folder, {})
    return found


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    """A mail server of each kind with an empty config volume."""
    kind, _, release = request.param.partition(" ")
    if kind == "dms_files":
        return FolderRig(tmp_path)
    found: ContainerRig = request.getfixturevalue("container_of")(release)
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
