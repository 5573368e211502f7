"""The main journey, on both databases."""

from provision.storage.models import SyncStatus
from tests.conftest import HASH, World


def test_it_delivers_a_new_mailbox(world: World) -> None:
    row = world.add("anna@example.com", quota_bytes=500 << 20)
    assert row.sync_status == SyncStatus.SYNCED
    assert world.text() == f"anna@example.com|{HASH.reveal()}\n"
    assert world.text("dovecot-quotas.cf") == "anna@example.com:500M\n"
    assert world.app.queries.verify_audit(world.alice).intact
