"""A small company to try things with: three domains on two mail servers, one of which cannot be reached.

Everything is made by the front door, so the states are real ones: most is synced, what belongs to the unreachable
server is pending, one mailbox failed because its address is taken on the server.
"""

from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import select, update

from provision.app import Postroom
from provision.core.access import Actor
from provision.core.passwords import hash_password
from provision.services.new_mailbox import NewMailbox
from provision.storage.models import Mailbox, Server

GB = 1 << 30
PEOPLE = (
    "Anna Abe",
    "Ben Carter",
    "Chen Wei",
    "Daniela Rossi",
    "Emil Novak",
    "Fatima Khan",
    "Goro Ito",
    "Hanna Berg",
    "Ivan Petrov",
    "Julia Lang",
    "Kenji Mori",
    "Laura Diaz",
    "Mei Lin",
    "Noah Weber",
    "Olga Smirnova",
    "Paul Martin",
    "Rin Sato",
    "Sofia Costa",
    "Tom Baker",
    "Yuki Tanaka",
)
MAIN, SALES, BRANCH = "example.com", "sales.example.com", "example.org"
NEAR, FAR = "headquarters", "branch"
UNREACHABLE = {"path": "/srv/branch/mail-config"}
SHARES = (0.12, 0.55, 0.93, 0.34, 0.0, 0.71, 0.99, 0.08, 0.46, 0.27)


def make_sample(app: Postroom, volume: Path) -> None:
    """Fill an empty product; `volume`: an empty folder for the config files of the server that answers."""
    actor = Actor.system("sample")
    write = app.services
    volume.mkdir(parents=True, exist_ok=True)
    stranger = hash_password(app.services.policy.new_password()).reveal()
    (volume / "postfix-accounts.cf").write_text(f"info@{MAIN}|{stranger}\nscanner@{MAIN}|{stranger}\n")
    write.servers.create(actor, NEAR, "dms_files", {"path": str(volume)}, quiet_seconds=0)
    write.servers.create(actor, FAR, "dms_files", UNREACHABLE, quiet_seconds=0)
    write.domains.create(actor, MAIN, NEAR, description="Head office", default_quota_bytes=2 * GB)
    write.domains.create(actor, SALES, NEAR, description="Sales teams", default_quota_bytes=GB)
    write.domains.create(actor, BRANCH, FAR, description="Branch office")
    write.bulk.create(actor, [_person(app, name, MAIN) for name in PEOPLE])
    write.bulk.create(actor, [_person(app, name, SALES) for name in PEOPLE[::2]])
    write.bulk.create(actor, [_person(app, name, BRANCH) for name in PEOPLE[1::3]])
    info = NewMailbox(f"info@{MAIN}", app.services.policy.new_password(), display_name="Information desk")
    write.mailboxes.create(actor, info)
    _aliases(app, actor)
    _states(app, actor)
    pretend_usage(app)


def is_sample(servers: Iterable[Server]) -> bool:
    """Whether these are the company's mail servers, and no other."""
    found = {server.name: server.settings for server in servers}
    return found.keys() == {NEAR, FAR} and found[FAR] == UNREACHABLE


def _person(app: Postroom, name: str, domain: str) -> NewMailbox:
    return NewMailbox(_address(name, domain), app.services.policy.new_password(), display_name=name)


def _address(name: str, domain: str) -> str:
    return f"{name.lower().replace(' ', '.')}@{domain}"


def _aliases(app: Postroom, actor: Actor) -> None:
    write = app.services
    for name, people in (
        ("postmaster", PEOPLE[:1]),
        ("jobs", PEOPLE[1:2]),
        ("office", PEOPLE[2:4]),
        ("press", PEOPLE[4:5]),
        ("everybody", PEOPLE[:12]),
    ):
        write.aliases.create(actor, f"{name}@{MAIN}", [_address(person, MAIN) for person in people])
    write.aliases.create(actor, f"orders@{SALES}", [_address(PEOPLE[0], SALES), "orders@partner.example.net"])
    write.aliases.create(actor, f"@{SALES}", [_address(PEOPLE[2], SALES)])


def _states(app: Postroom, actor: Actor) -> None:
    """Somebody left, somebody is on leave."""
    write, read = app.services, app.queries
    for name in PEOPLE[17:19]:
        write.mailboxes.disable(actor, read.mailbox_by_address(actor, _address(name, MAIN)).uid)
    write.mailboxes.delete(actor, read.mailbox_by_address(actor, _address(PEOPLE[14], SALES)).uid)


def pretend_usage(app: Postroom) -> None:
    """What a server that can be asked would have told."""
    with app.database.write() as session:
        for row in session.scalars(select(Mailbox)).all():
            used = int(row.quota_bytes * SHARES[row.id % len(SHARES)])
            session.execute(
                update(Mailbox).where(Mailbox.id == row.id).values(used_bytes=used, used_messages=used >> 16)
            )
