"""All dialogs: each says what it may be used for, and asks again at each click."""

import ast
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from provision.app import Postroom
from provision.core.access import ROLES, Permission, Role
from provision.core.secret import Secret
from provision.core.state import Key, Resource
from provision.ops.sample import MAIN
from provision.services.comparing import Found
from provision.services.resolving import Winner
from tests.e2e.site import seed
from tests.ui.conftest import ROOT, SYSTEM, token_of
from webui import sidebar
from webui.aliases import csv_import as alias_import
from webui.aliases import parts as aliases
from webui.domains import parts as domains
from webui.http import running
from webui.http.sessions import TEST_TOKEN
from webui.kit import ui
from webui.logs import parts as logs
from webui.mailboxes import csv_import, delete_dialogs, detail, edit_dialogs, password_dialogs
from webui.settings import operators, policy, servers, tokens
from webui.sync import compare, sync_status
from webui.sync.choices import choices

MODULES = {ROOT / path for path in (ROOT / "webui").rglob("*.py")}
OF_ANYBODY = {"webui.sidebar.change_password", "webui.kit.ui._one_time_dialog"}
DETAIL = "webui.mailboxes.detail.detail_dialog"  # to read; it links to a page, so test_mailboxes.py opens it
LISTING = ui.Listing("xx")


def mailbox(app: Postroom) -> Any:
    return app.queries.mailboxes(SYSTEM).rows[0]


def alias(app: Postroom) -> Any:
    return app.queries.aliases(SYSTEM).rows[0]


def domain(app: Postroom) -> Any:
    return app.queries.domains(SYSTEM)[0]


def person(app: Postroom) -> Any:
    return next(row for row in app.queries.operators(SYSTEM) if row["username"] == "dora")


def server(app: Postroom) -> Any:
    return app.queries.health(SYSTEM)[0]


def kinds(app: Postroom) -> Any:
    return app.queries.server_kinds(SYSTEM)


def rules(app: Postroom) -> Any:
    return app.services.policy.show(SYSTEM)


FINDING = SimpleNamespace(key=Key(Resource.MAILBOX, f"stranger@{MAIN}"))
FOUND = SimpleNamespace(counts={Found.DIFFERS: 2})
OPEN: dict[str, Callable[[Postroom], Any]] = {
    "webui.aliases.csv_import.import_dialog": lambda app: alias_import.import_dialog(),
    "webui.aliases.parts.create_dialog": lambda app: aliases.create_dialog(),
    "webui.aliases.parts.edit_dialog": lambda app: aliases.edit_dialog(alias(app)),
    "webui.aliases.parts.assign_dialog": lambda app: aliases.assign_dialog(alias(app)),
    "webui.aliases.parts.delete_dialog": lambda app: aliases.delete_dialog([alias(app)], LISTING),
    "webui.domains.parts.create_dialog": lambda app: domains.create_dialog(["headquarters"]),
    "webui.domains.parts.edit_dialog": lambda app: domains.edit_dialog(domain(app)),
    "webui.domains.parts.delete_dialog": lambda app: domains.delete_dialog(domain(app), LISTING),
    "webui.kit.ui._one_time_dialog": lambda app: ui._one_time_dialog(ui.OneTime("New", "Whose", Secret("x"), "")),
    "webui.logs.parts.verify_dialog": lambda app: logs.verify_dialog(),
    "webui.mailboxes.csv_import.import_dialog": lambda app: csv_import.import_dialog(),
    "webui.mailboxes.delete_dialogs.delete_dialog": lambda app: delete_dialogs.delete_dialog([mailbox(app)], LISTING),
    "webui.mailboxes.detail.detail_dialog": lambda app: detail.detail_dialog(mailbox(app)["uid"]),
    "webui.mailboxes.edit_dialogs.create_dialog": lambda app: edit_dialogs.create_dialog([MAIN]),
    "webui.mailboxes.edit_dialogs.edit_dialog": lambda app: edit_dialogs.edit_dialog(mailbox(app)),
    "webui.mailboxes.edit_dialogs.quota_dialog": lambda app: edit_dialogs.quota_dialog([mailbox(app)], LISTING),
    "webui.mailboxes.password_dialogs.reset_dialog": lambda app: password_dialogs.reset_dialog(mailbox(app)),
    "webui.mailboxes.password_dialogs.verify_dialog": lambda app: password_dialogs.verify_dialog(mailbox(app)),
    "webui.settings.operators.create_dialog": lambda app: operators.create_dialog([MAIN]),
    "webui.settings.operators.edit_dialog": lambda app: operators.edit_dialog(person(app), [MAIN]),
    "webui.settings.operators.reset_dialog": lambda app: operators.reset_dialog(person(app)),
    "webui.settings.policy.edit_dialog": lambda app: policy.edit_dialog(rules(app)),
    "webui.settings.policy.reset_dialog": lambda app: policy.reset_dialog(rules(app)),
    "webui.settings.servers.create_dialog": lambda app: servers.create_dialog(kinds(app)),
    "webui.settings.servers.edit_dialog": lambda app: servers.edit_dialog(app.queries.servers(SYSTEM)[0], kinds(app)),
    "webui.settings.servers.delete_dialog": lambda app: servers.delete_dialog(app.queries.servers(SYSTEM)[0]),
    "webui.settings.tokens.create_dialog": lambda app: tokens.create_dialog([MAIN]),
    "webui.settings.tokens.revoke_dialog": lambda app: tokens.revoke_dialog(app.services.tokens.tokens(SYSTEM)[0]),
    "webui.sidebar.change_password": lambda app: sidebar.change_password(),
    "webui.sync.compare.decide": lambda app: compare.decide(
        LISTING, server(app), Found.UNKNOWN, [FINDING], choices(Found.UNKNOWN)[0]
    ),
    "webui.sync.compare.decide_all": lambda app: compare.decide_all(LISTING, server(app), FOUND, Winner.SERVER),
    "webui.sync.compare.import_dialog": lambda app: compare.import_dialog(server(app)),
    "webui.sync.sync_status.force_dialog": lambda app: sync_status.force_dialog(
        {**server(app), "alarm": "Much is gone."}
    ),
}


