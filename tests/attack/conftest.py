"""One server process for all attacks from outside, with its sample company."""

from collections.abc import Iterator

import pytest

from provision.core.access import Actor
from tests.e2e.site import Site, serve

SYSTEM = Actor.system("attack")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serve(tmp_path_factory.mktemp("attacked")) as running:
        yield running
        faults = [line for line in running.log.read_text().splitlines() if "unexpected error" in line]
        assert not faults, faults[:3]
