"""What the log says of a run or a request: one id for all of it, and no line for what fills it up."""

import io

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit import config
from streamlit.testing.v1 import AppTest

from provision.app import Postroom
from provision.telemetry import serverlog
from tests.ui.conftest import token_of
from webui.http.request_log import RequestLog
from webui.http.sessions import TEST_TOKEN


def gates() -> None:
    """A run that passes the gate several times, in a fragment too; and gates outside of any run of the dashboard."""
    from contextlib import nullcontext

    import streamlit as st
    from structlog.contextvars import get_contextvars

    from webui.http import sessions
    from webui.kit import ui

    ids: list[str] = []

    @st.fragment
    def part() -> None:
        ui.signed_in()
        ids.append(get_contextvars()["run_id"])

    with sessions.whole_run() if st.session_state["whole"] else nullcontext():
        for _time in range(3):
            ui.signed_in()
            ids.append(get_contextvars()["run_id"])
        if st.session_state["whole"]:
            part()
    st.session_state["seen"] = ids


@pytest.mark.parametrize("whole", [True, False], ids=["the dashboard", "by itself"])
def test_a_run_has_one_id(company: Postroom, whole: bool) -> None:
    test = AppTest.from_function(gates, default_timeout=30)
    test.session_state[TEST_TOKEN] = token_of(company, "alice")
    test.session_state["whole"] = whole
    (first,) = set(test.run().session_state["seen"])
    (second,) = set(test.run().session_state["seen"])
    assert not test.exception
    assert first != second


@pytest.mark.parametrize("base", ["", "admin"])
def test_what_fills_the_log_is_left_out_below_a_base_path_too(base: str) -> None:
    before, written = config.get_option("server.baseUrlPath"), io.StringIO()
    app = Starlette(routes=[Route("/{path:path}", lambda request: PlainTextResponse("ok"))])
    config.set_option("server.baseUrlPath", base)
    serverlog.configure("json", written)
    try:
        client = TestClient(RequestLog(app))
        for path in ("/_stcore/health", "/static/js/main.js", "/health", "/export/logs.csv"):
            client.get(f"/{base}{path}" if base else path)
        client.get("/health")
    finally:
        config.set_option("server.baseUrlPath", before)
    assert written.getvalue().count("\n") == 1
    assert "/export/logs.csv" in written.getvalue()
