"""What pages are made of: the gate, actions that may fail, messages, dialogs. See docs/ui-conventions.md."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, Literal, NoReturn, ParamSpec, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from uuid6 import uuid7

from provision.app import Postroom
from provision.core.access import Permission
from provision.core.errors import AccessDenied, NotSignedIn, ProvisionError
from provision.core.secret import Secret
from provision.core.texts import first_few
from provision.identity.sign_in import SignedIn
from provision.telemetry import serverlog
from webui.http import running, sessions
from webui.http.base_path import url_for
from webui.kit import problems
from webui.kit.i18n import _, counted, word
from webui.kit.listing import Listing as Listing
from webui.kit.markup import plain as plain

PAGES = Path(__file__).resolve().parent.parent.parent / "pages"
FLASH = "_flash"
ONE_TIME = "_one_time"
OPENED = "_dialogs_opened"
TOAST_CHARACTERS = 100  # Streamlit cuts what is longer
P = ParamSpec("P")
T = TypeVar("T")


def app() -> Postroom:
    """The product: `app().queries` to read, `app().services` to write."""
    return running.postroom()


# ---- the gate ------------------------------------------------------------------------------


def signed_in(permission: Permission | None = None, *, seen: bool = True) -> SignedIn:
    """The first line of every page, dialog and fragment: who is here, or nothing more is run.

    `seen` False: in a fragment that refreshes itself, which must not keep the session alive.
    """
    who = sessions.current(seen=seen)
    if who is None or who.must_change_password:
        _leave()
        st.info(_("Please sign in."))
        st.stop()
    if permission and not who.may(permission):
        if seen:
            app().sign_in.record_denial(who, permission)
        st.error(_("Your role does not allow this."), icon=":material/lock:")
        st.stop()
    return who


def _leave() -> None:
    """In a dialog or fragment the whole page is run again, which then asks for the sign-in."""
    context = get_script_run_ctx()
    if context and context.fragment_ids_this_run:
        st.rerun(scope="app")


# ---- actions -------------------------------------------------------------------------------


@dataclass(slots=True)
class Attempt:
    """How it went."""

    ok: bool = True
    error: ProvisionError | None = None


@contextmanager
def attempt() -> Iterator[Attempt]:
    """Do something that may fail: the reader gets a sentence, never a traceback."""
    tried = Attempt()
    try:
        yield tried
    except ProvisionError as error:
        tried.ok, tried.error = False, error
        show_error(error)
    except Exception as error:
        tried.ok = False
        show_unexpected(error)


def show_error(error: ProvisionError) -> None:
    if isinstance(error, NotSignedIn) and error.code == "NOT_SIGNED_IN":
        _leave()
    icon = ":material/lock:" if error.status == 403 else ":material/error:"
    st.error(error_text(error), icon=icon)


def error_text(error: ProvisionError) -> str:
    return plain(problems.sentence(error.code, error.message))


def show_unexpected(error: Exception) -> None:
    """A fault of ours: the reader gets a number, under which the log has its place."""
    number = serverlog.unexpected("unexpected error on a page", error)
    st.error(_("Something went wrong here. The log tells more under the number {id}.", id=number))


def done(text: str, more: str = "") -> None:
    """Success: close the dialog, run the page anew, and say so there."""
    flash(text, more)
    st.rerun()


def flash(text: str, more: str = "") -> None:
    """A toast; `more`, as why it has not come further, stands on the page until the next click."""
    st.session_state.setdefault(FLASH, []).append((text, more))


def show_flashes() -> None:
    """Called by the entry, once a run. A toast shows little and goes soon: what is long stands on the page."""
    for text, more in st.session_state.pop(FLASH, []):
        if len(text) <= TOAST_CHARACTERS:
            st.toast(plain(text), icon=":material/check:")
        else:
            st.success(plain(text), icon=":material/check:")
        if more:
            st.info(plain(more), icon=":material/info:")


# ---- parts of a page -----------------------------------------------------------------------


def title(text: str, note: str = "") -> Any:
    """The heading; returns the place to its right, for the page's main buttons: `with ui.title(…):`."""
    left, right = st.columns([2, 3], vertical_alignment="center")
    left.title(text, anchor=False)
    if note:
        left.caption(note)
    return right.container(horizontal=True, horizontal_alignment="right")


