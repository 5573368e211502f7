"""Postroom's dashboard: `streamlit run dashboard.py` or `uvicorn dashboard:app`."""

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

if get_script_run_ctx(suppress_warning=True) is not None:  # run as a script: by AppTest
    from webui.entry import render

    render()
else:  # imported by a server
    from webui.http import asgi
    from webui.kit.ui import on_script_error

    app = st.App(
        asgi.SCRIPT,
        routes=asgi.routes(),
        middleware=asgi.middleware(),
        lifespan=asgi.lifespan,
        on_script_error=on_script_error,
    )
