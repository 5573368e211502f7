"""The image as admins run it: unprivileged, on a read-only file system, stopped and started again."""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.deploy.image import UID, Box
from tests.e2e.site import fill_sign_in

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(900)]
SCOPES = ("mailbox:read", "mailbox:write", "domain:read")
MAILBOX = {"email": "bob@example.com", "password": "Some-pass-word-1", "displayName": "Bob"}


def token_of(box: Box) -> str:
    scopes = [word for scope in SCOPES for word in ("--scope", scope)]
    return str(json.loads(box.run("python", "-m", "provision", "token", "add", "test", "--json", *scopes))["token"])


def accounts(box: Box) -> list[str]:
    return [line.split("|")[0] for line in (box.config / "postfix-accounts.cf").read_text().splitlines()]


def test_it_gets_healthy_unprivileged_on_a_read_only_file_system(box: Box) -> None:
    box.wait_until_healthy()
    assert json.loads(box.get("/health")[1])["status"] == "healthy"
    assert box.run("id", "-u").strip() == str(UID)
    assert "Read-only file system" in box.run("sh", "-c", "touch /opt/postroom/x 2>&1 || true")
    assert "Permission denied" in box.run(
        "sh", "-c", "grep -q ' / / .*ro' /proc/self/mountinfo; cat /etc/shadow 2>&1 || true"
    )
    assert box.run("sh", "-c", "stat -c %a /data /data/secret.key").split() == ["700", "600"]
    assert "<title>Streamlit" in box.get("/")[1]
    assert "PIP_" not in box.run("env")
    assert "external IP" not in box.log(), "nobody outside is asked for this machine's address"
    assert "ok" in box.run("python", "-m", "provision", "doctor").lower()


@pytest.mark.browser
def test_the_first_admin_signs_in_with_the_password_from_the_log(box: Box, page: Page) -> None:
    assert "Imported 1 mailboxes and aliases" in box.log()
    page.goto(box.url)
    fill_sign_in(page, "admin", box.first_password())
    expect(page.get_by_role("heading", name="Choose your password")).to_be_visible()


def test_a_mailbox_reaches_the_config_volume(box: Box) -> None:
    """The file is exchanged, so it becomes ours; docker-mailserver reads as root."""
    token = token_of(box)
    assert box.call(token, "POST", "/mailboxes", MAILBOX)["syncStatus"] == "SYNCED"
    assert accounts(box) == ["ann@example.com", "bob@example.com"]
    for name in ("postfix-accounts.cf", "dovecot-quotas.cf"):
        status = (box.config / name).stat()
        assert (status.st_uid, status.st_gid, oct(status.st_mode & 0o7777)) == (UID, UID, "0o644"), name
    assert "bob@example.com" in box.run("python", "-m", "provision", "mailbox", "list")


def test_a_stop_is_quick_and_loses_nothing(box: Box) -> None:
    token, password = token_of(box), box.first_password()
    box.call(token, "POST", "/mailboxes", MAILBOX)
    assert box.stop() in (0, 143), "killed"
    box.container.start()
    box.wait_until_served()
    found = box.call(token, "GET", "/mailboxes")["items"]
    assert sorted(row["email"] for row in found) == ["ann@example.com", "bob@example.com"]
    assert box.first_password() == password, "told once"


def test_a_backup_of_the_container_can_be_restored(box: Box) -> None:
    box.run("python", "-m", "provision", "backup", "/data/backup")
    elsewhere = "export POSTROOM_DATA_DIR=/tmp/new; python -m provision"
    box.run("sh", "-c", f"{elsewhere} restore /data/backup")
    assert "ann@example.com" in box.run("sh", "-c", f"{elsewhere} mailbox list")
