"""Hints that more than one page gives."""

from webui.kit import ui
from webui.kit.i18n import _


def password_hint() -> str:
    """The rules in force, for the boxes in which a password is typed."""
    rules = ui.app().services.policy.now().passwords
    return _(
        "{least} to {most} characters, with {n} of: capital letter, small letter, digit, other character.",
        least=rules.min_length,
        most=rules.max_length,
        n=rules.classes,
    )
