"""A world whose config volume feeds a real Dovecot and Postfix's maps."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from provision.core.secret import Secret
from provision.storage.models import SyncStatus
from tests.conftest import World
from tests.mail import clients
from tests.mail.mailhost import MailHost, mail_host

HERE = Path(__file__).parent
DOORS: dict[str, Callable[[MailHost, str, Secret], bool]] = {
    "imap": clients.imap_login,
    "pop3": clients.pop3_login,
    "smtp": clients.smtp_auth,
    "doveadm": partial(MailHost.authenticates, service="smtp"),
}
OPEN, SHUT = dict.fromkeys(DOORS, True), dict.fromkeys(DOORS, False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.mail)


@pytest.fixture(scope="session")
def running_host() -> Iterator[MailHost]:
    with mail_host() as host:
        yield host


@pytest.fixture
def host(running_host: MailHost, request: pytest.FixtureRequest) -> Iterator[MailHost]:
    """The mail server; when a test fails, what the server said is shown."""
    heard = len(running_host.log())
    yield running_host
    print(running_host.log()[heard:])


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The database does not matter to a mail server; the other tests have both."""
    path = tmp_path / "postroom.db"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


@dataclass(frozen=True)
class Mail:
    """The world, and the mail server that lives on its config volume."""

    world: World
    host: MailHost

    def add(self, address: str, password: Secret, **more: Any) -> Any:
        row = self.world.add(address, password=password, password_hash=None, **more)
        assert row.sync_status == SyncStatus.SYNCED
        return row

    def logins(self, login: str, password: Secret) -> dict[str, bool]:
        """Which doors let this login in, with what is in the volume now."""
        self.host.feed(self.world.volume)
        return self.open_doors(login, password)

    def open_doors(self, login: str, password: Secret) -> dict[str, bool]:
        """Which doors let this login in, with what was fed last."""
        doors = {name: partial(door, self.host, login, password) for name, door in DOORS.items()}
        with ThreadPoolExecutor(len(doors)) as pool:  # Dovecot answers a wrong password half a second later
            return dict(zip(doors, pool.map(lambda door: door(), doors.values()), strict=True))

    def deliver(self, address: str, subject: str) -> list[str]:
        """Send a mail to where Postfix resolves the address to; the final addresses."""
        self.host.feed(self.world.volume)
        targets = self.host.resolve(address)
        for target in targets:
            clients.deliver(self.host, target, subject)
        return targets

    def received(self, login: str, subject: str) -> bool:
        return any(f"Subject: {subject}" in text for text in self.host.mails(login))


@pytest.fixture
def mail(world: World, host: MailHost) -> Mail:
    return Mail(world, host)
