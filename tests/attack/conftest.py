"""One server process for all attacks from outside, with its sample company."""

from collections.abc import Iterator

import pytest

from provision.access import Actor
from provision.bootstrap import Postroom
from tests.e2e.site import Site, serve

SYSTEM = Actor.system("attack")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serve(tmp_path_factory.mktemp("attacked")) as running:
        yield running
        faults = [line for line in running.log.read_text().splitlines() if "unexpected error" in line]
        assert not faults, faults[:3]


def operator(app: Postroom, name: str) -> dict[str, object]:
    return next(dict(row) for row in app.queries.operators(SYSTEM) if row["username"] == name)


def token_of(app: Postroom, name: str) -> str:
    """A session of this operator, without a sign-in."""
    return app.sign_in.open_session(operator(app, name)["uid"], "127.0.0.1").reveal()  # type: ignore[arg-type]
