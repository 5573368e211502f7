"""Where on its host the dashboard lives: Streamlit's `server.baseUrlPath`, e.g. `admin` for https://mail.example.com/admin/."""

from streamlit import config


def base_path() -> str:
    """E.g. `/admin`; empty at the root."""
    path = str(config.get_option("server.baseUrlPath")).strip("/")
    return f"/{path}" if path else ""


def url_for(path: str) -> str:
    """A path of ours as browsers must ask for it."""
    return base_path() + path


def path_below(path: str) -> str:
    """A path that was asked for, without the base path."""
    base = base_path()
    return path.removeprefix(base) or "/" if path == base or path.startswith(f"{base}/") else path
