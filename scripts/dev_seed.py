"""What scripts/dev begins with: the sample company, grown to 2,000 mailboxes, and an operator of each role."""

import os
from collections.abc import Iterator
from itertools import islice, product

from provision.app import open_postroom
from provision.core.access import Actor, Role
from provision.core.passwords import hash_password
from provision.core.secret import Secret
from provision.ops.sample import BRANCH, MAIN, PEOPLE, SALES, make_sample, pretend_usage
from provision.services.new_mailbox import NewMailbox

MAILBOXES = 2_000
DOMAINS = (MAIN, SALES, MAIN, BRANCH)  # the last one is on the mail server that cannot be reached
OPERATORS = (
    ("alice", "Alice Arden", Role.SUPER_ADMIN, ()),
    ("dora", "Dora Dietz", Role.DOMAIN_ADMIN, (MAIN,)),
    ("vera", "Vera Vogt", Role.VIEWER, ()),
)


def newcomers(password: Secret) -> Iterator[NewMailbox]:
    """People without end, all with this password: it is hashed once, because 2,000 times would take minutes."""
    firsts, lasts = zip(*(name.split() for name in PEOPLE[1:]), strict=True)
    hashed = hash_password(password)
    for number, (branch, first, last) in enumerate(product(range(100), firsts, lasts)):
        address = f"{first}.{last}{branch}@{DOMAINS[number // 10 % len(DOMAINS)]}".lower()
        yield NewMailbox(address, password_hash=hashed, display_name=f"{first} {last}", enabled=number % 47 > 0)


def main() -> None:
    password, actor, app = Secret(os.environ["DEV_PASSWORD"]), Actor.system("dev"), open_postroom()
    make_sample(app, app.settings.data_dir.resolve().parent / "mail-config")
    missing = MAILBOXES - app.queries.mailboxes(actor).total
    result = app.services.bulk.create(actor, list(islice(newcomers(password), missing)))
    if result.errors:
        raise result.errors[0].error
    pretend_usage(app)
    for name, display_name, role, domains in OPERATORS:
        app.services.operators.create(actor, name, role, display_name=display_name, domains=domains, password=password)
    app.close()


if __name__ == "__main__":
    main()
