"""Pages without a browser: the small company, and whoever is signed in."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from provision.app import Postroom
from provision.core.access import Actor
from tests.e2e.site import seed
from webui.http import running
from webui.http.sessions import TEST_TOKEN

SYSTEM = Actor.system("test")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def _company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postroom]:
    app = seed(tmp_path_factory.mktemp("company"), history_days=3)
    yield app
    app.close()


@pytest.fixture
def company(_company: Postroom) -> Iterator[Postroom]:
    """Shared by the tests that leave it as they found it."""
    running.use(_company)
    yield _company
    running.use(None)


@pytest.fixture
def own_company(tmp_path: Path) -> Iterator[Postroom]:
    """For a test that changes things."""
    app = seed(tmp_path)
    running.use(app)
    yield app
    running.use(None)
    app.close()


def token_of(app: Postroom, name: str) -> str:
    """A session of this operator, without a sign-in."""
    row = next(row for row in app.queries.operators(SYSTEM) if row["username"] == name)
    return app.sign_in.open_session(row["uid"], "192.0.2.7").reveal()


def dashboard() -> AppTest:
    """The script that the server runs."""
    return AppTest.from_file(str(ROOT / "webui" / "main.py"), default_timeout=30)


@pytest.fixture
def open_as() -> Callable[..., AppTest]:
    """`open_as(company, "alice", "logs")`: the page as this operator sees it."""

    def open_page(app: Postroom, name: str | None, page: str | None = None) -> AppTest:
        test = dashboard()
        if name:
            test.session_state[TEST_TOKEN] = token_of(app, name)
        test.run()
        if page and page != "overview":
            test.switch_page(str(ROOT / "pages" / f"{page}.py")).run()
        return test

    return open_page
