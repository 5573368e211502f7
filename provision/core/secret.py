"""A value that must not be seen: f-strings, logs, JSON and debuggers show `***`."""

import hmac
from collections.abc import Collection, Mapping
from typing import Any


class Secret:
    """A password or a password hash. Only `reveal()` gives it away, so every use can be found."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._value.encode(errors="surrogatepass"), other._value.encode(errors="surrogatepass")
        )

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is never pickled")


def secrets_in(values: Mapping[str, Any]) -> list[Secret]:
    return [value for value in values.values() if isinstance(value, Secret) and value.reveal()]


def hide(text: str, secrets: Collection[Secret]) -> str:
    """Without these: what another program says may quote them."""
    for secret in secrets:
        text = text.replace(secret.reveal(), "***")
    return text
