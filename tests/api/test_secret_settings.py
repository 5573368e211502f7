"""No answer of the API holds a secret setting of a mail server."""

import pytest

from provision.core.traits import Traits
from tests.api.conftest import Api
from tests.servers.made_up import API_KEY, KIND, made_up


@pytest.mark.parametrize("path", ["/servers", "/sync/status", "/logs", "/logs/stream", "/domains"])
def test_no_answer_holds_a_secret_setting(api: Api, path: str) -> None:
    with made_up(Traits()) as remote:
        world, settings = api.world, {"url": "https://made.up", "api_key": API_KEY}
        row = world.app.services.servers.create(world.alice, "far", KIND, settings)
        world.app.services.domains.create(world.alice, "example.net", "far")
        remote.key = "changed"  # the driver quotes what was refused
        world.app.sync.probe(row.id)
        world.add("anna@example.net")
        answer = api("GET", path)
        assert answer.status_code == 200
        assert "far" in answer.text
        assert API_KEY not in answer.text
