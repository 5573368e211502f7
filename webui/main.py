"""The script that st.App runs. No folder `pages` may lie beside it: Streamlit would serve that without a sign-in."""

from webui.entry import render

render()
