"""Mailboxes: add, list, show, edit, password, disable, enable, delete, restore, verify."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any
from uuid import UUID

import typer

from provision.cli.delivery import look, report, report_many, warnings_of
from provision.cli.output import Json, Number, OfDomain, OfSync, Size, card, parse_size, say, say_json, size, tell, used
from provision.cli.secrets import FromStdin, Generate, ask_new_password, ask_password
from provision.cli.session import Code, Session, session_of
from provision.cli.views import listed
from provision.core.columns import Column
from provision.core.errors import InvalidInput, ProvisionError
from provision.core.secret import Secret
from provision.core.texts import first_few
from provision.queries import MAILBOX_SORTS, MailboxFilter
from provision.services.bulk import BulkResult
from provision.services.new_mailbox import NewMailbox
from provision.storage.models import Mailbox, Status

Address = Annotated[str, typer.Argument(help="The mailbox, e.g. anna@example.com.")]
Addresses = Annotated[list[str], typer.Argument(help="One mailbox or several.")]
DisplayName = Annotated[str | None, typer.Option("--name", help="The display name.")]
Quota = Annotated[str | None, typer.Option("--quota", metavar="SIZE", help="E.g. 500M or 2G; 0: none.")]
Messages = Annotated[int | None, typer.Option("--messages", min=0, help="Most messages; 0: any number.")]
COLUMNS = (
    Column("address"),
    Column("name", value="display_name"),
    Column("quota", value=lambda row: size(row["quota_bytes"])),
    Column("used", value=lambda row: used(row["used_bytes"])),
    Column("status"),
    Column("sync", value="sync_status"),
    Column("reason", optional=True),
)
app = typer.Typer(no_args_is_help=True)


@app.command()
def add(
    context: typer.Context,
    address: Address,
    name: DisplayName = None,
    quota: Quota = None,
    messages: Messages = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Nobody can log in to it yet.")] = False,
    from_stdin: FromStdin = False,
    generate: Generate = False,
    hash_from_stdin: Annotated[
        bool, typer.Option("--hash-stdin", help="Read a hash in Dovecot's notation instead.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Make a mailbox. The quota is the domain's default where none is given."""
    session = session_of(context)
    given = ask_new_password(from_stdin=from_stdin or hash_from_stdin, generate=generate)
    made = None if given else session.app.services.policy.new_password()
    new = NewMailbox(
        address,
        None if hash_from_stdin else given or made,
        given if hash_from_stdin else None,
        name or "",
        None if quota is None else parse_size(quota),
        messages,
        enabled=not disabled,
    )
    row = session.app.services.mailboxes.create(session.actor, new)
    return _report_password(session, "Created", row, made, as_json)


@app.command("list")
def list_(
    context: typer.Context,
    search: Annotated[str, typer.Option("--search", help="Parts of the address or name, in any order.")] = "",
    domain: OfDomain = None,
    status: Annotated[Status | None, typer.Option("--status", help="DELETED are shown only so.")] = None,
    sync_status: OfSync = None,
    full: Annotated[
        int | None, typer.Option("--full", metavar="PERCENT", help="Those as full as this, or fuller.")
    ] = None,
    sort: Annotated[str, typer.Option("--sort", help=", ".join(MAILBOX_SORTS))] = "address",
    descending: Annotated[bool, typer.Option("--descending", help="The other way round.")] = False,
    number: Number = 1,
    page_size: Size = 50,
    as_json: Json = False,
) -> int:
    """A page of mailboxes."""
    session = session_of(context)
    where = MailboxFilter(search, domain, status, sync_status, full)
    page = session.app.queries.mailboxes(
        session.actor, where, sort=sort, descending=descending, number=number, size=page_size
    )
    return listed(page, COLUMNS, "There is no such mailbox.", as_json=as_json)


@app.command()
def show(context: typer.Context, address: Address, as_json: Json = False) -> int:
    """Everything about one mailbox."""
    session = session_of(context)
    row = session.mailbox(address)
    shown, warnings = look(session, row), warnings_of(session, row)
    if as_json:
        say_json({**shown, "warnings": warnings})
        return Code.DONE
    card(
        {
            "address": row.address,
            "name": row.display_name,
            "status": row.status,
            "login": "left open on the mail server" if row.login_open else None,
            "sync": row.sync_status,
            "quota": size(row.quota_bytes),
            "messages": row.quota_messages,
            "used": row.used_bytes and used(row.used_bytes),
            "last synced": row.last_synced_at,
            "reason": shown["reason"],
            "next attempt": shown["next_attempt_at"],
            "next": shown["next"],
            "warnings": " ".join(warnings) or None,
            "created": row.created_at,
        }
    )
    return Code.DONE


