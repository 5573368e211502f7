"""Who may do what: every public method of the two front doors, found by looking at them."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from operator import attrgetter
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy
from sqlalchemy import func, select

from provision.core.access import Actor, Role
from provision.core.errors import AccessDenied, NotFound
from provision.core.secret import Secret
from provision.core.state import Key, Resource
from provision.queries import Page, Queries
from provision.services import Services
from provision.services.aliases import NewAlias
from provision.services.new_mailbox import NewMailbox
from provision.services.resolving import Winner
from provision.services.updating import Wanted
from provision.storage.models import Alias, AuditLink, Domain, Mailbox, Operator, ProvisionLog, SyncStatus
from tests.conftest import HASH, World

SERVICES = {field.name: field.type for field in fields(Services) if field.name not in ("idempotency", "delivery")}
PUBLIC = {
    f"{noun}.{name}": method
    for noun, service in SERVICES.items()
    for name, method in inspect.getmembers(service, inspect.isfunction)
    if not name.startswith("_")
}
METHODS = sorted(name for name, method in PUBLIC.items() if hasattr(method, "operation"))
READS = sorted(name for name, _ in inspect.getmembers(Queries, inspect.isfunction) if not name.startswith("_"))
VIEWER_MAY = {"sync.preview", "sync.compare", "policy.show"}
# What a DomainAdmin may call for a whole server: it touches, or shows, their own domains only.
NOT_ABOUT_ONE_DOMAIN = {f"sync.{name}" for name in ("push", "pull", "preview", "compare", "retry_all", "resolve_all")}
NOT_ABOUT_ONE_DOMAIN.add("policy.show")
ONLY_READS = {"tokens.tokens", "tokens.by_name", "tokens.record_denial"}
SECRET = "boss"  # in every name and address of the foreign domain


@pytest.fixture
def foreign(world: World) -> World:
    """example.org, which is not Dora's: a mailbox, an alias, an operator with a mailbox there, a difference, a log."""
    app, alice = world.app.services, world.alice
    app.domains.create(alice, "boss.example", "main", description="boss")
    boss = world.add("boss@boss.example", display_name="boss")
    app.aliases.create(alice, "boss-alias@boss.example", ["boss@boss.example"])
    add_operator(world, "root", Role.SUPER_ADMIN)
    app.mailboxes.disable(alice, boss.uid)
    unknown = [f"boss-unknown@{domain}|{HASH.reveal()}\n" for domain in ("boss.example", "nowhere-boss.example")]
    world.write(world.text() + "".join(unknown) + "Boss@boss.example|x\n")
    world.write(f"boss-waits@boss.example|{HASH.reveal().replace('h62PO', 'h62PX')}\n" + world.text())
    world.add("boss-waits@boss.example")
    return world


def add_operator(world: World, username: str, role: Role, email: str | None = None) -> None:
    """Without the time that hashing their password takes."""
    with world.app.database.write() as session:
        session.add(Operator(username=username, role=role, email=email, password_hash="none"))


def arguments(world: World) -> dict[str, Any]:
    """Values for every parameter that public methods take, all about the foreign domain."""
    with world.app.database.read() as session:
        boss = session.scalars(select(Mailbox).where(Mailbox.address == "boss@boss.example")).one()
        alias = session.scalars(select(Alias)).one()
        domain = session.scalars(select(Domain).where(Domain.name == "boss.example")).one()
        log = session.scalars(select(ProvisionLog).where(ProvisionLog.domain == "boss.example")).first()
    assert log is not None
    operator = world.app.queries.operators(world.alice)[0]["uid"]
    token, _secret = world.app.services.tokens.create(world.alice, f"boss-{uuid4()}", ["mailbox:read"])
    return {
        "mailbox": boss.uid,
        "alias": alias.uid,
        "domain": domain.uid,
        "server": world.server.uid,
        "operator": operator,
        "log": log.uid,
        "new": NewMailbox("new@boss.example", password_hash=HASH),
        "aliases": [NewAlias("boss-2@boss.example", ["x@y.net"])],
        "wanted": [Wanted("boss@boss.example", display_name="new")],
        "news": [NewMailbox("new@boss.example", password_hash=HASH)],
        "address": "new-alias@boss.example",
        "destinations": ["x@y.net"],
        "quota_bytes": 1 << 20,
        "resource": Resource.MAILBOX,
        "key": Key(Resource.MAILBOX, "boss@boss.example"),
        "winner": Winner.SERVER,
        "password": Secret("Other-Horse-2"),
        "name": "new",
        "kind": "dms_files",
        "settings": {"path": "/x"},
        "server_name": "main",
        "username": "eve",
        "scopes": ["mailbox:read"],
        "changes": {"max_attempts": 3},
        "token": token.uid,
        "role": "SuperAdmin",
        "server_id": world.server.uid,
        "mailbox_id": boss.uid,
        "domain_name": "new.example",
    }