def empty(text: str, icon: str = ":material/inbox:") -> None:
    """Nothing to list: what it means, and what to do."""
    with st.container(border=True, horizontal_alignment="center", vertical_alignment="center", height=180):
        st.markdown(f"{icon} {text}", width="content", text_alignment="center")


def link(page: str, text: str, *, icon: str | None = None, **filters: str | None) -> None:
    """A link to another page's list: `ui.link("mailboxes", "3", mb_sync=SyncStatus.FAILED)`."""
    known = {name: value for name, value in filters.items() if value is not None}
    path = str(PAGES / f"{page}.py")
    st.page_link(path, label=text, icon=icon, icon_position="right", query_params=known or None)


def go_to(**chosen: Any) -> None:
    """For a button's on_click: what the next run of this page shows, by the keys of its widgets."""
    state = st.session_state
    state.update({key: value for key, value in chosen.items() if key not in state or state[key] != value})


def export_link(path: str, **filters: object) -> None:
    """The list that is shown as a file: `path` with the filters that are set; and so that Excel reads its letters."""
    for title, more, icon in ((_("Export CSV"), {}, "download"), (_("For Excel"), {"excel": 1}, "table")):
        query = urlencode({name: value for name, value in {**filters, **more}.items() if value})
        st.link_button(title, url_for(f"{path}?{query}"), icon=f":material/{icon}:")


def emptyable_number(
    place: Any, title: str, least: float, most: float, value: float | None, *, key: str, **options: Any
) -> Any:
    """A number that may be left out again. Streamlit lets no field be emptied that was given a `value`; so it comes in
    by the state. `key`: of an opened dialog."""
    st.session_state.setdefault(key, value)
    return place.number_input(title, least, most, None, key=key, **options)


def some(names: Iterable[str], most: int = 3) -> str:
    """The first few, and how many more there are."""
    named, more = first_few(names, most)
    return counted(more, "{names} and {n} more", "{names} and {n} more", names=named) if more else named


# ---- dialogs -------------------------------------------------------------------------------


@dataclass(slots=True)
class Dialog:
    """A dialog from when it is opened until it is closed.

    `key`: for the keys of its fields. Under the same Streamlit would fill in what was typed when it was open before,
    also for another row. `uid`: an idempotency key, for what a double click shall write once.
    """

    key: str
    uid: UUID = field(default_factory=uuid7)
    who: SignedIn = field(init=False)
    has_way_out: bool = False
    kept: dict[str, Any] = field(default_factory=dict)

    def once(self, make: Callable[[], T], name: str = "made") -> T:
        """What is made in it is made once, however often its button is pressed; what failed is not."""
        if name not in self.kept:
            self.kept[name] = make()
        made: T = self.kept[name]
        return made

    def form(self, **options: Any) -> Any:
        return st.form(f"form_{self.key}", border=False, **options)

    def submit(self, text: str) -> bool:
        """The foot of its form. Enter presses the button that comes first."""
        with self._foot():
            sent = st.form_submit_button(text, type="primary")
            if st.form_submit_button(_("Cancel")):
                st.rerun()
        return sent

    def buttons(self, text: str, *, disabled: bool = False) -> bool:
        """The foot where there is no form."""
        with self._foot():
            pressed = st.button(text, type="primary", disabled=disabled, key=f"act_{self.key}")
            if st.button(_("Cancel"), key=f"cancel_{self.key}"):
                st.rerun()
        return pressed

    def _foot(self) -> Any:
        self.has_way_out = True
        return st.container(horizontal=True, horizontal_alignment="right")

    def let_out(self, tried: Attempt) -> None:
        """Where it failed before its foot was drawn."""
        if not tried.ok and not self.has_way_out and st.button(_("Close"), key=f"close_{self.key}"):
            st.rerun()

    def typed(self, word: str) -> bool:
        """Ask to type a word before something that cannot be undone."""
        title = _("Type {word} to confirm", word=f"**{plain(word)}**")
        return (st.text_input(title, live="300ms", key=f"typed_{self.key}") or "").strip() == word