@app.command()
def edit(
    context: typer.Context,
    address: Address,
    name: DisplayName = None,
    quota: Quota = None,
    messages: Messages = None,
    as_json: Json = False,
) -> int:
    """Change the name or the quotas; what is not named stays."""
    session = session_of(context)
    if name is None and quota is None and messages is None:
        raise InvalidInput("Say what to change: --name, --quota or --messages.", code="NOTHING_TO_CHANGE")
    row = session.app.services.mailboxes.edit(
        session.actor,
        session.mailbox(address).uid,
        display_name=name,
        quota_bytes=None if quota is None else parse_size(quota),
        quota_messages=messages,
    )
    return report(session, "Changed", row, as_json=as_json)


@app.command()
def passwd(
    context: typer.Context,
    address: Address,
    from_stdin: FromStdin = False,
    generate: Generate = False,
    as_json: Json = False,
) -> int:
    """Set a new password."""
    session = session_of(context)
    found = session.mailbox(address)
    password = ask_new_password(from_stdin=from_stdin, generate=generate)
    row, made = session.app.services.mailboxes.reset_password(session.actor, found.uid, password)
    return _report_password(session, "New password for", row, made, as_json)


@app.command()
def disable(context: typer.Context, names: Addresses, as_json: Json = False) -> int:
    """Nobody can log in any more; password, mail and delivery stay."""
    session = session_of(context)
    return _many(session, names, "Disabled", session.app.services.bulk.disable, as_json)


@app.command()
def enable(context: typer.Context, names: Addresses, as_json: Json = False) -> int:
    """Let people log in again, with the same password."""
    session = session_of(context)
    return _many(session, names, "Enabled", session.app.services.bulk.enable, as_json)


@app.command()
def delete(
    context: typer.Context,
    names: Addresses,
    force: Annotated[
        bool, typer.Option("--force", help="Remove the account on the mail server; its mail stays there.")
    ] = False,
    erase_mail: Annotated[bool, typer.Option("--erase-mail", help="With --force: its mail, too, for ever.")] = False,
    keep_login: Annotated[
        bool, typer.Option("--keep-login", help="Without --force: leave the account as it is on the mail server.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> int:
    """Close the login, which `restore` takes back; with --force remove the account on the mail server."""
    session = session_of(context)
    if force and not yes:
        some, more = first_few(names, 10)
        which = f"{some} and {more:,} more" if more else some
        _confirm(f"Remove {which} on the mail server{' with all mail' if erase_mail else ''}?")

    def remove(actor: Any, uids: Sequence[UUID]) -> BulkResult:
        how = {"force": force, "erase_mail": erase_mail, "keep_login": keep_login}
        return session.app.services.bulk.delete(actor, uids, **how)

    return _many(session, names, "Removed" if force else "Deleted", remove, as_json)


@app.command()
def restore(context: typer.Context, address: Address, as_json: Json = False) -> int:
    """Take a `delete` without --force back."""
    session = session_of(context)
    row = session.app.services.mailboxes.restore(session.actor, session.mailbox(address).uid)
    return report(session, "Restored", row, as_json=as_json)


@app.command()
def verify(context: typer.Context, address: Address, from_stdin: FromStdin = False, as_json: Json = False) -> int:
    """Try an IMAP login with a password; exit code 4 if it is not accepted. The server needs the setting imap_host."""
    session = session_of(context)
    row = session.mailbox(address)
    password = ask_password(from_stdin=from_stdin, twice=False)
    accepted = session.app.services.mailboxes.verify_password(session.actor, row.uid, password)
    said = f"{row.address} {'can' if accepted else 'cannot'} log in with this password."
    code = Code.DONE if accepted else Code.DIFFERENT
    return tell(as_json, {"address": row.address, "accepted": accepted}, said, code=code)


def _many(
    session: Session,
    names: Sequence[str],
    done: str,
    change: Callable[[Any, Sequence[UUID]], BulkResult],
    as_json: bool,
) -> int:
    """One write for all. A name that is not there is reported; the others go on."""
    rows: dict[UUID, Mailbox] = {}
    errors = []
    for name in names:
        try:
            row = session.mailbox(name)
            rows[row.uid] = row
        except ProvisionError as error:
            errors.append(error.message)
    result = change(session.actor, list(rows))
    errors += [f"{item.name}: {item.error.message}" for item in result.errors]
    changed = [rows[uid] for uid in (*result.done, *result.unchanged)]
    return report_many(session, done, changed, errors, as_json=as_json, removed=result.removed)


def _report_password(session: Session, done: str, row: Mailbox, made: Secret | None, as_json: bool) -> int:
    more = {"one_time_password": made.reveal()} if made else {}
    code = report(session, done, row, as_json=as_json, **more)
    if made and not as_json:
        say(f"New password, shown this once only: {made.reveal()}")
    return code


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidInput("There is nobody here to ask; say --yes if it is meant.", code="YES_NEEDED")
    typer.confirm(question, abort=True, err=True)
