"""The life of a mailbox on a running mail server, as its user and its admin see it."""

import threading

import pytest

from provision.core.passwords import hash_password
from provision.core.secret import Secret
from provision.core.state import Change, CreateMailbox, DeleteMailbox, SetAlias, SetEnabled, SetPassword, SetQuota
from provision.servers.dms.docker_exec import Container
from provision.servers.dms.live import DmsLive
from tests.live.conftest import DOMAIN, LIVE_CONTAINER
from tests.live.journey import MailServerUnderTest
from tests.servers.rig import LiveRig

MB = 1 << 20
PASSWORD, OTHER = Secret("Journey-pass-1"), Secret("Journey-pass-2")


def live(server: MailServerUnderTest) -> DmsLive:
    """Without memory, so that each question is asked anew."""
    return DmsLive(Container(server.rig.settings, 30), cache_seconds=0)


@pytest.mark.parametrize("password", [PASSWORD, hash_password(PASSWORD)], ids=["plain", "hash"])
def test_a_new_mailbox_logs_in_and_receives(server: MailServerUnderTest, a_mailbox: str, password: Secret) -> None:
    server.apply(CreateMailbox(a_mailbox, password, 50 * MB))
    server.wait_for_login(a_mailbox, PASSWORD)
    server.wait_for_doors(a_mailbox, PASSWORD, open_=True)
    server.wait_for_doors(a_mailbox, OTHER, open_=False)
    assert server.send(a_mailbox)
    server.wait_for_messages(a_mailbox, 1)


def test_disabled_is_refused_everywhere_and_still_receives(server: MailServerUnderTest, a_mailbox: str) -> None:
    server.apply(CreateMailbox(a_mailbox, PASSWORD))
    server.wait_for_login(a_mailbox, PASSWORD)
    server.apply(SetEnabled(a_mailbox, False))
    server.wait_for_login(a_mailbox, PASSWORD, wanted=False)
    server.wait_for_doors(a_mailbox, PASSWORD, open_=False)
    assert server.send(a_mailbox)
    server.wait_for_messages(a_mailbox, 1)
    server.apply(SetEnabled(a_mailbox, True))
    server.wait_for_login(a_mailbox, PASSWORD)
    assert server.messages(a_mailbox) == 1


def test_a_new_password_replaces_the_old_one(server: MailServerUnderTest, a_mailbox: str) -> None:
    server.apply(CreateMailbox(a_mailbox, PASSWORD))
    server.wait_for_login(a_mailbox, PASSWORD)
    server.apply(SetPassword(a_mailbox, OTHER))
    server.wait_for_login(a_mailbox, OTHER)
    server.wait_for_login(a_mailbox, PASSWORD, wanted=False)


def test_aliases_and_the_catch_all_deliver(server: MailServerUnderTest, a_mailbox: str) -> None:
    bob = f"bob@{DOMAIN}"
    server.apply(
        CreateMailbox(a_mailbox, hash_password(PASSWORD)),
        CreateMailbox(bob, hash_password(PASSWORD)),
        SetAlias(f"both@{DOMAIN}", (a_mailbox, bob)),
    )
    for address in (a_mailbox, bob):
        server.wait_until_in_effect(address)
    assert server.send(f"both@{DOMAIN}")
    server.wait_for_messages(a_mailbox, 1)
    server.wait_for_messages(bob, 1)
    server.apply(SetAlias(f"@{DOMAIN}", (bob,)))
    server.wait_until_in_effect(bob)
    taken = not server.refuses_forwards()
    assert server.send(f"whoever@{DOMAIN}") is taken
    server.wait_for_messages(bob, 2 if taken else 1)
    server.wait_for_messages(a_mailbox, 1)


def test_a_forward_is_taken_or_it_is_said_that_it_is_refused(server: MailServerUnderTest, a_mailbox: str) -> None:
    server.apply(CreateMailbox(a_mailbox, hash_password(PASSWORD)))
    server.apply(SetAlias(f"one@{DOMAIN}", (a_mailbox,)), SetAlias(f"two@{DOMAIN}", (f"one@{DOMAIN}",)))
    server.wait_until_in_effect(a_mailbox)
    assert server.send(f"one@{DOMAIN}")
    assert server.send(f"two@{DOMAIN}") is not server.refuses_forwards()
    assert not server.send(f"nobody@{DOMAIN}")