def call(world: World, name: str, actor: Actor) -> Any:
    """Call a public method of a service with what it requires, about the foreign domain."""
    method = attrgetter(name)(world.app.services)
    values = arguments(world)
    noun = next(
        (n for n in ("alias", "domain", "server", "operator", "token") if n in method.operation.about), "mailbox"
    )
    given: list[Any] = []
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.default is not parameter.empty or parameter.kind is parameter.KEYWORD_ONLY:
            break
        match parameter.name:
            case "uid":
                given.append(values[noun])
            case "uids":
                given.append([values[noun]])
            case "keys":
                given.append([values["key"] if "resolve" in name else (Resource.MAILBOX, values["mailbox"])])
            case "name" if noun == "domain":
                given.append("new.example")
            case other:
                given.append(values[other])
    return method(actor, *given)


def everything(world: World) -> tuple[Any, ...]:
    """The wanted state, the operators and the files."""
    with world.app.database.read() as session:
        rows = [session.execute(select(t.uid, t.generation, t.version).order_by(t.id)).all() for t in (Mailbox, Alias)]
        rows.append(session.execute(select(Domain.uid, Domain.version).order_by(Domain.id)).all())
    people = world.app.queries.operators(world.alice)
    return (rows, people, {path.name: path.read_bytes() for path in world.volume.iterdir()})


def denials(world: World) -> int:
    with world.app.database.read() as session:
        return session.scalar(select(func.count()).where(ProvisionLog.resource_type == "access")) or 0


def require_denied(world: World, name: str, actor: Actor) -> None:
    before, denied = everything(world), denials(world)
    with pytest.raises(AccessDenied) as caught:
        call(world, name, actor)
    assert (caught.value.status, caught.value.code) == (403, "INSUFFICIENT_PERMISSION")
    assert everything(world) == before
    with world.app.database.read() as session:
        log = session.scalars(select(ProvisionLog).order_by(ProvisionLog.id.desc()).limit(1)).one()
        links = session.scalar(select(func.count()).where(AuditLink.log_uid == log.uid))
    assert (log.operator, log.ip, log.status, log.resource_type) == (actor.name, actor.ip, "FAILED", "access")
    assert log.operation == PUBLIC[name].operation
    assert (denials(world), links) == (denied + 1, 2)


def test_every_public_method_of_a_service_is_marked() -> None:
    takes_actor = {name for name, method in PUBLIC.items() if "actor" in inspect.signature(method).parameters}
    assert takes_actor - ONLY_READS == set(METHODS)
    assert len(METHODS) > 25


def test_a_viewer_is_denied_and_it_is_recorded(foreign: World, subtests: pytest.Subtests) -> None:
    for name in METHODS:
        if name not in VIEWER_MAY:
            with subtests.test(name):
                require_denied(foreign, name, foreign.vera)


def test_a_domain_admin_is_denied_in_foreign_domains_and_it_is_recorded(
    foreign: World, subtests: pytest.Subtests
) -> None:
    for name in METHODS:
        if name not in NOT_ABOUT_ONE_DOMAIN:
            with subtests.test(name):
                require_denied(foreign, name, foreign.dora)


def test_what_a_domain_admin_does_with_a_server_neither_shows_nor_changes_other_domains(
    foreign: World, subtests: pytest.Subtests
) -> None:
    before = everything(foreign)
    for name in sorted(NOT_ABOUT_ONE_DOMAIN):
        with subtests.test(name):
            assert SECRET not in repr(call(foreign, name, foreign.dora)).lower()
            assert everything(foreign) == before


