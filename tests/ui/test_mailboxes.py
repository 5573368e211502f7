"""The mailboxes page: what each role sees, filters, the detail, dialogs that must refuse, imports under way."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from streamlit.testing.v1 import AppTest

from provision.app import Postroom
from provision.core.access import Actor, Permission
from provision.core.errors import AccessDenied
from provision.core.secret import Secret
from provision.identity.sign_in import SignedIn
from provision.jobs.scheduled_tasks import run_next_task
from provision.ops.sample import BRANCH, MAIN, SALES
from provision.queries import lists
from provision.services.new_mailbox import NewMailbox
from provision.storage.models import ProvisionLog
from provision.transfer.import_jobs import made_passwords, start_import
from tests.conftest import HASH
from tests.ui.conftest import SYSTEM, token_of
from webui.http.sessions import TEST_TOKEN
from webui.kit import ui
from webui.kit.markup import NOTHING

Open = Callable[..., AppTest]
ACTIONS = {"Create mailbox", "Import CSV", "Edit", "Reset password", "Disable", "Retry", "Delete"}


def buttons(test: AppTest) -> set[str]:
    return {button.label for button in test.button}


def addresses(test: AppTest) -> list[str]:
    return list(test.dataframe[0].value["address"]) if test.dataframe else []


def shown(test: AppTest) -> str:
    parts = [*test.markdown, *test.caption, *test.error, *test.warning, *test.success, *test.info]
    return "\n".join(str(part.value) for part in parts).replace("\\", "").replace(NOTHING, "")


def signed_in(app: Postroom, name: str) -> SignedIn:
    found = app.sign_in.current(Secret(token_of(app, name)), "192.0.2.7")
    assert found
    return found


# ---- the list ------------------------------------------------------------------------------


def test_the_list_with_its_numbers(company: Postroom, open_as: Open) -> None:
    test = open_as(company, "alice", "mailboxes")
    assert not test.exception
    assert [metric.label for metric in test.metric] == ["Mailboxes", "Pending", "Failed", "Over 90 % of quota"]
    assert [metric.value for metric in test.metric] == ["37", "7", "1", "8"]
    assert buttons(test) >= ACTIONS
    assert addresses(test) == sorted(addresses(test))
    assert "37 mailboxes" in shown(test)


def test_the_page_says_that_a_server_is_down(company: Postroom, open_as: Open) -> None:
    (warning,) = open_as(company, "alice", "mailboxes").warning
    assert "branch cannot be reached" in warning.value
    assert "7 changes are kept and go out by themselves" in warning.value


def test_why_a_row_waits_is_in_the_list(company: Postroom, open_as: Open) -> None:
    table = open_as(company, "alice", "mailboxes").dataframe[0].value.set_index("address")
    assert "no folder" in table.loc[f"ben.carter@{BRANCH}", "reason"]
    assert table.loc[f"anna.abe@{MAIN}", "reason"] == ""


def test_a_viewer_has_no_actions(company: Postroom, open_as: Open) -> None:
    test = open_as(company, "vera", "mailboxes")
    assert not test.exception
    assert len(addresses(test)) == 37
    assert not buttons(test) & ACTIONS
    assert "Details" in buttons(test)


def test_a_domain_admin_sees_their_domain_only(company: Postroom, open_as: Open) -> None:
    test = open_as(company, "dora", "mailboxes")
    assert {address.partition("@")[2] for address in addresses(test)} == {MAIN}
    assert test.selectbox(key="mb_domain").options == [MAIN]
    assert buttons(test) >= ACTIONS
    assert not test.warning  # the server that is down holds nothing of theirs


@pytest.mark.parametrize(
    ("key", "value", "count"),
    [
        ("mb_domain", SALES, 9),
        ("mb_status", "DISABLED", 2),
        ("mb_status", "DELETED", 1),
        ("mb_sync", "FAILED", 1),
        ("mb_sync", "PENDING", 7),
        ("mb_full", "true", 8),
    ],
)
def test_filters(company: Postroom, open_as: Open, key: str, value: str, count: int) -> None:
    test = open_as(company, "alice", "mailboxes")
    test.selectbox(key=key).set_value(value).run()
    assert not test.exception
    assert len(addresses(test)) == count


def test_search_sort_and_nothing_found(company: Postroom, open_as: Open) -> None:
    test = open_as(company, "alice", "mailboxes")
    test.text_input(key="mb_q").set_value("carter").run()
    assert addresses(test) == [f"ben.carter@{MAIN}", f"ben.carter@{BRANCH}"]
    test.text_input(key="mb_q").set_value("").run()
    test.selectbox(key="mb_sort").set_value("-used_percent").run()
    assert test.dataframe[0].value["share"].iloc[0] == pytest.approx(0.98, abs=0.02)
    test.text_input(key="mb_q").set_value("nobody at all").run()
    assert addresses(test) == []
    assert "Widen the filters" in shown(test)


def test_deleted_ones_can_be_restored_and_not_edited(company: Postroom, open_as: Open) -> None:
    test = open_as(company, "alice", "mailboxes")
    test.selectbox(key="mb_status").set_value("DELETED").run()
    assert {"Restore", "Close login", "Retry", "Delete for good"} <= buttons(test)
    assert not {"Edit", "Reset password", "Disable"} & buttons(test)
    assert "1 mailbox" in shown(test)


def test_many_hits_are_not_counted(company: Postroom, open_as: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "SEARCH_COUNT", 5)
    test = open_as(company, "alice", "mailboxes")
    test.text_input(key="mb_q").set_value("example").run()
    assert "more than 5 mailboxes" in shown(test)


@pytest.mark.parametrize("language", ["de", "fr", "ja", "zh"])
def test_in_other_languages(company: Postroom, open_as: Open, language: str) -> None:
    test = open_as(company, "alice", "mailboxes")
    test.session_state["language"] = language
    test.run()
    assert not test.exception
    assert test.title[0].value in ("Mailboxen", "Boîtes mail", "メールボックス", "邮箱")


# ---- links ---------------------------------------------------------------------------------


def linked(open_as: Open, app: Postroom, name: str, **parameters: str) -> AppTest:
    test = open_as(app, name, "mailboxes")
    for key, value in parameters.items():
        test.query_params[key] = value
    return test.run()


def uid_of(app: Postroom, address: str) -> UUID:
    return app.queries.mailbox_by_address(SYSTEM, address).uid


def test_a_link_opens_the_detail(company: Postroom, open_as: Open) -> None:
    test = linked(open_as, company, "vera", mb_open=str(uid_of(company, f"anna.abe@{MAIN}")))
    assert not test.exception
    assert "anna.abe@example.com" in shown(test)
    tables = [list(frame.value.columns) for frame in test.dataframe[1:]]
    assert tables == [["address", "to", "sync"], ["at", "operator", "operation", "status", "error"]]


def test_the_detail_says_what_is_wrong(company: Postroom, open_as: Open) -> None:
    failed = linked(open_as, company, "alice", mb_open=str(uid_of(company, f"info@{MAIN}")))
    assert "An entry with this address" in shown(failed)
    waiting = linked(open_as, company, "alice", mb_open=str(uid_of(company, f"ben.carter@{BRANCH}")))
    assert "Compare the two sides" in shown(failed)
    assert "The mail server branch cannot be reached" in shown(waiting)
    assert "Next attempt" in shown(waiting)


@pytest.mark.parametrize("uid", ["nonsense", "' OR 1=1", "01a1fd38-ef37-76ff-aab4-3a21290c7326"])
def test_a_wrong_link_is_harmless(company: Postroom, open_as: Open, uid: str) -> None:
    test = linked(open_as, company, "alice", mb_open=uid)
    assert not test.exception
    assert len(addresses(test)) == 37


def test_a_foreign_mailbox_does_not_exist_for_a_domain_admin(company: Postroom, open_as: Open) -> None:
    test = linked(open_as, company, "dora", mb_open=str(uid_of(company, f"anna.abe@{SALES}")))
    assert "There is no mailbox" in shown(test)
    assert "Anna Abe" not in "".join(e.value for e in test.error)


def test_the_overview_s_link_opens_the_create_dialog_but_not_for_a_viewer(company: Postroom, open_as: Open) -> None:
    def labels(test: AppTest) -> list[str]:
        return [field.label for field in test.text_input]

    assert "Password again" in labels(linked(open_as, company, "alice", mb_new="1"))
    assert "Password again" not in labels(linked(open_as, company, "vera", mb_new="1"))


# ---- dialogs -------------------------------------------------------------------------------
# AppTest cannot press a button in a dialog that a click opened, so these scripts open it on each run.


def script(name: str, uids: list[str]) -> None:
    from uuid import UUID

    import streamlit as st

    from provision.core.access import Actor
    from webui.kit import ui
    from webui.mailboxes import csv_import, delete_dialogs, edit_dialogs, password_dialogs

    system = Actor.system("test")
    found = [ui.app().queries.mailbox(system, UUID(uid)) for uid in uids]
    names = ("uid", "address", "display_name", "quota_bytes", "quota_messages", "status", "server_id", "version")
    rows = [{name: getattr(row, name) for name in names} for row in found]
    listing = ui.Listing("mb")
    st.session_state[ui.OPENED] = 0  # the dialog of the run before goes on, it is not another one
    if ui.ONE_TIME in st.session_state:  # the button that opened the dialog is not pressed in the run that shows this
        ui.show_one_time()
    elif name == "create":
        edit_dialogs.create_dialog(["example.com"])
    elif name == "edit":
        edit_dialogs.edit_dialog({**rows[0], "version": rows[0]["version"] - st.session_state.get("stale", 0)})
    elif name == "quota":
        edit_dialogs.quota_dialog(rows, listing)
    elif name == "import":
        csv_import.import_dialog()
    elif name == "reset":
        password_dialogs.reset_dialog(rows[0])
    elif name == "verify":
        password_dialogs.verify_dialog(rows[0])
    else:
        delete_dialogs.delete_dialog(rows, listing)


def opened(app: Postroom, who: str, name: str, *uids: UUID, **state: Any) -> AppTest:
    test = AppTest.from_function(script, args=(name, [str(uid) for uid in uids]), default_timeout=30)
    test.session_state[TEST_TOKEN] = token_of(app, who)
    for key, value in state.items():
        test.session_state[key] = value
    return test.run()


def field(test: AppTest, label: str) -> Any:
    return next(f for f in [*test.text_input, *test.number_input] if f.label == label)


def press(test: AppTest, label: str) -> AppTest:
    return next(b for b in test.button if b.label == label).click().run()


def fill_create(test: AppTest, address: str, password: str = "Correct-Horse-1") -> AppTest:
    field(test, "Address").set_value(address)
    field(test, "Password").set_value(password)
    field(test, "Password again").set_value(password)
    return press(test, "Create")


def test_create_with_a_typed_password(own_company: Postroom) -> None:
    test = opened(own_company, "dora", "create")
    fill_create(test, "New.Person@Example.com")
    assert not test.exception
    assert own_company.queries.mailbox_by_address(SYSTEM, "new.person@example.com").sync_status == "SYNCED"


@pytest.mark.parametrize(
    ("address", "password", "says"),
    [
        ("", "Correct-Horse-1", "address"),
        ("no address", "Correct-Horse-1", "not a mail address"),
        ("x@example.com", "short", "password"),
        ("x@nowhere.example", "Correct-Horse-1", "not set up here"),
        ("anna.abe@example.com", "Correct-Horse-1", "exists already"),
        ("x@example.com;rm", "Correct-Horse-1", "not"),
    ],
)
def test_bad_input_is_a_sentence(company: Postroom, address: str, password: str, says: str) -> None:
    test = fill_create(opened(company, "alice", "create"), address, password)
    assert not test.exception
    assert says in test.error[0].value.replace("\\", "").replace(NOTHING, "")


def test_two_different_passwords(company: Postroom) -> None:
    test = opened(company, "alice", "create")
    field(test, "Address").set_value("x@example.com")
    field(test, "Password").set_value("Correct-Horse-1")
    press(test, "Create")
    assert "not the same" in test.error[0].value


def test_a_new_password_is_shown_and_kept_nowhere(own_company: Postroom) -> None:
    test = opened(own_company, "alice", "create")
    field(test, "Address").set_value("new.person@example.com")
    press(test, "Create")
    (password,) = [code.value for code in test.code]
    assert password not in f"{test.session_state} {test.query_params}"
    with own_company.database.read() as session:
        records = session.execute(select(ProvisionLog.__table__)).all()
    assert password not in str(records)
    press(test, "Close")
    assert not test.code
    assert ui.ONE_TIME not in test.session_state


def test_the_second_editor_is_told_with_both_values(own_company: Postroom) -> None:
    uid = uid_of(own_company, f"anna.abe@{MAIN}")
    own_company.services.mailboxes.edit(SYSTEM, uid, display_name="Theirs", quota_bytes=3 << 30)
    test = opened(own_company, "alice", "edit", uid, stale=1)
    field(test, "Name").set_value("Mine")
    press(test, "Save")
    assert "Nothing was saved" in test.warning[0].value
    both = test.table[0].value
    assert list(both.loc["Name"]) == ["Theirs", "Mine"]
    assert own_company.queries.mailbox(SYSTEM, uid).display_name == "Theirs"


def test_names_are_no_markup(own_company: Postroom) -> None:
    uid = uid_of(own_company, f"anna.abe@{MAIN}")
    own_company.services.mailboxes.edit(SYSTEM, uid, display_name="**bold** [x](http://evil.example) :red[a] $x$")
    test = AppTest.from_function(_detail, args=(str(uid),), default_timeout=30)
    test.session_state[TEST_TOKEN] = token_of(own_company, "alice")
    test.run()
    assert not test.exception
    assert any("\\*\\*bold\\*\\* \\[x\\]\\(http" in text.value for text in test.markdown)


def _detail(uid: str) -> None:
    from uuid import UUID

    from webui.mailboxes import detail

    detail.detail_dialog(UUID(uid))


def test_deleting_names_the_mailboxs_own_alias_among_hundreds_that_look_alike(own_company: Postroom) -> None:
    write = own_company.services
    row = write.mailboxes.create(SYSTEM, NewMailbox(f"i@{MAIN}", password_hash=HASH))
    others = [NewMailbox(f"b{n}.i@{MAIN}", password_hash=HASH, aliases=(f"a{n}@{MAIN}",)) for n in range(201)]
    assert not write.bulk.create(SYSTEM, others).errors
    write.aliases.create(SYSTEM, f"zoe@{MAIN}", [f"i@{MAIN}"])
    test = opened(own_company, "alice", "delete", row.uid)
    test.radio[0].set_value("force").run()
    assert f"Aliases that go with it: zoe@{MAIN}" in shown(test).split("\n")


def test_deleting_for_good_names_aliases_and_must_be_typed(own_company: Postroom) -> None:
    uid = uid_of(own_company, f"anna.abe@{MAIN}")
    test = opened(own_company, "alice", "delete", uid)
    test.radio[0].set_value("force").run()
    text = shown(test)
    assert "Aliases that go with it: postmaster@example.com" in text
    assert "Aliases that lose this destination: everybody@example.com" in text
    assert "would see the old mail" in text
    assert test.checkbox[0].disabled
    assert next(b for b in test.button if b.label == "Delete for good").disabled
    test.text_input[0].set_value("DELETE").run()
    press(test, "Delete for good")
    assert f"anna.abe@{MAIN}" not in (own_company.settings.data_dir.parent / "config/postfix-accounts.cf").read_text()


@pytest.mark.parametrize("keep", [False, True])
def test_deleting_closes_the_login_unless_it_is_kept(own_company: Postroom, keep: bool) -> None:
    uid = uid_of(own_company, f"anna.abe@{MAIN}")
    test = opened(own_company, "alice", "delete", uid)
    assert "Nobody can log in any more" in shown(test)
    test.checkbox[0].set_value(keep).run()
    press(test, "Delete")
    text = (own_company.settings.data_dir.parent / "config/postfix-accounts.cf").read_text()
    line = next(line for line in text.splitlines() if line.startswith("anna.abe@"))
    row = own_company.queries.mailbox_row(SYSTEM, uid)
    assert (row["login_open"], line.endswith("|fail=y")) == (keep, not keep)
    assert (row["status"], row["sync_status"]) == ("DELETED", "SYNCED")


def test_one_that_was_left_open_is_told_and_closed(own_company: Postroom, open_as: Open) -> None:
    uid = uid_of(own_company, f"anna.abe@{MAIN}")
    own_company.services.mailboxes.delete(SYSTEM, uid, keep_login=True)
    test = open_as(own_company, "alice", "mailboxes")
    test.selectbox(key="mb_status").set_value("DELETED").run()
    shown_states = dict(zip(addresses(test), test.dataframe[0].value["state"], strict=True))
    assert list(shown_states[f"anna.abe@{MAIN}"]) == ["Deleted", "Login open"]
    assert all(list(state) == ["Synced", "Deleted"] for who, state in shown_states.items() if "anna" not in who)


def test_the_quota_of_several(own_company: Postroom) -> None:
    uids = [uid_of(own_company, f"{name}@{MAIN}") for name in ("anna.abe", "ben.carter")]
    test = opened(own_company, "alice", "quota", *uids)
    field(test, "Quota (MB)").set_value(777)
    press(test, "Save")
    assert [own_company.queries.mailbox(SYSTEM, uid).quota_bytes >> 20 for uid in uids] == [777, 777]


def test_checking_a_password_without_imap_is_a_sentence(company: Postroom) -> None:
    test = opened(company, "alice", "verify", uid_of(company, f"anna.abe@{MAIN}"))
    field(test, "Password").set_value("Correct-Horse-1")
    press(test, "Check")
    assert "no IMAP host" in test.error[0].value


# ---- posting what the page does not show ---------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fields", "button", "operation"),
    [
        ("edit", {"Name": "Hacked"}, "Save", "mailbox.edit"),
        ("quota", {"Quota (MB)": 1}, "Save", "mailbox.set_quota_many"),
        ("reset", {}, "Create new password", "mailbox.reset_password"),
        ("delete", {}, "Delete", "mailbox.delete_many"),
        ("verify", {"Password": "Correct-Horse-1"}, "Check", "mailbox.verify"),
    ],
)
def test_what_the_page_does_not_show_is_denied_and_audited(
    company: Postroom, name: str, fields: dict[str, Any], button: str, operation: str
) -> None:
    """In a domain of somebody else; whose role may change no mailbox at all: tests/ui/test_dialogs.py."""
    uid = uid_of(company, f"anna.abe@{SALES}")
    before = company.queries.mailbox(SYSTEM, uid).version
    test = opened(company, "dora", name, uid)
    for label, value in fields.items():
        field(test, label).set_value(value)
    press(test, button)
    assert not test.exception
    assert "not yours" in test.error[0].value
    assert not test.code
    assert company.queries.mailbox(SYSTEM, uid).version == before
    with company.database.read() as session:
        statement = select(ProvisionLog).where(ProvisionLog.operator == "dora", ProvisionLog.operation == operation)
        record = session.scalars(statement.order_by(ProvisionLog.id.desc())).first()
    assert record
    assert (record.status, record.error) == ("FAILED", "INSUFFICIENT_PERMISSION")


def test_creating_elsewhere_is_denied(company: Postroom) -> None:
    test = fill_create(opened(company, "dora", "create"), f"x@{SALES}")
    assert "not yours" in test.error[0].value


# ---- imports -------------------------------------------------------------------------------

CSV = b"email,password,display_name\nimported@example.com,Correct-Horse-1,Imp\nbad,Correct-Horse-1,\n"


def test_an_import_is_on_the_page_until_it_is_hidden(own_company: Postroom, open_as: Open) -> None:
    start_import(own_company, signed_in(own_company, "alice").actor, CSV)
    waiting = open_as(own_company, "alice", "mailboxes")
    assert not waiting.exception
    assert "Stop" in buttons(waiting)
    assert not {"Stop", "Hide"} & buttons(open_as(own_company, "dora", "mailboxes"))
    run_next_task(own_company)
    finished = open_as(own_company, "alice", "mailboxes")
    assert "**Import finished**: 1 created, 1 refused" in shown(finished)
    press(finished, "Hide")
    assert "Import finished" not in shown(finished)


def test_a_file_that_does_not_tell_its_encoding_is_imported_as_its_words_read_right(
    own_company: Postroom,
) -> None:
    test = opened(own_company, "alice", "import")
    data = b"email,password,display_name\nj@sales.example.com,Correct-Horse-1,J\xfcrgen\n"
    test.file_uploader[0].set_value(("people.csv", data, "text/csv")).run()
    assert "it may be in cp1252" in test.error[0].value
    choice = next(box for box in test.selectbox if "read right" in box.label)
    assert choice.options[0] == "Western European (cp1252): Jürgen"
    choice.select_index(0).run()
    assert not test.error
    press(test, "Import 1 mailbox")
    run_next_task(own_company)
    made = own_company.queries.mailbox_by_address(SYSTEM, "j@sales.example.com")
    assert made.display_name == "Jürgen"


def test_the_columns_of_others_are_shown_and_can_be_chosen(own_company: Postroom) -> None:
    test = opened(own_company, "alice", "import")
    data = b"Staff,Vorname,E-Mail,Code,Phone\n7,Anna,j@sales.example.com,Correct-Horse-1,030 1\n"
    test.file_uploader[0].set_value(("staff.csv", data, "text/csv")).run()
    assert "password" in test.error[0].value
    columns = {box.label.replace("\\", "").replace(NOTHING, ""): box for box in test.selectbox}
    assert [columns[name].value for name in ("Staff", "Vorname", "E-Mail", "Code")] == ["", "first_name", "email", ""]
    assert "030 1" in shown(test)
    columns["Code"].select("password").run()
    assert not test.error
    assert "Correct-Horse-1" not in shown(test)
    assert "Left out: Staff and Phone" in shown(test) or "Left out: Staff, Phone" in shown(test)
    press(test, "Import 1 mailbox")
    run_next_task(own_company)
    assert own_company.queries.mailbox_by_address(SYSTEM, "j@sales.example.com").display_name == "Anna"
    again = opened(own_company, "alice", "import")
    again.file_uploader[0].set_value(("staff.csv", data, "text/csv")).run()
    assert next(box for box in again.selectbox if box.label == "Code").value == "password"


def test_rows_without_passwords_get_new_ones_that_the_page_offers_once(own_company: Postroom, open_as: Open) -> None:
    test = opened(own_company, "alice", "import")
    test.file_uploader[0].set_value(("staff.csv", b"email\nj@sales.example.com\n", "text/csv")).run()
    assert "password" in test.error[0].value
    test.checkbox[0].check().run()
    press(test, "Import 1 mailbox")
    run_next_task(own_company)
    page = open_as(own_company, "alice", "mailboxes")
    links = [part.proto.url for part in page.get("link_button") if "import-passwords" in part.proto.url]
    assert len(links) == 1
    uid = UUID(links[0].partition("import=")[2])
    assert "j@sales.example.com," in made_passwords(own_company, signed_in(own_company, "alice").actor, uid)
    assert not [
        part for part in open_as(own_company, "alice", "mailboxes").get("link_button") if "passwords" in part.proto.url
    ]


def test_what_an_update_changes_is_shown_before_and_done_then(own_company: Postroom) -> None:
    address = f"anna.abe@{MAIN}"
    before = own_company.queries.mailbox_by_address(SYSTEM, address)
    test = opened(own_company, "alice", "import")
    test.file_uploader[0].set_value(
        ("people.csv", f"email,display_name\n{address},Anna New\n".encode(), "text/csv")
    ).run()
    next(box for box in test.checkbox if box.label.startswith("Update")).check().run()
    assert not test.error
    (change,) = test.dataframe[0].value.to_dict("records")
    assert (change["before"], change["after"]) == (before.display_name, "Anna New")
    press(test, "Import 1 mailbox")
    run_next_task(own_company)
    after = own_company.queries.mailbox_by_address(SYSTEM, address)
    assert (after.display_name, after.quota_bytes) == ("Anna New", before.quota_bytes)


def test_an_import_can_be_stopped(own_company: Postroom, open_as: Open) -> None:
    start_import(own_company, signed_in(own_company, "alice").actor, CSV)
    test = open_as(own_company, "alice", "mailboxes")
    press(test, "Stop")
    assert not test.exception
    test.run()
    assert "Import stopped" in shown(test)


def test_a_viewer_may_not_import(company: Postroom) -> None:
    actor: Actor = signed_in(company, "vera").actor
    assert not actor.may(Permission.MAILBOX_WRITE)
    with pytest.raises(AccessDenied):
        start_import(company, actor, CSV)