# ---- what they declare ---------------------------------------------------------------------


def declared() -> Iterator[tuple[str, ast.Call]]:
    """Every function that is a dialog or opens one, and the call that says its title and permission."""
    for path in sorted(MODULES):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for function in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(function, ast.FunctionDef):
                calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
                names = {ast.unparse(call.func): call for call in calls}
                yield from ((f"{module}.{function.name}", names[maker]) for maker in MAKERS if maker in names)


MAKERS = ("ui.dialog", "ui.confirm", "dialog")
DECLARED = {name: call for name, call in declared() if name != "webui.kit.ui.confirm"}


def permission_of(name: str) -> Permission | None:
    call = DECLARED[name]
    said = [*call.args[1:2]] if ast.unparse(call.func).endswith("dialog") else []
    (given,) = said or [keyword.value for keyword in call.keywords if keyword.arg == "permission"]
    text = ast.unparse(given)
    return None if text == "None" else Permission[text.removeprefix("Permission.")]


def test_every_dialog_is_tried_here() -> None:
    assert set(OPEN) == set(DECLARED)


def test_dialogs_are_made_in_one_place() -> None:
    makers = [path.name for path in sorted(MODULES) if "st.dialog" in path.read_text(encoding="utf-8")]
    assert makers == ["ui.py"]


def test_every_dialog_declares_its_permission() -> None:
    assert {name for name in DECLARED if permission_of(name) is None} == OF_ANYBODY


def test_only_those_that_show_ask_for_less_than_writing() -> None:
    reading = ROLES[Role.VIEWER]
    assert {name for name in DECLARED if permission_of(name) in reading} == {DETAIL}


# ---- what they do when the right is gone ---------------------------------------------------


@pytest.fixture(scope="module")
def _own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postroom]:
    app = seed(tmp_path_factory.mktemp("dialogs"))
    app.services.operators.create(SYSTEM, "ada", Role.SUPER_ADMIN)
    app.services.tokens.create(SYSTEM, "billing", ["mailbox:read"])
    yield app
    app.close()


@pytest.fixture
def app(_own: Postroom) -> Iterator[Postroom]:
    running.use(_own)
    set_role(_own, Role.SUPER_ADMIN)
    yield _own
    running.use(None)


def set_role(app: Postroom, role: Role) -> None:
    uid = next(row["uid"] for row in app.queries.operators(SYSTEM) if row["username"] == "alice")
    app.services.operators.edit(SYSTEM, uid, role=role)


def script(name: str) -> None:
    import streamlit as st

    from tests.ui.test_dialogs import OPEN
    from webui.kit import ui

    st.session_state[ui.OPENED] = 0  # the dialog of the run before goes on, it is not another one
    OPEN[name](ui.app())


def opened(app: Postroom, name: str) -> AppTest:
    test = AppTest.from_function(script, args=(name,), default_timeout=30)
    test.session_state[TEST_TOKEN] = token_of(app, "alice")
    test.run()
    assert not test.exception
    assert not test.error
    return test


def records(app: Postroom) -> int:
    return app.queries.logs(SYSTEM).total


FIELDS = ("text_input", "number_input", "text_area", "selectbox", "checkbox", "radio", "markdown", "code")


@pytest.mark.parametrize("name", sorted(set(OPEN) - OF_ANYBODY - {DETAIL}))
def test_who_lost_the_right_is_told_and_nothing_is_written_but_that(app: Postroom, name: str) -> None:
    test = opened(app, name)
    button = next((b for b in test.button if b.proto.type == "primary" and not b.disabled), None)
    set_role(app, Role.VIEWER)
    before = records(app)
    (button.click() if button else test).run()
    assert not test.exception
    assert [error.value for error in test.error] == ["Your role does not allow this."]
    assert not [element for kind in FIELDS for element in test.get(kind)]
    assert {b.label for b in test.button} <= {"Close"}
    (denied,) = app.queries.logs(SYSTEM, size=1).rows
    assert (records(app), denied["operation"], denied["resource_type"]) == (before + 1, "page.open", "access")


@pytest.mark.parametrize("name", sorted(set(OPEN) - {"webui.kit.ui._one_time_dialog", DETAIL}))
def test_each_can_be_left(app: Postroom, name: str) -> None:
    """By its button; what nothing is typed into also by its cross, which is no part of the page."""
    test = opened(app, name)
    labels = {b.label for b in test.button}
    assert "Cancel" in labels or name == "webui.logs.parts.verify_dialog"


def test_one_that_fails_at_once_can_be_left(app: Postroom) -> None:
    test = AppTest.from_function(broken, default_timeout=30)
    test.session_state[TEST_TOKEN] = token_of(app, "alice")
    test.run()
    assert not test.exception
    assert "Something went wrong here" in test.error[0].value
    assert [b.label for b in test.button] == ["Close"]


def broken() -> None:
    from webui.kit import ui

    @ui.dialog("Broken", None)
    def broken_dialog(opened: ui.Dialog) -> None:
        raise ZeroDivisionError

    broken_dialog()