def test_quota_and_use_are_told_for_mailboxes_only(server: MailServerUnderTest, a_mailbox: str) -> None:
    server.apply(CreateMailbox(a_mailbox, hash_password(PASSWORD), 50 * MB), SetAlias(f"info@{DOMAIN}", (a_mailbox,)))
    server.wait_until_in_effect(a_mailbox)
    assert server.send(a_mailbox)
    server.wait_for_messages(a_mailbox, 1)
    usage = live(server).usage()
    assert (usage[a_mailbox].limit_bytes, usage[a_mailbox].messages) == (50 * MB, 1)
    assert usage[a_mailbox].used_bytes > 0
    assert f"info@{DOMAIN}" not in usage
    server.apply(SetQuota(a_mailbox, 0))
    server.wait_until_in_effect(a_mailbox)
    assert live(server).usage()[a_mailbox].limit_bytes is None


@pytest.mark.parametrize("erase", [True, False], ids=["with mail", "mail kept"])
@pytest.mark.parametrize("batch", [True, False], ids=["in a batch", "alone"])
def test_deleting_erases_mail_only_when_asked(
    server: MailServerUnderTest, a_mailbox: str, erase: bool, batch: bool
) -> None:
    bob = f"bob@{DOMAIN}"
    server.apply(CreateMailbox(a_mailbox, hash_password(PASSWORD)), CreateMailbox(bob, hash_password(PASSWORD)))
    server.wait_until_in_effect(a_mailbox)
    server.send(a_mailbox)
    server.wait_for_messages(a_mailbox, 1)
    changes: list[Change] = [DeleteMailbox(a_mailbox, erase_mail=erase)]
    server.apply(*changes, *([SetQuota(bob, MB)] if batch else []))
    assert a_mailbox not in server.rig.open().read().mailboxes
    assert server.has_mail_folder(a_mailbox) is not erase


def test_deleting_with_mail_before_there_is_a_mail_folder(server: MailServerUnderTest, a_mailbox: str) -> None:
    server.apply(CreateMailbox(a_mailbox, PASSWORD))
    server.apply(DeleteMailbox(a_mailbox, erase_mail=True))
    assert a_mailbox not in server.rig.open().read().mailboxes


def test_setup_run_by_hand_enables_a_disabled_mailbox_and_that_is_seen(
    server: MailServerUnderTest, a_mailbox: str
) -> None:
    server.apply(CreateMailbox(a_mailbox, hash_password(PASSWORD)))
    server.apply(SetEnabled(a_mailbox, False))
    server.run("setup", "email", "update", a_mailbox, stdin=f"{OTHER.reveal()}\n" * 2)
    assert server.rig.open().read().mailboxes[a_mailbox].enabled
    server.apply(SetEnabled(a_mailbox, False))
    server.wait_for_login(a_mailbox, OTHER, wanted=False)


def test_a_person_runs_setup_while_we_push(server: MailServerUnderTest, a_mailbox: str) -> None:
    def by_hand() -> None:
        for n in range(5):
            server.run("setup", "email", "add", f"hand{n}@{DOMAIN}", stdin=f"{OTHER.reveal()}\n" * 2)

    person = threading.Thread(target=by_hand)
    person.start()
    for n in range(5):
        server.apply(CreateMailbox(f"ours{n}@{DOMAIN}", hash_password(PASSWORD)))
    person.join()
    found = server.rig.open().read().mailboxes
    assert {f"{who}{n}@{DOMAIN}" for who in ("hand", "ours") for n in range(5)} <= set(found)
    server.wait_until_in_effect(f"ours4@{DOMAIN}")
    server.wait_until_in_effect(f"hand4@{DOMAIN}")


def test_says_what_the_server_is(server: MailServerUnderTest) -> None:
    facts = live(server).facts()
    assert facts.release
    assert facts.settings["ACCOUNT_PROVISIONER"] == "FILE"
    assert facts.services == {"dovecot": "RUNNING", "postfix": "RUNNING", "changedetector": "RUNNING"}
    assert facts.disk_bytes > facts.disk_free_bytes > 0
    assert server.rig.open().check() == []


@pytest.mark.live
def test_a_real_server_is_well() -> None:
    if not LIVE_CONTAINER:
        pytest.skip("Tests against a real docker-mailserver are left out: POSTROOM_LIVE_CONTAINER is not set.")
    assert LiveRig(LIVE_CONTAINER).open().check() == []
