"""The dashboard apart from its pages: Streamlit and HTTP."""
