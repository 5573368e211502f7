"""The mail server of the journey: the one in the test image, and a real one where its container is named."""

import os
import socket
from collections.abc import Iterator

import pytest

from provision.core.state import Change, DeleteAlias, DeleteMailbox
from tests.live.journey import MailServerUnderTest, Place, doors_from_environment
from tests.servers.conftest import engine
from tests.servers.engine import Engine
from tests.servers.rig import FILES, ContainerRig, LiveRig
from tests.waiting import wait_for

__all__ = ["engine"]  # a fixture
PORTS = {"smtp": 25, "imap": 143, "pop3": 110, "submission": 587}
DOMAIN = "postroom-journey.test"
LIVE_CONTAINER = os.environ.get("POSTROOM_LIVE_CONTAINER", "")
SERVERS = [pytest.param("test image", marks=pytest.mark.engine)]
if LIVE_CONTAINER:
    SERVERS.append(pytest.param("real", marks=pytest.mark.live))


@pytest.fixture(scope="session")
def mail_server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> ContainerRig:
    """A whole docker-mailserver of our making: Dovecot, Postfix, change detection."""
    return ContainerRig(engine, tmp_path_factory.mktemp("volume"), services=True)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[MailServerUnderTest]:
    """A running mail server without an entry of the journey's domain, before and after."""
    if request.param == "real":
        under_test = MailServerUnderTest(LiveRig(LIVE_CONTAINER), doors_from_environment())
        if "smtp" not in under_test.doors:
            pytest.skip("Mail is handed in at port 25: name it in POSTROOM_LIVE_SMTP, as host:port.")
    else:
        rig: ContainerRig = request.getfixturevalue("mail_server")
        under_test = MailServerUnderTest(rig, {name: (rig.address, port) for name, port in PORTS.items()})
        _start_services(under_test, rig)
    _clear(under_test)
    yield under_test
    _clear(under_test)


def _start_services(under_test: MailServerUnderTest, rig: ContainerRig) -> None:
    """They start with the first account, and not before."""
    if not rig.text("postfix-accounts.cf"):
        rig.put({"postfix-accounts.cf": "first@example.test|{PLAIN}nobody-logs-in-here\n"})
    wait_for(lambda: not any(under_test.rig.open().live.problems()))  # type: ignore[attr-defined]
    wait_for(lambda: all(_is_open(place) for place in under_test.doors.values()))


def _is_open(place: Place) -> bool:
    with socket.socket() as door:
        return door.connect_ex(place) == 0


def _clear(under_test: MailServerUnderTest) -> None:
    state = under_test.rig.open().read()
    changes: list[Change] = [DeleteAlias(alias) for alias in state.aliases if alias.endswith(DOMAIN)]
    changes += [DeleteMailbox(address, erase_mail=True) for address in state.mailboxes if address.endswith(DOMAIN)]
    under_test.apply(*changes)
    under_test.run("rm", "-rf", f"/var/mail/{DOMAIN}")


@pytest.fixture
def a_mailbox(server: MailServerUnderTest) -> Iterator[str]:
    """An address of its own for one test; whatever has it is gone afterwards."""
    _clear(server)
    yield f"ann@{DOMAIN}"
    _clear(server)


@pytest.fixture(scope="module")
def saved_files() -> Iterator[LiveRig]:
    """The real server; its config files are put back at the end."""
    rig = LiveRig(LIVE_CONTAINER)
    before = {name: rig.text(name) for name in FILES}
    yield rig
    rig.put(before)


@pytest.fixture
def rig(saved_files: LiveRig) -> LiveRig:
    saved_files.put({})
    return saved_files
