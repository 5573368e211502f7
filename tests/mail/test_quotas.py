"""Quotas of ours, as Dovecot applies them."""

import pytest

from tests.conftest import HASH, PASSWORD
from tests.mail.conftest import Mail

MB = 1 << 20


def quotas(mail: Mail, *addresses: str) -> list[int | None]:
    mail.host.feed(mail.world.volume)
    return [mail.host.quota_bytes(address) for address in addresses]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(500 * MB, 500 * MB), (5 << 30, 5 << 30), (1536 * 1024, 1536 * 1024), (1 << 40, 1 << 40), (0, None)],
)
def test_dovecot_applies_our_quota(mail: Mail, ours: int, theirs: int | None) -> None:
    mail.add("anna@example.com", PASSWORD, quota_bytes=ours)
    assert quotas(mail, "anna@example.com") == [theirs]


def test_a_changed_and_a_cleared_quota(mail: Mail) -> None:
    row = mail.world.add("anna@example.com", quota_bytes=5 * MB)
    mail.world.app.services.mailboxes.edit(mail.world.alice, row.uid, quota_bytes=7 * MB)
    assert quotas(mail, "anna@example.com") == [7 * MB]
    mail.world.app.services.mailboxes.edit(mail.world.alice, row.uid, quota_bytes=0)
    assert quotas(mail, "anna@example.com") == [None]


@pytest.mark.parametrize("first", ["a@example.com", "aa@example.com"])
def test_an_address_inside_another_keeps_its_own_quota(mail: Mail, first: str) -> None:
    sizes = {"a@example.com": 3 * MB, "aa@example.com": 7 * MB}
    for address in sorted(sizes, key=lambda address: address != first):
        mail.world.add(address, quota_bytes=sizes[address])
    assert quotas(mail, *sizes) == list(sizes.values())


def test_no_quota_is_not_the_quota_of_a_longer_address(mail: Mail) -> None:
    mail.world.add("aa@example.com", quota_bytes=7 * MB)
    mail.world.add("a@example.com", quota_bytes=0)
    assert quotas(mail, "a@example.com", "aa@example.com") == [None, 7 * MB]


def test_an_account_made_by_hand_gets_no_foreign_quota_from_our_edit(mail: Mail) -> None:
    mail.world.write(f"a@example.com|{HASH.reveal()}\n")
    mail.world.add("aa@example.com", quota_bytes=7 * MB)
    assert quotas(mail, "a@example.com", "aa@example.com") == [None, 7 * MB]


@pytest.mark.parametrize(
    ("dotted", "like_it"),
    [("j.smith@example.com", "j-smith@example.com"), ("j.smith@example.com", "jj_smith@example.com")],
)
def test_a_dot_that_grep_takes_for_any_letter_does_not_lend_a_quota(mail: Mail, dotted: str, like_it: str) -> None:
    mail.world.add(like_it, quota_bytes=7 * MB)
    mail.world.add(dotted, quota_bytes=3 * MB)
    assert quotas(mail, dotted, like_it) == [3 * MB, 7 * MB]


def test_a_quota_in_a_comment_does_not_count(mail: Mail) -> None:
    mail.world.write("# anna@example.com:1M was too little\n# anna@example.com:2M\n", "dovecot-quotas.cf")
    mail.world.add("anna@example.com", quota_bytes=3 * MB)
    assert quotas(mail, "anna@example.com") == [3 * MB]


def test_an_alias_shows_the_quota_of_its_mailbox(mail: Mail) -> None:
    mail.world.add("aa@example.com", quota_bytes=7 * MB)
    mail.world.add("a@example.com", quota_bytes=3 * MB)
    mail.world.app.services.aliases.create(mail.world.alice, "info@example.com", ["a@example.com"])
    assert quotas(mail, "info@example.com") == [3 * MB]
