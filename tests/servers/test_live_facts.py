"""What a running server tells beyond its files, and what is said when a part of it stands still."""

import imaplib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from provision.core.errors import MailServerError
from provision.core.passwords import hash_password
from provision.core.secret import Secret
from provision.core.state import Change, CreateMailbox, SetEnabled
from provision.servers.dms.docker_exec import Container
from provision.servers.dms.live import DmsLive
from tests.servers.engine import Engine
from tests.servers.faults import Make
from tests.servers.rig import ACCOUNTS, ContainerRig
from tests.waiting import wait_for

pytestmark = pytest.mark.engine
HASH = hash_password(Secret("Some-pass-word-1"))
ANN = f"ann@example.com|{HASH.reveal()}\n"


def live(one: ContainerRig, cache_seconds: float = 0) -> DmsLive:
    return DmsLive(Container(one.settings, 20), cache_seconds)


@pytest.fixture(scope="module")
def running(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> ContainerRig:
    one = ContainerRig(engine, tmp_path_factory.mktemp("running"), services=True)
    one.put({ACCOUNTS: ANN})
    wait_for(lambda: live(one).in_effect_since("ann@example.com"))
    return one


@contextmanager
def stopped(one: ContainerRig, service: str) -> Iterator[None]:
    one.run("supervisorctl", "stop", service)
    try:
        yield
    finally:
        one.run("supervisorctl", "start", service)


def test_change_detection_is_dead(running: ContainerRig) -> None:
    """Delivered, and never in effect: that is said, and told apart from what is in effect."""
    with stopped(running, "changedetector"):
        assert next(iter(running.open().apply([CreateMailbox("bob@example.com", HASH)]))).error is None
        assert "bob@example.com" in running.open().read().mailboxes
        assert live(running).in_effect_since("bob@example.com") is None
        assert live(running).facts().in_effect_since is None
        said = running.open().check()
        assert len(said) == 1
        assert "changedetector is STOPPED" in said[0]
        assert "never take effect" in said[0]
    assert wait_for(lambda: live(running).in_effect_since("bob@example.com"))


def test_without_an_account_no_service_runs_and_the_first_one_starts_them(new_container: Make) -> None:
    one = new_container(services=True)
    wait_for(lambda: live(one).facts().services)
    assert "no account" in one.open().check()[0]
    assert next(iter(one.open().apply([CreateMailbox("ann@example.com", Secret("Some-pass-word-1"))]))).error is None
    assert wait_for(lambda: live(one).in_effect_since("ann@example.com"))
    wait_for(lambda: one.open().check() == [])


def test_quotas_are_off(new_container: Make) -> None:
    one = new_container(services=True, environment={"ENABLE_QUOTAS": "0"})
    one.put({ACCOUNTS: ANN})
    wait_for(lambda: any("ENABLE_QUOTAS=0" in sentence for sentence in one.open().check()))


def test_dovecot_is_down(running: ContainerRig) -> None:
    with stopped(running, "dovecot"):
        with pytest.raises(MailServerError, match="Dovecot did not tell"):
            live(running).usage()
        assert "dovecot is STOPPED" in running.open().check()[0]


def test_answers_are_remembered_for_a_while(running: ContainerRig) -> None:
    first = live(running, cache_seconds=60).facts()
    with stopped(running, "changedetector"):
        assert live(running, cache_seconds=60).facts() is first, "over all openings of this process"
        assert live(running).facts().services["changedetector"] == "STOPPED"


def test_counts_waiting_mail_and_sessions(running: ContainerRig) -> None:
    one = running
    assert live(one).facts().queue_length == 0
    one.run("postconf", "defer_transports=smtp")
    one.run("postfix", "reload")
    one.run("sendmail", "-f", "ann@example.com", "someone@elsewhere.test", stdin=b"Subject: x\n\nx\n.\n")
    wait_for(lambda: live(one).facts().queue_length == 1)
    assert live(one).connected() == {}


def test_disabling_ends_the_sessions_that_are_open(running: ContainerRig) -> None:
    def change(one: Change) -> None:
        assert [outcome.error for outcome in running.open().apply([one])] == [None]

    with stopped(running, "changedetector"):  # whose rebuild would end them anyway, some seconds later
        session = imaplib.IMAP4(running.address)
        session.login("ann@example.com", "Some-pass-word-1")
        wait_for(lambda: live(running).connected() == {"ann@example.com": 1})
        change(SetEnabled("ann@example.com", False))
        wait_for(lambda: live(running).connected() == {}, 5)
        with pytest.raises(imaplib.IMAP4.abort):
            session.noop()
        change(SetEnabled("ann@example.com", True))
