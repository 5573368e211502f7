"""The contract of `tests/servers/test_contract.py` on a real container, with config files of its own meanwhile."""

import pytest

from tests.live.conftest import LIVE_CONTAINER

if not LIVE_CONTAINER:
    pytest.skip(
        "Tests against a real docker-mailserver are left out: POSTROOM_LIVE_CONTAINER is not set.",
        allow_module_level=True,
    )

from tests.servers.test_contract import *  # noqa: F403

pytestmark = pytest.mark.live
