"""A list with filters, pages and a selection. Filters and page live in the URL, so that a link shows the same list."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import pandas as pd
import streamlit as st

from provision.core.columns import Column
from provision.queries import Page
from webui.kit import format
from webui.kit.i18n import _, word

T = TypeVar("T")
ROW_PIXELS = 31
Selection = Literal["multi-row", "single-row"]
UID = Column("uid")


def selected(event: Any, rows: Sequence[T]) -> list[T]:
    """The chosen ones of the rows that were shown; the browser may say anything."""
    return [rows[i] for i in event.selection.rows or () if isinstance(i, int) and 0 <= i < len(rows)]


def show(rows: Sequence[Any], columns: Sequence[Column], *, alt: str, **options: Any) -> Any:
    """A table of rows; `options`: of st.dataframe."""
    cells = {column.name: [column.of(row) for row in rows] for column in columns}
    shown = [column for column in columns if not column.optional or any(cells[column.name])]
    frame = pd.DataFrame({column.name: cells[column.name] for column in shown})
    looks = {column.name: _look(column) for column in shown}
    return st.dataframe(frame, column_config=looks, hide_index=True, alt=alt, **options)


def _look(column: Column) -> Any:
    title = word(column.label)
    return column.look(title) if callable(column.look) else st.column_config.Column(title, width=column.look)


def height_of(rows: Sequence[Any], most: int) -> int:
    """Of a table that shows so many at most, without scrolling."""
    return (min(len(rows), most) + 1) * ROW_PIXELS + 3


class Listing:
    """One list of a page. `prefix` is its own in the whole dashboard, because the URL is shared: `mb`, `al` …"""

    def __init__(self, prefix: str, size: int = 50) -> None:
        self.prefix, self.size = prefix, size

    # ---- filters ---------------------------------------------------------------------------

    def search(self, title: str, placeholder: str = "") -> str:
        text = st.text_input(
            title,
            key=self._key("q"),
            type="search",
            live="300ms",
            icon=":material/search:",
            bind="query-params",
            placeholder=placeholder,
            max_chars=200,
            on_change=self.first_page,
        )
        return text or ""

    def text(self, name: str, title: str, placeholder: str = "") -> str:
        """A field for one word."""
        typed = st.text_input(
            title,
            key=self._key(name),
            bind="query-params",
            placeholder=placeholder,
            max_chars=80,
            on_change=self.first_page,
        )
        return typed or ""

    def choice(
        self,
        name: str,
        title: str,
        options: Sequence[T],
        *,
        words: Callable[[T], str] | None = None,
        every: str | None = None,
    ) -> T | None:
        """A drop-down; None is `every`, e.g. All. Without `words` an option is a state, role, or text."""
        chosen = st.selectbox(
            title,
            list(options),
            index=self._linked(name, options, None),
            format_func=words or format.label,
            key=self._key(name),
            placeholder=every or _("All"),
            on_change=self.first_page,
        )
        return self._keep_in_link(name, chosen)

    def part(self, options: Mapping[str, str]) -> str:
        """Which part of the page is shown, the first at the start: name → title."""
        first = next(iter(options))
        chosen = st.radio(
            _("Part"),
            list(options),
            index=self._linked("part", list(options), 0),
            format_func=options.__getitem__,
            key=self._key("part"),
            horizontal=True,
            label_visibility="collapsed",
            on_change=self.first_page,
        )
        return str(self._keep_in_link("part", chosen or first, unless=first))

    def sort(self, options: Mapping[str, str], default: str) -> tuple[str, bool]:
        """A drop-down of column → title; returns the column and whether it is descending (`-column`)."""
        names = list(options)
        chosen = st.selectbox(
            _("Sort by"),
            names,
            index=self._linked("sort", names, names.index(default)),
            format_func=lambda name: options[name],
            key=self._key("sort"),
            on_change=self.first_page,
        )
        picked = chosen if chosen is not None and chosen in options else default
        self._keep_in_link("sort", picked, unless=default)
        return picked.removeprefix("-"), picked.startswith("-")

    # Streamlit's own binding would write the word on the screen, which is another one in each language.

    def _linked(self, name: str, options: Sequence[T], default: int | None) -> int | None:
        """At first the address of the page decides, told as the widget's default. As its state it would be lost where
        somebody clicks before the browser has noted it: the browser then goes back to the default."""
        key = self._key(name)
        said = next((n for n, option in enumerate(options) if st.query_params.get(key) == str(option)), default)
        elsewhere = key in st.session_state and said is not None and st.session_state[key] != options[said]
        return default if elsewhere else said

    def _keep_in_link(self, name: str, chosen: T, *, unless: T | None = None) -> T:
        """Then the address says what is chosen, if that is not what is shown anyway."""
        key, said = self._key(name), None if chosen in (None, unless) else str(chosen)
        if st.query_params.get(key) != said:
            st.query_params.pop(key, None) if said is None else st.query_params.update({key: said})
        return chosen

    # ---- pages -----------------------------------------------------------------------------

    @property
    def number(self) -> int:
        """Which page is wanted; known before `pages` draws its buttons."""
        raw = st.session_state.get(self._key("page")) or st.query_params.get(self._key("page"))
        text = str(raw) if isinstance(raw, int | str) else "1"
        return max(1, int(text)) if text.isdecimal() and len(text) < 9 else 1

    def first_page(self) -> None:
        st.session_state[self._key("page")] = 1

    def pages(self, page: Page[Any], noun: str) -> None:
        """How many there are, and the buttons. `noun`: `1,234 mailboxes`."""
        left, right = st.columns([1, 3], vertical_alignment="center")
        left.caption(noun)
        if page.pages > 1:
            if st.session_state.get(self._key("page"), 1) > page.pages:
                st.session_state[self._key("page")] = page.pages
            right.pagination(page.pages, key=self._key("page"), bind="query-params")

    # ---- table -----------------------------------------------------------------------------

    def table(
        self,
        rows: Sequence[T],
        columns: Sequence[Column],
        *,
        alt: str,
        select: Selection | None = "multi-row",
        rows_shown: int = 12,
    ) -> list[T]:
        """Show these rows; returns those that are selected.

        The widget's key holds which rows are shown: Streamlit remembers positions, and would else carry a selection
        over to the rows of another page, filter, or moment.
        """
        event = show(
            rows,
            columns,
            alt=alt,
            height=height_of(rows, rows_shown),
            placeholder="–",
            key=self._table_key(rows) if select else None,
            on_select="rerun" if select else "ignore",
            selection_mode=select or "multi-row",
        )
        return selected(event, rows) if select else []

    def one_of(self, rows: Sequence[T], columns: Sequence[Column], *, alt: str, rows_shown: int = 12) -> T | None:
        """The row that is selected, of a list of which one can be."""
        return next(iter(self.table(rows, columns, alt=alt, select="single-row", rows_shown=rows_shown)), None)

    def clear_selection(self) -> None:
        """After an action on the selected rows."""
        name = self._key("generation")
        st.session_state[name] = st.session_state.get(name, 0) + 1

    def _table_key(self, rows: Sequence[Any]) -> str:
        ids = "".join(str(UID.of(row)) for row in rows)
        digest = hashlib.blake2b(ids.encode(), digest_size=8).hexdigest()
        return f"{self.prefix}_table_{st.session_state.get(self._key('generation'), 0)}_{digest}"

    def _key(self, name: str) -> str:
        return f"{self.prefix}_{name}"