def dialog(
    title: str | Callable[..., str],
    permission: Permission | None,
    *,
    icon: str | None = None,
    width: Literal["small", "medium", "large"] = "small",
    dismissible: bool = False,
    on_dismiss: Literal["ignore", "rerun"] | Callable[[], None] = "ignore",
) -> Callable[[Callable[Concatenate[Dialog, P], None]], Callable[P, None]]:
    """Makes a function draw a dialog, which is opened by calling it. Whatever goes wrong in it becomes a sentence.

    `title`: marked N_, or made from the arguments. `permission`: asked for at each run, before anything is drawn; None:
    of anybody who is signed in. `dismissible`: closed by a click beside it and by Escape, too; where nothing is typed.
    """

    def declared(draw: Callable[Concatenate[Dialog, P], None]) -> Callable[P, None]:
        @wraps(draw)
        def open_(*args: P.args, **kwargs: P.kwargs) -> None:
            st.session_state[OPENED] = number = st.session_state.get(OPENED, 0) + 1
            opened = Dialog(str(number))
            heading = word(title) if isinstance(title, str) else title(*args, **kwargs)

            @st.dialog(heading, icon=icon, width=width, dismissible=dismissible, on_dismiss=on_dismiss)
            @wraps(draw)
            def show() -> None:
                opened.who, opened.has_way_out = signed_in(), dismissible
                with attempt() as tried:
                    if permission and not opened.who.may(permission):
                        app().sign_in.record_denial(opened.who, permission)
                        raise AccessDenied("Your role does not allow this.")
                    draw(opened, *args, **kwargs)
                opened.let_out(tried)

            show()

        return open_

    return declared


def confirm(
    heading: str,
    text: str,
    button: str,
    action: Callable[[SignedIn], str],
    *,
    permission: Permission,
    word: str = "",
) -> None:
    """A dialog that asks first. `action` returns what to say afterwards. `word`: must be typed."""

    @dialog(lambda: heading, permission, dismissible=not word)
    def ask(opened: Dialog) -> None:
        st.write(text)
        sure = opened.typed(word) if word else True
        if opened.buttons(button, disabled=not sure) and sure:
            done(action(opened.who))

    ask()


# ---- secrets that are shown once -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OneTime:
    """A secret that is kept nowhere else."""

    title: str
    whose: str
    secret: Secret
    done: str


def one_time_password(whose: str, secret: Secret) -> NoReturn:
    """Of an operator: close the dialog, and show this in one of its own."""
    text = _("The one-time password of {name}:", name=f"**{plain(whose)}**")
    show_once(OneTime(_("One-time password"), text, secret, ""))


def show_once(made: OneTime) -> NoReturn:
    """Close the dialog, and show this in one that only its own button closes: it cannot be shown again."""
    st.session_state[ONE_TIME] = made
    st.rerun()


def show_one_time() -> None:
    """Called by the entry, once a run, for as long as nobody has closed it."""
    if made := st.session_state.get(ONE_TIME):
        _one_time_dialog(made)


@dialog(lambda made: made.title, None)
def _one_time_dialog(opened: Dialog, made: OneTime) -> None:
    if made.done:
        st.success(plain(made.done), icon=":material/check:")
    st.markdown(made.whose)
    st.code(made.secret.reveal(), language=None, wrap_lines=True)
    st.caption(_("Copy it now: it is not kept, and will not be shown again."))
    if st.button(_("Close"), type="primary", key="close_once"):
        st.session_state.pop(ONE_TIME, None)
        st.rerun()


def on_script_error(error: Exception) -> bool:
    """For st.App: what no page caught, e.g. in a callback. True: Streamlit shows nothing of its own."""
    if isinstance(error, ProvisionError):
        show_error(error)
    else:
        show_unexpected(error)
    return True
