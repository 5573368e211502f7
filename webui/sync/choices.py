"""What can be decided about a finding of the comparison: the buttons, and what is lost by each."""

from typing import NamedTuple

from provision.services.comparing import Found
from provision.services.resolving import Winner
from webui.kit.i18n import _


class Choice(NamedTuple):
    """A button: who wins, what is lost by it, and whether a word must be typed for it."""

    name: str
    icon: str
    winner: Winner
    loss: str
    word: str = ""


def choices(kind: Found) -> list[Choice]:
    """None where nobody has to decide."""
    known = {
        Found.DIFFERS: _of_differing,
        Found.CLASHES: _of_clashing,
        Found.UNKNOWN: _of_unknown,
        Found.GONE: _of_gone,
    }
    return known[kind]() if kind in known else []


def _of_differing() -> list[Choice]:
    return [
        _ours(_("Dashboard wins"), _("The values on the mail server are overwritten with ours.")),
        _theirs(_("Server wins"), _("Our values are replaced by those of the mail server.")),
    ]


def _of_clashing() -> list[Choice]:
    loses_login = _(
        "The entry on the mail server becomes ours: whoever uses it loses their password and settings, not their mail."
    )
    loses_ours = _(
        "Our values are replaced by those of the mail server, and the password that was given here is dropped."
    )
    return [_ours(_("Dashboard wins"), loses_login), _theirs(_("Server wins"), loses_ours)]


def _of_unknown() -> list[Choice]:
    loses_nothing = _("They are listed here from now on. Nothing changes on the mail server.")
    loses_accounts = _(
        "The accounts are deleted on the mail server: nobody can log in or receive mail there any more, "
        "and the passwords are lost. Mail that is stored stays on the disk."
    )
    return [
        _theirs(_("Import"), loses_nothing),
        _final(_("Remove from server …"), Winner.DASHBOARD, loses_accounts),
    ]


def _of_gone() -> list[Choice]:
    needs_passwords = _(
        "Aliases are written again. A mailbox needs a new password for that: reset it on the mailboxes page."
    )
    loses_records = _("They are removed from the dashboard with name, quota and settings. Only the log remembers them.")
    return [_ours(_("Create again"), needs_passwords), _final(_("Forget here …"), Winner.SERVER, loses_records)]


def _ours(name: str, loss: str) -> Choice:
    return Choice(name, ":material/arrow_forward:", Winner.DASHBOARD, loss)


def _theirs(name: str, loss: str) -> Choice:
    return Choice(name, ":material/arrow_back:", Winner.SERVER, loss)


def _final(name: str, winner: Winner, loss: str) -> Choice:
    """Whatever it removes does not come back, so a word must be typed."""
    return Choice(name, ":material/delete:", winner, loss, "DELETE")
