"""Settings of a mail server as its kind declares them: form, command line and checks are made from these."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provision.core.errors import InvalidInput
from provision.core.secret import Secret
from provision.core.texts import N_

KEPT = "***"  # stands among the settings for a secret that is stored elsewhere, sealed


def free_text(value: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Setting:
    """`label`: what it means. `check`: what the value should be, or None where it is that.

    `secret`: sealed in a place of its own; it is shown nowhere, and the kind is given it as a `Secret`.
    """

    name: str
    label: str
    required: bool = False
    secret: bool = False
    check: Callable[[str], str | None] = free_text
    default: str = ""


def one_of(meaning: str, *words: str) -> Callable[[str], str | None]:
    return lambda value: None if value.lower() in words else meaning


def port(value: str) -> str | None:
    return None if value.isdecimal() and 0 < int(value[:6]) < 65536 else N_("a number from 1 to 65535")


def seconds(value: str) -> str | None:
    return None if value.isdecimal() and len(value) < 7 else N_("a number of seconds")


def absolute_path(value: str) -> str | None:
    return None if value.startswith("/") else N_("a path that must begin with /")


def yes_or_no(value: str) -> str | None:
    return None if value.lower() in ("true", "false", "yes", "no", "1", "0") else N_("true or false")


def checked(declared: Iterable[Setting], kind: str, given: Mapping[str, Any]) -> None:
    """Raises: InvalidInput for one that is unknown, missing, or cannot be used; a secret is never quoted."""
    known = {setting.name: setting for setting in declared}
    if unknown := given.keys() - known.keys():
        raise InvalidInput(
            f"The setting {', '.join(sorted(unknown))} is not known for {kind}; there are: {', '.join(known)}."
        )
    for name, setting in known.items():
        value = given.get(name)
        if value in (None, ""):
            if setting.required and not setting.default:
                raise InvalidInput(f"A server of kind {kind} needs the setting “{name}”: {setting.label}.")
        elif meaning := setting.check(_text(value)):
            if setting.secret:
                raise InvalidInput(f"The secret setting {name} cannot be used: it should be {meaning}.")
            raise InvalidInput(f"The setting {name} is {meaning}, not “{value}”.")


def _text(value: Any) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)


def split(
    declared: Iterable[Setting], given: Mapping[str, Any], stored: Mapping[str, Secret]
) -> tuple[dict[str, Any], dict[str, Secret]]:
    """What may be shown, secrets as `***`, and the secrets. An empty secret, or `***`, keeps the one that is stored.

    Raises: InvalidInput for `***` where none is stored that can be read.
    """
    shown, secrets = dict(given), dict[str, Secret]()
    for name in (setting.name for setting in declared if setting.secret and setting.name in given):
        typed = _text(shown.pop(name) or "")
        if typed == KEPT and name not in stored:
            raise InvalidInput(
                f"The setting {name} is not stored here, or was sealed with a key that is gone; type it."
            )
        kept = stored.get(name) if typed in ("", KEPT) else Secret(typed)
        if kept is not None:
            secrets[name], shown[name] = kept, KEPT
    return shown, secrets
