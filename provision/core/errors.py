"""Everything that can go wrong, with the code a caller decides by.

One class per decision: the API turns `status` into an HTTP status, a page shows `message`,
sync retries what is `Unreachable` or `Rejected`. Messages are sentences for an operator and
never hold a secret.
"""

from typing import Any

from provision.core.texts import N_

MAX_MESSAGE = 1_000


class ProvisionError(Exception):
    """A request that could not be carried out. `code` is stable, `message` is for people."""

    code = "COMMAND_FAILED"
    status = 500

    def __init__(self, message: str, *, code: str | None = None, **details: Any) -> None:
        self.message = _fit_to_show(message)
        super().__init__(self.message)
        self.code = code or self.code
        self.details = details

    def reword(self, message: str) -> None:
        """Say it in other words."""
        self.message = _fit_to_show(message)
        self.args = (self.message,)


def _fit_to_show(message: str) -> str:
    """It may quote what somebody typed: nothing in it steers a terminal, and it has an end."""
    shown = "".join(c if c.isprintable() or c == "\n" else "?" for c in message)
    return shown if len(shown) <= MAX_MESSAGE else shown[: MAX_MESSAGE - 1] + "…"


class InvalidInput(ProvisionError):
    """What was typed cannot be used."""

    code = "INVALID_INPUT"
    status = 400


class WeakPassword(InvalidInput):
    code = "WEAK_PASSWORD"
    status = 422


class InvalidEmail(InvalidInput):
    code = "INVALID_EMAIL"


class NotSignedIn(ProvisionError):
    code = "NOT_SIGNED_IN"
    status = 401


class AccessDenied(ProvisionError):
    """The actor's role or domains do not allow it."""

    code = "INSUFFICIENT_PERMISSION"
    status = 403


class ForeignDomain(AccessDenied):
    """It is in a domain that is not the actor's. To a program it looks as if it did not exist."""


class RateLimited(ProvisionError):
    code = "RATE_LIMITED"
    status = 429


class NotFound(ProvisionError):
    code = "NOT_FOUND"
    status = 404


class Conflict(ProvisionError):
    """It clashes with what is already there, or with what somebody else has just changed."""

    code = "SYNC_CONFLICT"
    status = 409


class UnsafePlan(Conflict):
    """A plan that would remove, or misses, so much that a person must confirm it. `facts`: without the advice."""

    code = "UNSAFE_PLAN"

    def __init__(self, facts: str, **details: Any) -> None:
        advised = N_(
            f"{facts} Nothing was done: check that this is the right server and that its volume is mounted; "
            "if it is meant, push again with force."
        )
        super().__init__(advised, **details)
        self.facts = facts


class MailServerError(ProvisionError):
    """The mail server did not do it."""

    code = "COMMAND_FAILED"
    status = 502


class Unreachable(MailServerError):
    """Nothing reached the server: the server backs off, its rows keep their attempts.

    `retry_after`: seconds before which the server wants to hear nothing more.
    """

    code = "SERVER_UNREACHABLE"
    status = 503

    def __init__(
        self, message: str, *, code: str | None = None, retry_after: float | None = None, **details: Any
    ) -> None:
        super().__init__(message, code=code, **details)
        self.retry_after = retry_after


class Rejected(MailServerError):
    """The server refuses this one change: the row's attempts and backoff apply."""