def test_a_push_names_what_was_refused_in_ones_own_domains_only(foreign: World) -> None:
    app = foreign.app
    late = ["anna-late@example.com", "boss-late@boss.example"]
    foreign.write("".join(f"{a}|{HASH.reveal().replace('h62PO', 'h62PX')}\n" for a in late) + foreign.text())
    app.services.delivery.enabled = False
    for address in late:
        app.services.mailboxes.create(foreign.alice, NewMailbox(address, password_hash=HASH))
    result = app.services.sync.push(foreign.dora, foreign.server.uid)
    assert (result.failed, [failure.address for failure in result.failures]) == (2, late[:1])
    for address in late:
        row = app.queries.mailbox_by_address(foreign.alice, address)
        app.services.mailboxes.edit(foreign.alice, row.uid, quota_bytes=1 << 20)
    app.services.delivery.enabled = False
    app.services.sync.retry_all(foreign.alice)
    whole = app.services.sync.push(foreign.alice, foreign.server.uid)
    assert {failure.address for failure in whole.failures} >= set(late)


# ---- rank ----------------------------------------------------------------------------------

MAILBOX_METHODS = [
    "mailboxes.reset_password",
    "mailboxes.disable",
    "mailboxes.edit",
    "mailboxes.delete",
    "mailboxes.enable",
    "mailboxes.restore",
    "bulk.disable",
    "bulk.enable",
    "bulk.set_quota",
    "bulk.delete",
    "bulk.restore",
    "mailboxes.verify_password",
]


def test_nobody_touches_the_mailbox_of_an_operator_who_outranks_them(foreign: World, subtests: pytest.Subtests) -> None:
    """Who resets the password of a SuperAdmin's mailbox reads their mail and becomes them."""
    add_operator(foreign, "chief", Role.SUPER_ADMIN, "boss@boss.example")
    with foreign.app.database.read() as session:
        domain = session.scalars(select(Domain).where(Domain.name == "boss.example")).one()
    dora = Actor("dora", Role.DOMAIN_ADMIN, 2, frozenset({domain.id}), "192.0.2.2")
    for name in MAILBOX_METHODS:
        with subtests.test(name):
            require_denied(foreign, name, dora)


def test_a_domain_admin_may_touch_the_mailbox_of_their_equals(world: World) -> None:
    row = world.add("anna@example.com")
    add_operator(world, "anna", Role.DOMAIN_ADMIN, "anna@example.com")
    assert world.app.services.mailboxes.disable(world.dora, row.uid).sync_status == SyncStatus.SYNCED


# ---- reading -------------------------------------------------------------------------------


def readings(world: World, name: str, actor: Actor) -> Iterator[Any]:
    """What a query gives, called with what it requires, about the foreign domain."""
    method: Callable[..., Any] = getattr(world.app.queries, name)
    values = arguments(world)
    required = [p for p in list(inspect.signature(method).parameters.values())[1:] if p.default is p.empty]
    by_name = {"name": "boss.example" if "domain" in name else "main"}
    uid = values["log"] if name == "log" else values["alias"] if "alias" in name else values["mailbox"]
    address = "boss-alias@boss.example" if "alias" in name else "boss@boss.example"
    by_kind = {"resource": Resource.MAILBOX, "resource_type": Resource.MAILBOX}
    by_address = {"address": address, "addresses": ["boss@boss.example"]}
    by_address |= {"destinations": ["boss@boss.example"], "mailboxes": ["boss@boss.example"]}
    given = [{"uid": uid, "uids": [uid], **by_kind, **by_address, **by_name}[p.name] for p in required]
    found = method(actor, *given)
    if isinstance(found, Page):
        yield found.total
        found = found.rows
    yield from found if isinstance(found, Iterator | list | tuple) else [found]


def shown_by(world: World, name: str, actor: Actor) -> str:
    """All that a query shows to somebody; "" when it is refused."""
    try:
        return "".join(as_text(item) for item in readings(world, name, actor)).lower()
    except (AccessDenied, NotFound):
        return ""


@pytest.mark.both_databases
def test_no_query_shows_a_domain_admin_anything_of_other_domains(foreign: World, subtests: pytest.Subtests) -> None:
    foreign.add("anna@example.com")
    for name in READS:
        with subtests.test(name):
            assert SECRET not in shown_by(foreign, name, foreign.dora)
    assert "anna@example.com" in shown_by(foreign, "mailboxes", foreign.dora)


