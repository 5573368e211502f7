"""Aliases of ours: read by Postfix, followed to the maildir, and as users of their own (dummy accounts)."""

from provision.core.secret import Secret
from provision.core.state import Resource
from provision.storage.models import SyncStatus
from tests.conftest import HASH, PASSWORD
from tests.mail.conftest import OPEN, SHUT, Mail

OTHER_PASSWORD = Secret("Battery-Staple-2")


def make_alias(mail: Mail, address: str, *destinations: str) -> None:
    row = mail.world.app.services.aliases.create(mail.world.alice, address, destinations)
    assert row.sync_status == SyncStatus.SYNCED


def test_an_alias_delivers(mail: Mail) -> None:
    mail.add("anna@example.com", PASSWORD)
    make_alias(mail, "info@example.com", "anna@example.com")
    assert mail.deliver("info@example.com", "to the alias") == ["anna@example.com"]
    assert mail.received("anna@example.com", "to the alias")


def test_several_destinations_each_get_the_mail(mail: Mail) -> None:
    mail.add("anna@example.com", PASSWORD)
    mail.add("bert@example.org", PASSWORD)
    make_alias(mail, "team@example.com", "anna@example.com", "bert@example.org")
    assert mail.deliver("team@example.com", "to all") == ["anna@example.com", "bert@example.org"]
    assert mail.received("anna@example.com", "to all")
    assert mail.received("bert@example.org", "to all")


def test_an_external_destination_is_resolved(mail: Mail) -> None:
    make_alias(mail, "out@example.com", "someone@elsewhere.net")
    mail.host.feed(mail.world.volume)
    assert mail.host.resolve("out@example.com") == ["someone@elsewhere.net"]


def test_a_catch_all_takes_what_has_no_entry_of_its_own(mail: Mail) -> None:
    mail.add("anna@example.com", PASSWORD)
    make_alias(mail, "@example.com", "anna@example.com")
    make_alias(mail, "bert@example.com", "bert@elsewhere.net")
    assert mail.deliver("whoever@example.com", "caught") == ["anna@example.com"]
    assert mail.received("anna@example.com", "caught")
    assert mail.host.resolve("bert@example.com") == ["bert@elsewhere.net"]


def test_an_edited_alias_goes_to_the_new_place_and_a_deleted_one_nowhere(mail: Mail) -> None:
    mail.add("anna@example.com", PASSWORD)
    services, alice = mail.world.app.services, mail.world.alice
    row = services.aliases.create(alice, "info@example.com", ["anna@example.com"])
    services.aliases.edit(alice, row.uid, ["bert@elsewhere.net"])
    mail.host.feed(mail.world.volume)
    assert mail.host.resolve("info@example.com") == ["bert@elsewhere.net"]
    services.aliases.delete(alice, row.uid)
    mail.host.feed(mail.world.volume)
    assert mail.host.postmap("info@example.com", "virtual") == ""


def test_the_alias_name_logs_in_with_the_password_of_its_own_mailbox(mail: Mail) -> None:
    """A longer address first in the file would lend the alias its password."""
    mail.add("aa@example.com", OTHER_PASSWORD)
    mail.add("a@example.com", PASSWORD)
    make_alias(mail, "support@example.com", "a@example.com")
    assert mail.logins("support@example.com", PASSWORD) == OPEN
    assert mail.logins("support@example.com", OTHER_PASSWORD) == SHUT


def test_a_dot_in_the_address_does_not_lend_the_alias_another_password(mail: Mail) -> None:
    """docker-mailserver searches with grep, where a dot is any letter."""
    mail.add("j-smith@example.com", OTHER_PASSWORD)
    mail.add("j.smith@example.com", PASSWORD)
    make_alias(mail, "support@example.com", "j.smith@example.com")
    assert mail.logins("support@example.com", PASSWORD) == OPEN
    assert mail.logins("support@example.com", OTHER_PASSWORD) == SHUT


def test_the_alias_of_a_disabled_mailbox_is_shut_and_still_delivers(mail: Mail) -> None:
    row = mail.add("anna@example.com", PASSWORD)
    make_alias(mail, "info@example.com", "anna@example.com")
    mail.world.app.services.mailboxes.disable(mail.world.alice, row.uid)
    assert mail.logins("info@example.com", PASSWORD) == SHUT
    mail.deliver("info@example.com", "to the disabled")
    assert mail.received("anna@example.com", "to the disabled")


def test_a_comment_that_names_the_mailbox_does_not_stop_docker_mailserver(mail: Mail) -> None:
    """It takes the comment for the account, finds no hash in it and shuts down."""
    mail.world.write("# anna@example.com belongs to the boss\n")
    mail.add("anna@example.com", PASSWORD)
    make_alias(mail, "info@example.com", "anna@example.com")
    assert mail.logins("info@example.com", PASSWORD) == OPEN
    assert "# anna@example.com belongs to the boss\n" in mail.world.text()


def test_an_alias_that_would_stop_docker_mailserver_is_refused(mail: Mail) -> None:
    mail.world.write(f"# anna@example.com belongs to the boss\nanna@example.com|{HASH.reveal()}\n")
    services, alice = mail.world.app.services, mail.world.alice
    row = services.aliases.create(alice, "info@example.com", ["anna@example.com"])
    assert row.sync_status == SyncStatus.PENDING
    assert "“# anna@example.com belongs to the boss”" in (row.error or "")
    mail.world.write(mail.world.text().partition("\n")[2])
    services.sync.retry(alice, Resource.ALIAS, row.uid)
    assert mail.logins("info@example.com", PASSWORD) == OPEN


def test_a_catch_all_leaves_the_mailboxes_their_mail(mail: Mail) -> None:
    """Postfix asks the aliases first, so without an alias to itself each mailbox would lose its mail."""
    mail.add("boss@example.com", PASSWORD)
    mail.add("anna@example.com", PASSWORD)
    make_alias(mail, "@example.com", "boss@example.com")
    mail.add("later@example.com", PASSWORD)
    for address in ("anna@example.com", "later@example.com"):
        mail.deliver(address, f"for {address}")
        assert mail.received(address, f"for {address}")
    mail.deliver("nobody@example.com", "for nobody")
    assert mail.received("boss@example.com", "for nobody")


def test_the_mail_of_a_deleted_mailbox_goes_to_the_catch_all(mail: Mail) -> None:
    mail.add("boss@example.com", PASSWORD)
    row = mail.add("anna@example.com", PASSWORD)
    make_alias(mail, "@example.com", "boss@example.com")
    mail.world.app.services.mailboxes.delete(mail.world.alice, row.uid, force=True)
    assert "anna" not in mail.world.text("postfix-virtual.cf")
    mail.deliver("anna@example.com", "too late")
    assert mail.received("boss@example.com", "too late")
