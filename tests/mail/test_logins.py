"""Mailboxes of ours at the doors of a real mail server: who is let in, and who still gets mail."""

from provision.core.secret import Secret
from provision.storage.models import SyncStatus
from tests.conftest import PASSWORD
from tests.mail.conftest import OPEN, SHUT, Mail

NEW_PASSWORD = Secret("Battery-Staple-2")


def test_a_new_mailbox_logs_in_with_its_password_only(mail: Mail) -> None:
    mail.add("anna@example.com", PASSWORD)
    assert mail.logins("anna@example.com", PASSWORD) == OPEN
    assert mail.logins("anna@example.com", NEW_PASSWORD) == SHUT
    assert mail.logins("nobody@example.com", PASSWORD) == SHUT


def test_every_password_reaches_the_server_as_typed(mail: Mail) -> None:
    passwords = [
        "blank in 1 middle",
        "$(id)`id`'A1",
        "back\\slash-A1",
        "%d%u%{a}-A1",
        "Zürich-Ärger-1",
        "colon:Pipe|1",
        "{PLAIN}Secret1",
    ]
    for number, password in enumerate(passwords):
        mail.add(f"box{number}@example.com", Secret(password))
    mail.host.feed(mail.world.volume)
    for number, password in enumerate(passwords):
        assert mail.open_doors(f"box{number}@example.com", Secret(password)) == OPEN, password


def test_a_disabled_mailbox_is_shut_everywhere_and_still_receives(mail: Mail) -> None:
    row = mail.add("anna@example.com", PASSWORD)
    mail.world.app.services.mailboxes.disable(mail.world.alice, row.uid)
    assert mail.logins("anna@example.com", PASSWORD) == SHUT
    assert mail.deliver("anna@example.com", "while disabled") == ["anna@example.com"]
    assert mail.received("anna@example.com", "while disabled")


def test_enabling_restores_the_same_password(mail: Mail) -> None:
    row = mail.add("anna@example.com", PASSWORD, enabled=False)
    assert mail.logins("anna@example.com", PASSWORD) == SHUT
    assert mail.world.app.services.mailboxes.enable(mail.world.alice, row.uid).sync_status == SyncStatus.SYNCED
    assert mail.logins("anna@example.com", PASSWORD) == OPEN


def test_a_reset_password_replaces_the_old_one(mail: Mail) -> None:
    row = mail.add("anna@example.com", PASSWORD)
    mail.world.app.services.mailboxes.reset_password(mail.world.alice, row.uid, NEW_PASSWORD)
    assert mail.logins("anna@example.com", PASSWORD) == SHUT
    assert mail.logins("anna@example.com", NEW_PASSWORD) == OPEN


def test_a_reset_leaves_a_disabled_mailbox_disabled(mail: Mail) -> None:
    row = mail.add("anna@example.com", PASSWORD, enabled=False)
    mail.world.app.services.mailboxes.reset_password(mail.world.alice, row.uid, NEW_PASSWORD)
    assert mail.logins("anna@example.com", NEW_PASSWORD) == SHUT
    mail.world.app.services.mailboxes.enable(mail.world.alice, row.uid)
    assert mail.logins("anna@example.com", NEW_PASSWORD) == OPEN


def test_a_generated_password_works(mail: Mail) -> None:
    row = mail.add("anna@example.com", PASSWORD)
    _, made = mail.world.app.services.mailboxes.reset_password(mail.world.alice, row.uid)
    assert made is not None
    assert mail.logins("anna@example.com", made) == OPEN


def test_a_soft_deleted_mailbox_is_shut_until_it_is_restored(mail: Mail) -> None:
    row = mail.add("anna@example.com", PASSWORD)
    mail.world.app.services.mailboxes.delete(mail.world.alice, row.uid)
    assert mail.logins("anna@example.com", PASSWORD) == SHUT
    mail.world.app.services.mailboxes.restore(mail.world.alice, row.uid)
    assert mail.logins("anna@example.com", PASSWORD) == OPEN


def test_a_deleted_mailbox_is_gone(mail: Mail) -> None:
    row = mail.add("anna@example.com", PASSWORD)
    mail.world.app.services.mailboxes.delete(mail.world.alice, row.uid, force=True)
    assert mail.logins("anna@example.com", PASSWORD) == SHUT
    assert mail.host.postmap("anna@example.com", "vmailbox") == ""


def test_the_login_name_may_be_typed_in_capitals(mail: Mail) -> None:
    mail.add("anna@example.com", PASSWORD)
    assert mail.logins("Anna@Example.COM", PASSWORD) == OPEN


def test_an_international_domain_logs_in_under_its_stored_name(mail: Mail) -> None:
    mail.world.app.services.domains.create(mail.world.alice, "bücher.example.org", "main")
    row = mail.add("anna@bücher.example.org", PASSWORD)
    assert row.address == "anna@xn--bcher-kva.example.org"
    assert mail.logins(row.address, PASSWORD) == OPEN
    assert mail.host.postmap(row.address, "vmailbox") == "xn--bcher-kva.example.org/anna/"
