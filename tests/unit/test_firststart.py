"""The mail server that the environment names is set up at the first start."""

from dataclasses import replace
from pathlib import Path

import pytest

from provision.app import Postroom, open_postroom
from provision.core.access import Actor
from provision.core.errors import InvalidInput
from provision.ops.first_start import add_named_server
from provision.servers.kinds import named_server
from provision.settings.config import Settings
from tests.conftest import HASH

SYSTEM = Actor.system("test")


def started_on(postroom: Postroom, **named: object) -> Postroom:
    return replace(postroom, settings=postroom.settings.model_copy(update=named))


def test_what_is_on_it_is_imported_once(postroom: Postroom, volume: Path) -> None:
    (volume / "postfix-accounts.cf").write_text(f"ann@example.com|{HASH.reveal()}\n")
    app = started_on(postroom, config_dir=volume)
    assert add_named_server(app) == ["Imported 1 mailboxes and aliases from the mail server."]
    assert app.queries.mailbox_by_address(SYSTEM, "ann@example.com").sync_status == "SYNCED"
    assert add_named_server(app) == []


@pytest.mark.parametrize("there", [True, False])
def test_an_empty_or_missing_volume_is_told_and_set_up(postroom: Postroom, volume: Path, there: bool) -> None:
    app = started_on(postroom, config_dir=volume if there else volume / "missing")
    said = " ".join(add_named_server(app))
    assert ("There is no account in" if there else "There is no folder") in said
    assert [server.name for server in app.queries.servers(SYSTEM)] == ["mail"]


def test_two_processes_start_at_once(postroom: Postroom, volume: Path, settings: Settings) -> None:
    """The second one looked before the first one wrote."""
    app, other = started_on(postroom, config_dir=volume), open_postroom(settings, migrate=False)
    try:
        add_named_server(app)
        late = replace(started_on(other, config_dir=volume), queries=_BeforeAnyServer())  # type: ignore[arg-type]
        assert add_named_server(late) == []
        assert len(other.queries.servers(SYSTEM)) == 1
    finally:
        other.close()


class _BeforeAnyServer:
    def servers(self, actor: Actor) -> list[object]:
        return []


def test_without_a_name_nothing_is_set_up_and_two_are_refused(postroom: Postroom) -> None:
    assert add_named_server(postroom) == []
    with pytest.raises(InvalidInput, match="not both"):
        named_server(Path("/config"), "mailserver")
