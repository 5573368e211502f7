"""Requests nobody would think of: no 5xx, nothing the document does not say. Longer: `python -m tests.api.fuzz`."""

from pathlib import Path

import pytest

from tests.api.fuzz import UNLIMITED, fuzz, token_of
from tests.e2e.site import serve
from tests.nightly import by_day

SECONDS, SECONDS_OF_A_STRANGER = by_day(5, 120), by_day(2, 20)  # who gets to see little


@pytest.mark.timeout(600)
def test_whatever_is_sent_the_document_keeps_its_word(tmp_path: Path) -> None:
    with serve(tmp_path, **UNLIMITED) as site:
        for token, seconds in ((token_of(site.app), SECONDS), (None, SECONDS_OF_A_STRANGER)):
            done = fuzz(site.url, token, examples=by_day(5, 100), seconds=seconds)
            assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in site.log.read_text()
