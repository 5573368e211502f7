"""Whatever is accepted as address, alias, destination, quota or password means the same to Dovecot and Postfix."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from provision.core.errors import ProvisionError
from provision.core.letters import normal
from provision.core.secret import Secret
from provision.services.new_mailbox import NewMailbox
from tests.attack.naughty import ALL, OURS, hard
from tests.conftest import HASH, PASSWORD, World
from tests.mail.clients import smtp_auth
from tests.mail.conftest import Mail, database_url, host, mail, running_host  # noqa: F401

pytestmark = pytest.mark.mail
SHAPES = ("{}", "{}@example.com", "anna@{}")
TRIED = 12  # logins; Dovecot takes its time to refuse one
QUOTAS_MB = ("0", "1", "1024", "0.5", "1048576", "007", "1.25")


@pytest.fixture
def busy(mail: Mail) -> World:  # noqa: F811
    """Nothing is written before all is wanted."""
    world = mail.world
    world.app.services.servers.edit(world.alice, world.server.uid, quiet_seconds=3600)
    world.app.services.domains.create(world.alice, "sub.example.com", "main")
    return world


def typed() -> Iterator[str]:
    yield from dict.fromkeys(shape.replace("{}", text) for shape in SHAPES for text in ALL)


def push(world: World) -> None:
    result = world.app.services.sync.push(world.alice, world.server.uid)
    assert not result.failed, result


def test_each_accepted_mailbox_is_a_user_of_dovecot_and_nobody_else_is(mail: Mail, busy: World) -> None:  # noqa: F811
    write, made = busy.app.services, dict[str, int]()
    for number, text in enumerate(typed()):
        with suppress(ProvisionError):
            quota = (number % 40 + 1) << 20
            made[
                write.mailboxes.create(busy.alice, NewMailbox(text, password_hash=HASH, quota_bytes=quota)).address
            ] = quota
    assert len(made) > 30
    push(busy)
    mail.host.feed(busy.volume)
    users = mail.host.doveadm("user", "*").stdout.split()
    assert {user for user in users if not user.endswith("marker.test")} == set(made)
    limits = mail.host.doveadm("-f", "tab", "quota", "get", "-A").stdout.splitlines()
    told = {
        line.split("\t")[0]: int(line.split("\t")[4]) * 1024
        for line in limits
        if "\tSTORAGE\t" in line and "\t-\t" not in line.partition("STORAGE")[2]
    }
    assert {user: told.get(user) for user in made} == made
    for address in list(made)[:: max(1, len(made) // TRIED)]:
        local, _, domain = address.partition("@")
        assert mail.host.postmap(address, "vmailbox") == f"{domain}/{local}/"


def test_each_accepted_alias_leads_where_the_page_says(mail: Mail, busy: World) -> None:  # noqa: F811
    write, made = busy.app.services, dict[str, list[str]]()
    texts = list(typed())
    for number, text in enumerate(texts):
        with suppress(ProvisionError):
            made[write.aliases.create(busy.alice, text, ["x@elsewhere.net"]).address] = ["x@elsewhere.net"]
        with suppress(ProvisionError):
            row = write.aliases.create(busy.alice, f"to{number}@example.com", [text, "y@elsewhere.net"])
            made[row.address] = list(row.destinations)
    assert len(made) > 30
    push(busy)
    mail.host.feed(busy.volume)
    known = dict(line.split(None, 1) for line in mail.host.virtual().splitlines())
    assert {address: [part.strip() for part in known[address].split(",")] for address in made} == made
    assert set(known) == set(made)


def test_each_accepted_password_opens_the_door_and_a_shorter_one_does_not(mail: Mail, busy: World) -> None:  # noqa: F811
    write, made = busy.app.services, dict[str, Secret]()
    for number, text in enumerate(hard(120)):
        for password in (text, f"Aa1-{text}"):
            with suppress(ProvisionError):
                row = write.mailboxes.create(
                    busy.alice, NewMailbox(f"p{number}-{len(made)}@example.com", password=Secret(password))
                )
                made[row.address] = Secret(normal(password))
    assert len(made) > 40
    push(busy)
    mail.host.feed(busy.volume)
    for address, password in list(made.items()):
        assert smtp_auth(mail.host, address, password), password.reveal()
    for address, password in list(made.items())[:3]:
        assert not smtp_auth(mail.host, address, Secret(password.reveal()[:-1]))


def test_each_accepted_hash_is_one_field_of_one_line(busy: World) -> None:
    write, made = busy.app.services, dict[str, str]()
    tail = HASH.reveal().rpartition("$")[2]
    for number, text in enumerate(OURS):
        for shape in (
            text,
            f"{{SHA512-CRYPT}}$6${text[:16]}${tail}",
            HASH.reveal() + text,
            text + HASH.reveal(),
            f"{{{text}}}x",
        ):
            with suppress(ProvisionError):
                row = write.mailboxes.create(
                    busy.alice, NewMailbox(f"h{number}-{len(made)}@example.com", password_hash=Secret(shape))
                )
                made[row.address] = shape.strip()
    push(busy)
    lines = busy.text().split("\n")[:-1]
    assert len(lines) == len(made)
    assert all(line.isprintable() and line.isascii() and line.count("|") == 1 for line in lines)


@pytest.mark.parametrize("text", QUOTAS_MB)
def test_each_quota_of_a_csv_is_what_dovecot_applies(mail: Mail, text: str) -> None:  # noqa: F811
    from provision.transfer.csv_io import import_csv

    data = f"email,password,quota_mb\nanna@example.com,{PASSWORD.reveal()},{text}\n".encode()
    assert not import_csv(mail.world.app, mail.world.alice, data).errors
    mail.host.feed(mail.world.volume)
    shown = mail.world.app.queries.mailbox_by_address(mail.world.alice, "anna@example.com").quota_bytes
    assert shown == int(float(text) * (1 << 20))
    assert mail.host.quota_bytes("anna@example.com") == (shown or None)
