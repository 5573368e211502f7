"""The sign-in page, around streamlit-authenticator; what it compares with is the product's own sign-in.

Of the package: the controller and its model. Not used: its cookie, which scripts can read and nobody can revoke.
"""

import secrets
from functools import cache, partial
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from streamlit_authenticator.controllers import AuthenticationController
from streamlit_authenticator.models import AuthenticationModel

from provision.core.errors import InvalidInput, NotSignedIn, ProvisionError
from provision.core.secret import Secret
from provision.identity.sign_in import SignedIn
from webui.http import sessions
from webui.http.running import postroom
from webui.kit import ui
from webui.kit.hints import password_hint
from webui.kit.i18n import _, counted
from webui.kit.language import language_switch

HERE = ("localhost", "127.0.0.1", "::1")


class OperatorModel(AuthenticationModel):  # type: ignore[misc]  # the package has no types
    """The package's model over our operators; on success it also opens a session."""

    token: Secret | None = None

    def check_credentials(self, username: str, password: str) -> bool:
        """Raises: NotSignedIn, when it is wrong or locked."""
        sign_in, ip = postroom().sign_in, sessions.ip_address()
        uid = sign_in.check(username, Secret(password), ip)
        self.token = sign_in.open_session(uid, ip, sessions.user_agent())
        self.credentials["usernames"][username] = {"name": username, "email": "", "roles": []}
        return True


@cache
def _cookie_key() -> str:
    """The package wants one, for a cookie that is not used."""
    return secrets.token_hex(32)


def _controller() -> Any:
    credentials: dict[str, Any] = {"usernames": {}}
    controller = AuthenticationController(credentials, auto_hash=False, secret_key=_cookie_key())
    controller.authentication_model = OperatorModel(credentials, auto_hash=False, secret_key=_cookie_key())
    return controller


def sign_in_page() -> None:
    """Shown at every address to whoever is not signed in; afterwards they are back at the same address."""
    with _card():
        st.title("Postroom", anchor=False)
        st.caption(_("Mail administration"))
        _warn_of_plain_http()
        with st.form("sign_in", enter_to_submit=True):
            username = st.text_input(_("User name"), autocomplete="username", max_chars=80)
            password = st.text_input(_("Password"), type="password", autocomplete="current-password", max_chars=200)
            sent = st.form_submit_button(_("Sign in"), type="primary", width="stretch")
        if sent:
            _sign_in(username or "", password or "")
        language_switch(None)


def _sign_in(username: str, password: str) -> None:
    if not username.strip() or not password.strip():
        st.error(_("Type your user name and your password."), icon=":material/error:")
        return
    controller = _controller()
    with ui.attempt():
        try:
            controller.login(username, password)
        except NotSignedIn as error:
            st.error(refusal(error), icon=":material/error:")
            return
        token = controller.authentication_model.token
        if token:
            sessions.begin(token)
            st.caption(_("Signing in …"))
            st.stop()


def refusal(error: ProvisionError) -> str:
    if error.code == "LOCKED":
        return counted(
            error.details["minutes"],
            "Too many failed sign-ins. Try again in {n} minute.",
            "Too many failed sign-ins. Try again in {n} minutes.",
        )
    return _("The user name or the password is wrong.")


def _warn_of_plain_http() -> None:
    """A browser keeps the sign-in cookie over HTTPS only, and on this machine."""
    url = urlsplit(st.context.url if isinstance(st.context.url, str) else "")
    if url.scheme == "http" and url.hostname not in HERE:
        st.warning(_("Open this page by https://: over http your browser will not keep you signed in."))


def new_password_page(who: SignedIn) -> None:
    """First sign-in with a one-time password: choose one's own before anything else."""
    with _card():
        st.title(_("Choose your password"), anchor=False)
        st.caption(_("You signed in with a one-time password. Choose your own to go on."))
        password_form(who, _("One-time password"))
        if st.button(_("Sign out"), type="tertiary", icon=":material/logout:"):
            sessions.end(who)
        language_switch(who)


def password_form(who: SignedIn, old_label: str, opened: ui.Dialog | None = None) -> None:
    """Old password, and the new one twice. `opened`: the dialog it is in."""
    submit = opened.submit if opened else partial(st.form_submit_button, type="primary")
    with opened.form() if opened else st.form("own_password"):
        old = st.text_input(old_label, type="password", autocomplete="current-password")
        new = st.text_input(_("New password"), type="password", autocomplete="new-password")
        again = st.text_input(_("New password again"), type="password", autocomplete="new-password")
        st.caption(password_hint())
        sent = submit(_("Change password"))
    if sent:
        with ui.attempt():
            if new != again:
                raise InvalidInput("The two new passwords are not the same.")
            try:
                postroom().sign_in.change_password(who, Secret(old or ""), Secret(new or ""))
            except NotSignedIn as error:
                st.error(_("The old password is wrong.") if error.code != "LOCKED" else refusal(error))
                return
            ui.done(_("Your password is changed. Other devices are signed out."))


def _card() -> Any:
    """A narrow column in the middle."""
    return st.columns([1, 1.3, 1])[1]