def test_no_query_shows_a_domain_to_somebody_without_domains(foreign: World, subtests: pytest.Subtests) -> None:
    nobody = Actor("nobody", Role.DOMAIN_ADMIN, 9, frozenset())
    for name in READS:
        with subtests.test(name):
            assert SECRET not in shown_by(foreign, name, nobody)
            assert "example.com" not in shown_by(foreign, name, nobody)


def as_text(item: Any) -> str:
    columns = getattr(item, "__table__", None)
    if columns is None:
        return repr(item)
    hidden = sqlalchemy.inspect(item).unloaded  # what a query does not read
    return repr({c.name: getattr(item, c.name) for c in columns.columns if c.name not in hidden})


@pytest.mark.parametrize("name", [name for name in READS if "audit" in name or name == "operators"])
def test_proofs_and_people_are_for_super_admins(world: World, name: str) -> None:
    for actor in (world.vera, world.dora):
        with pytest.raises(AccessDenied):
            list(readings_of(world, name, actor))


def readings_of(world: World, name: str, actor: Actor) -> list[Any]:
    return [getattr(world.app.queries, name)(actor)]


def test_settings_of_servers_are_shown_to_those_who_may_change_them_only(world: World) -> None:
    assert world.app.queries.servers(world.alice)[0].settings == {"path": str(world.volume)}
    for actor in (world.dora, world.vera):
        assert world.app.queries.servers(actor)[0].settings == {}
        assert world.app.queries.server_by_name(actor, "main").settings == {}


@pytest.mark.both_databases
def test_counts_and_totals_are_of_ones_own_domains(foreign: World) -> None:
    foreign.add("anna@example.com")
    assert foreign.app.queries.mailboxes(foreign.dora).total == 1
    assert foreign.app.queries.unsynced(foreign.dora).total == 0
    counts = foreign.app.queries.counts(foreign.dora)
    assert counts["mailbox.SYNCED"] == counts["mailbox.ACTIVE"] == 1
    assert counts.get("mailbox.FAILED", 0) == counts.get("alias.SYNCED", 0) == 0


ADDRESSES = ["chief@example.com", "chief+x@example.com", "chief+a+b@example.com"]


@pytest.fixture
def chief(world: World) -> World:
    """A SuperAdmin whose address is nobody's mailbox here."""
    add_operator(world, "chief", Role.SUPER_ADMIN, "chief@example.com")
    world.add("anna@example.com")
    return world


@pytest.mark.parametrize("address", ADDRESSES)
def test_nobody_takes_the_address_of_an_operator_who_outranks_them(chief: World, address: str) -> None:
    """As a mailbox, as an alias, or as the alias of a new mailbox: their mail would go to somebody else."""
    services = chief.app.services
    takes: list[Callable[[], object]] = [
        lambda: services.aliases.create(chief.dora, address, ["anna@example.com"]),
        lambda: services.mailboxes.create(
            chief.dora, NewMailbox("new@example.com", password_hash=HASH, aliases=(address,))
        ),
        lambda: services.bulk.create(
            chief.dora, [NewMailbox("new@example.com", password_hash=HASH, aliases=(address,))]
        ),
    ]
    if "+" not in address:
        takes.append(lambda: services.mailboxes.create(chief.dora, NewMailbox(address, password_hash=HASH)))
    before = everything(chief)
    for take in takes:
        with pytest.raises(AccessDenied, match="outranks"):
            take()
    assert everything(chief) == before
    assert services.aliases.create(chief.alice, address, ["anna@example.com"]).address == address


@pytest.mark.parametrize("address", ADDRESSES)
def test_nobody_changes_such_an_alias_that_is_there(chief: World, address: str) -> None:
    aliases = chief.app.services.aliases
    uid = aliases.create(chief.alice, address, ["anna@example.com"]).uid
    chief.add("ben@example.com")
    changes: list[Callable[[], object]] = [
        lambda: aliases.edit(chief.dora, uid, ["ben@example.com"]),
        lambda: aliases.delete(chief.dora, uid),
        lambda: aliases.delete_many(chief.dora, [uid]),
        lambda: aliases.assign(chief.dora, uid, None),
    ]
    before = everything(chief)
    for change in changes:
        with pytest.raises(AccessDenied, match="outranks"):
            change()
    assert everything(chief) == before


def test_an_address_that_only_looks_like_one_may_be_taken(chief: World) -> None:
    for address in ("chiefs@example.com", "x+chief@example.com"):
        chief.app.services.aliases.create(chief.dora, address, ["anna@example.com"])
