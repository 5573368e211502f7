"""The image without building it: what goes into it is enough to run. test_image.py builds it at night."""

import shutil
from fnmatch import fnmatch
from pathlib import Path

from tests.e2e.site import ROOT, server_process

IGNORE = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]


def goes_in(path: str) -> bool:
    """As Docker reads .dockerignore: the last line that fits the path, or a folder above it, decides."""
    taken = True
    for line in IGNORE:
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = Path(path).parts
        names = ["/".join(parts[: n + 1]) for n in range(len(parts))] + (list(parts) if "**/" in line else [])
        if any(fnmatch(name, pattern) for name in names):
            taken = line.startswith("!")
    return taken


def image_files() -> list[Path]:
    every = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts)
    return [path for path in every if goes_in(str(path))]


def test_what_goes_into_the_image_runs(tmp_path: Path) -> None:
    image = tmp_path / "image"
    for path in image_files():
        (image / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, image / path)
    with server_process(tmp_path, root=image):
        pass


def test_nothing_else_goes_in() -> None:
    inside = {path.parts[0] for path in image_files()}
    assert inside == {
        *("LICENSE", "api", "dashboard.py", "migrations", "pages", "provision", "requirements.txt", "webui"),
        ".streamlit",
    }
