"""A list described once: what its columns are called and what stands in them, for a page, the command line or CSV."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `value`: what stands there, made from a row, or the row's field; None: the field of that name.

    `label`: for people; English, or marked N_ where a page shows it. `look`: of a page, a width or what draws it.
    `optional`: left out where no row has anything there.
    """

    name: str
    label: str = ""
    value: str | Callable[[Any], Any] | None = None
    look: Any = None
    optional: bool = False

    def of(self, row: Any) -> Any:
        if callable(self.value):
            return self.value(row)
        field = self.value or self.name
        return row[field] if isinstance(row, (dict, Mapping)) else getattr(row, field)
