"""Files that people wrote by hand, edited by us since: both their accounts and ours work. And what never gets in."""

import pytest

from provision.core.errors import InvalidEmail, InvalidInput
from provision.core.secret import Secret
from provision.services.new_mailbox import NewMailbox
from tests.conftest import HASH, PASSWORD
from tests.mail import clients
from tests.mail.conftest import OPEN, SHUT, Mail

MB = 1 << 20
THEIRS = f"hand@example.com|{HASH.reveal()}"


@pytest.mark.parametrize(
    "text",
    [
        THEIRS,
        f"{THEIRS}\r\n",
        f"# by hand\r\n\r\n{THEIRS}",
        f"\n\n{THEIRS}\n\n# end",
        f"{THEIRS}|userdb_mail_note=x\r\n",
    ],
    ids=["no newline", "CRLF", "CRLF and no newline", "blank lines", "CRLF behind attributes"],
)
def test_an_account_made_by_hand_and_one_of_ours_both_log_in(mail: Mail, text: str) -> None:
    mail.world.write(text)
    mail.add("ours@example.com", PASSWORD)
    assert mail.logins("hand@example.com", PASSWORD) == OPEN
    assert mail.logins("ours@example.com", PASSWORD) == OPEN


def test_disabling_an_adopted_account_keeps_its_attributes(mail: Mail) -> None:
    mail.world.write(f"{THEIRS}|userdb_note=x\r\n")
    app, alice = mail.world.app, mail.world.alice
    app.services.sync.pull(alice, mail.world.server.uid)
    (row,) = app.queries.mailboxes(alice).rows
    app.services.mailboxes.disable(alice, row["uid"])
    assert mail.logins("hand@example.com", PASSWORD) == SHUT
    assert "|userdb_note=x fail=y" in mail.world.text()
    app.services.mailboxes.enable(alice, row["uid"])
    assert mail.logins("hand@example.com", PASSWORD) == OPEN
    assert "|userdb_note=x\n" in mail.world.text().replace("\r", "")


def test_quotas_and_aliases_with_crlf_work_beside_ours(mail: Mail) -> None:
    mail.world.write(f"{THEIRS}\r\n")
    mail.world.write("hand@example.com:5M\r\n", "dovecot-quotas.cf")
    mail.world.write("info@example.com hand@example.com\r\n", "postfix-virtual.cf")
    mail.world.add("ours@example.com", quota_bytes=7 * MB)
    mail.world.app.services.aliases.create(mail.world.alice, "team@example.com", ["ours@example.com"])
    assert mail.deliver("info@example.com", "to the hand-made alias") == ["hand@example.com"]
    assert mail.deliver("team@example.com", "to our alias") == ["ours@example.com"]
    assert mail.host.quota_bytes("ours@example.com") == 7 * MB


NAUGHTY = [
    "a|b@example.com",
    "a b@example.com",
    "a\nb@example.com",
    "a\n@example.com",
    "a@example.com\n",
    "a:b@example.com",
    "-rf@example.com",
    "../../x@example.com",
    "$(id)@example.com",
    "`id`@example.com",
    "a*@example.com",
    "[a@example.com",
    "#a@example.com",
    "a\\b@example.com",
    "a&b@example.com",
    "a,b@example.com",
    "ü@example.com",
    "a@../../etc",
    "a@example.com/..",
    "a@@example.com",
    "@@example.com",
    "a%d@example.com",
    "a\0@example.com",
    "a" * 65 + "@example.com",
]


def test_an_address_that_would_break_the_files_never_reaches_them(mail: Mail) -> None:
    services, alice = mail.world.app.services, mail.world.alice
    for address in NAUGHTY:
        with pytest.raises(InvalidEmail):
            services.mailboxes.create(alice, NewMailbox(address, password=PASSWORD))
        with pytest.raises(InvalidEmail):
            services.aliases.create(alice, address, ["anna@example.com"])
        with pytest.raises(InvalidEmail):
            services.aliases.create(alice, "info@example.com", [address])
    assert not any(mail.world.volume.iterdir())


def test_a_hash_with_more_behind_it_never_reaches_the_files(mail: Mail) -> None:
    for tail in ("\nroot@example.com|{PLAIN}x", "|fail=n", ":0:0::/::", " x", "\r"):
        new = NewMailbox("anna@example.com", password_hash=Secret(HASH.reveal() + tail))
        with pytest.raises(InvalidInput):
            mail.world.app.services.mailboxes.create(mail.world.alice, new)
    assert not any(mail.world.volume.iterdir())


def test_every_shape_of_address_logs_in_and_receives(mail: Mail) -> None:
    addresses = [f"{local}@example.com" for local in ("a.b_c-d", "a--b", "end_", "0", "a" * 64)]
    for address in addresses:
        mail.add(address, PASSWORD)
    mail.host.feed(mail.world.volume)
    for address in addresses:
        assert mail.open_doors(address, PASSWORD) == OPEN
        assert mail.host.resolve(address) == [address]
        clients.deliver(mail.host, address, "any shape")
        assert mail.received(address, "any shape")


def test_plus_and_equals_are_for_aliases(mail: Mail) -> None:
    """Dovecot, as docker-mailserver sets it up, lets nobody in whose name has one; an alias of that name delivers."""
    mail.add("bert@example.com", PASSWORD)
    for local in ("anna+tag", "anna=home"):
        with pytest.raises(InvalidEmail, match="make it an alias"):
            mail.add(f"{local}@example.com", PASSWORD)
        mail.world.app.services.aliases.create(mail.world.alice, f"{local}@example.org", ["bert@example.com"])
        assert mail.deliver(f"{local}@example.org", f"to {local}") == ["bert@example.com"]
        assert mail.received("bert@example.com", f"to {local}")
