"""Every naughty string through every way into the product: refused with a sentence, or kept and read back the same."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import idna
import pytest

from provision.app import Postroom
from provision.core.access import Role
from provision.core.errors import ProvisionError
from provision.core.secret import Secret
from provision.queries import LogFilter, MailboxFilter
from provision.services.new_mailbox import NewMailbox
from tests.attack.naughty import ALL, CANARY_FILE, hard
from tests.conftest import HASH, PASSWORD, World, make_world
from tests.nightly import by_day

Way = Callable[[World, str], Any]
REFUSED = object()


@pytest.fixture
def still(postroom: Postroom, volume: Path) -> World:
    """A world whose server gathers changes for an hour, so that nothing is written in the meantime."""
    world = make_world(postroom, volume)
    postroom.services.servers.edit(world.alice, world.server.uid, quiet_seconds=3600)
    return world


@pytest.fixture(autouse=True)
def no_command_was_run() -> Iterator[None]:
    traces = [Path(CANARY_FILE), Path("/tmp/blns.fail"), Path("/tmp/blns.shellshock1.fail")]
    assert not any(trace.exists() for trace in traces)
    yield
    assert not any(trace.exists() for trace in traces)


def some_address() -> str:
    return f"a{uuid4().hex}@example.com"


# ---- each way in: gives what is kept, or raises ProvisionError ------------------------------------


def mailbox_address(world: World, text: str) -> str:
    made = world.app.services.mailboxes.create(world.alice, NewMailbox(text, password_hash=HASH))
    assert world.app.queries.mailbox_by_address(world.alice, made.address).uid == made.uid
    return str(world.app.queries.mailboxes(world.alice, MailboxFilter(made.address)).rows[0]["address"])


def display_name(world: World, text: str) -> str:
    made = world.app.services.mailboxes.create(
        world.alice, NewMailbox(some_address(), password_hash=HASH, display_name=text)
    )
    return str(world.app.queries.mailbox_row(world.alice, made.uid)["display_name"])


def alias_address(world: World, text: str) -> str:
    made = world.app.services.aliases.create(world.alice, text, ["x@elsewhere.net"])
    return str(world.app.queries.alias_row(world.alice, made.uid)["address"])


def destination(world: World, text: str) -> str:
    made = world.app.services.aliases.create(world.alice, some_address(), [text])
    (found,) = world.app.queries.alias_row(world.alice, made.uid)["destinations"]
    return str(found)


def password_hash(world: World, text: str) -> object:
    made = world.app.services.mailboxes.create(world.alice, NewMailbox(some_address(), password_hash=Secret(text)))
    assert made.password_hash.isprintable()
    return text


def password(world: World, text: str) -> object:
    """Kept as a hash only: that it is the same is for the round trip through Dovecot to say."""
    world.app.services.mailboxes.reset_password(
        world.alice, world.app.queries.mailbox_by_address(world.alice, "p@example.com").uid, Secret(text)
    )
    return text


def domain_name(world: World, text: str) -> str:
    made = world.app.services.domains.create(world.alice, text, "main")
    return str(world.app.queries.domain_by_name(world.alice, made.name).name)


def description(world: World, text: str) -> str:
    world.app.services.domains.edit(world.alice, world.com.uid, description=text)
    return str(world.app.queries.domain_by_name(world.alice, "example.com").description)


def server_name(world: World, text: str) -> str:
    world.app.services.servers.create(world.alice, text, "dms_files", {"path": "/nowhere"})
    return str(world.app.queries.server_by_name(world.alice, text.strip()).name)


def server_path(world: World, text: str) -> str:
    made = world.app.services.servers.create(world.alice, uuid4().hex, "dms_files", {"path": text})
    return str(world.app.queries.server_by_name(world.alice, made.name).settings["path"])


def operator_name(world: World, text: str) -> str:
    world.app.services.operators.create(world.alice, text, Role.VIEWER, password=PASSWORD)
    return str(_operator(world, text.strip().lower())["username"])


def operator_display_name(world: World, text: str) -> str:
    world.app.services.operators.edit(world.alice, _operator(world, "vera")["uid"], display_name=text)
    return str(_operator(world, "vera")["display_name"])


def operator_email(world: World, text: str) -> str | None:
    world.app.services.operators.edit(world.alice, _operator(world, "vera")["uid"], email=text)
    return _operator(world, "vera")["email"]


def token_name(world: World, text: str) -> str:
    world.app.services.tokens.create(world.alice, text, ["mailbox:read"])
    return str(world.app.services.tokens.by_name(world.alice, text.strip())["name"])


def token_network(world: World, text: str) -> str:
    row, _token = world.app.services.tokens.create(world.alice, uuid4().hex, ["mailbox:read"], networks=[text])
    return str(row.networks[0])


def _operator(world: World, name: str) -> Any:
    return next(row for row in world.app.queries.operators(world.alice) if row["username"] == name)


WAYS: list[Way] = [
    mailbox_address,
    display_name,
    alias_address,
    destination,
    password_hash,
    password,
    domain_name,
    description,
    server_name,
    server_path,
    operator_name,
    operator_display_name,
    operator_email,
    token_name,
    token_network,
]
FOLDED = {mailbox_address, alias_address, destination, domain_name, operator_email}
SLOW = {
    display_name,
    password,
    server_name,
    operator_name,
    token_name,
}  # what they accept costs a hash or a growing list


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_it_is_refused_or_reads_back_the_same(still: World, way: Way) -> None:
    still.add("p@example.com")
    still.app.services.operators.create(still.alice, "vera", Role.VIEWER, password=PASSWORD)
    for text in texts(still, slow=way in SLOW):
        kept, refusal = tried(still, way, text)
        if refusal:
            assert all(c.isprintable() or c == "\n" for c in refusal), text
        elif way in FOLDED:
            assert folded(kept) == folded(text), text
        else:
            assert kept == (text.strip().lower() if way is operator_name else text.strip()), text
    assert still.app.queries.verify_audit(still.alice).intact


def texts(world: World, *, slow: bool = False) -> list[str]:
    """By day some of each kind; at night all of them on SQLite. What PostgreSQL takes, test_api_strings tries, too."""
    if not world.app.database.is_sqlite:
        return hard(30 if slow else 250)
    return hard(by_day(30, 120)) if slow else by_day(hard(150), ALL)


def tried(world: World, way: Way, text: str) -> tuple[Any, str]:
    try:
        return way(world, text), ""
    except ProvisionError as error:
        return None, error.message


def folded(text: str) -> str:
    """Addresses are kept in lower case and domains as ASCII."""
    local, at, domain = text.strip(" ").rpartition("@")
    return f"{local}{at}{idna.encode(domain.rstrip('.'), uts46=True).decode()}".lower()


# ---- reading ------------------------------------------------------------------------------------


def searches(world: World, text: str) -> list[Any]:
    read, alice = world.app.queries, world.alice
    return [
        *read.mailboxes(alice, MailboxFilter(text)).rows,
        *read.mailboxes(alice, MailboxFilter(domain=text)).rows,
        *read.aliases(alice, search=text).rows,
        *read.aliases(alice, domain=text).rows,
        *read.logs(alice, LogFilter(search=text)).rows,
        *read.logs(alice, LogFilter(operator=text, operation=text)).rows,
        *read.each_mailbox(alice, MailboxFilter(text)),
    ]


def test_a_search_finds_what_holds_the_text_and_nothing_else(still: World) -> None:
    still.add("anna@example.com", display_name="Anna")
    still.app.services.aliases.create(still.alice, "info@example.com", ["anna@example.com"])
    for text in texts(still):
        found, _refusal = tried(still, searches, text)
        for row in found or ():
            assert text.strip().lower() in str(row).lower(), (text, row)


def test_what_is_not_there_is_not_found(still: World) -> None:
    for text in texts(still):
        for find in (
            still.app.queries.mailbox_by_address,
            still.app.queries.domain_by_name,
            still.app.queries.server_by_name,
        ):
            with pytest.raises(ProvisionError):
                find(still.alice, text)
