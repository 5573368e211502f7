"""What is pinned is installed, and nothing else: by old and new pip, after newer versions came out."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.deploy.image import ROOT

pytestmark = pytest.mark.slow

# The pip of the first Python 3.11, of Debian 12, of Python 3.11.7, and the newest when this was written.
PIPS = {
    "22.3": "1daab4b8d3b97d1d763caeb01a4640a2250a0ea899e257b1e44b9eded91e15ab",
    "23.0.1": "236bcb61156d76c4b8a05821b988c7b8c35bf0da28a4b614e8d6ab5212c25c6f",
    "23.2.1": "7ccf472345f20d35bdc9d1841ff5f313260c2c33fe417f48c30ac46cccabf5be",
    "26.3": "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13",
}
ONLY_311 = ("22.3", "23.0.1")  # Python 3.12 took away what they are built on
# What each wheel of the index needs. `alpha` asks for an extra of `beta`, which brings `delta`.
WHEELS: dict[tuple[str, str], list[str]] = {
    ("alpha", "1.0"): ["beta[more]>=1", "gamma"],
    ("beta", "1.0"): ["delta>=1; extra == 'more'"],
    ("beta", "2.0"): ["delta>=2; extra == 'more'"],
    ("gamma", "1.0"): ["beta"],
    ("gamma", "2.0"): [],
    ("delta", "1.0"): [],
    ("delta", "2.0"): [],
}
PINNED = {"alpha": "1.0", "beta": "1.0", "gamma": "1.0", "delta": "1.0"}


def wheel(folder: Path, name: str, version: str, needs: list[str]) -> Path:
    """A package with one module that says its version."""
    info = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [*(["Provides-Extra: more"] if "extra ==" in str(needs) else []), *(f"Requires-Dist: {n}" for n in needs)]
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": "\n".join(lines) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items()]
    files[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_index(folder: Path) -> None:
    """A package index in a folder, as its web pages would be."""
    for (name, version), needs in WHEELS.items():
        page = folder / name
        page.mkdir(parents=True, exist_ok=True)
        wheel(page, name, version, needs)
        links = [f'<a href="{path.name}#sha256={sha256(path)}">{path.name}</a>' for path in sorted(page.glob("*.whl"))]
        (page / "index.html").write_text("<!DOCTYPE html>" + "<br>".join(links))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """scripts/common.sh, and a list in which each package of PINNED has its hash."""
    folder = tmp_path / "postroom"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts/common.sh", folder / "scripts")
    make_index(tmp_path / "index")
    files = {name: tmp_path / "index" / name / f"{name}-{version}-py3-none-any.whl" for name, version in PINNED.items()}
    lines = [f"{name}=={PINNED[name]} --hash=sha256:{sha256(path)}\n" for name, path in files.items()]
    (folder / "requirements.txt").write_text("".join(lines))
    return folder


def give_pip(checkout: Path, version: str) -> Path:
    """A virtual environment with this pip: its site-packages."""
    if version in ONLY_311 and sys.version_info >= (3, 12):
        pytest.skip(f"pip {version} does not run with Python 3.12 and newer, which come with a newer one")
    wanted = checkout / "pip.txt"
    wanted.write_text(f"pip=={version} --hash=sha256:{PIPS[version]}\n")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    impatient = {"PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "10", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    got = subprocess.run(
        [*command, "-r", str(wanted), "-d", str(checkout)],
        env={**os.environ, **impatient},
        capture_output=True,
        text=True,
    )
    assert "DO NOT MATCH THE HASHES" not in got.stderr, got.stderr
    if got.returncode:
        pytest.skip(f"pip {version} cannot be had from the package index: {got.stderr.strip().rpartition(chr(10))[2]}")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    (site,) = (checkout / ".venv/lib").glob("python*/site-packages")
    with zipfile.ZipFile(checkout / f"pip-{version}-py3-none-any.whl") as archive:
        archive.extractall(site)
    return site


def make_venv(checkout: Path) -> subprocess.CompletedProcess[str]:
    """With the index of this test alone, whatever this machine's pip is told to use."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    told = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": (checkout.parent / "index").as_uri()}
    command = ["bash", "-euo", "pipefail", "-c", ". scripts/common.sh; make_venv requirements.txt"]
    return subprocess.run(command, cwd=checkout, env={**environment, **told}, capture_output=True, text=True)


def installed(site: Path) -> dict[str, str]:
    found = (re.fullmatch(r"(\w+)-(.+)\.dist-info", path.name) for path in site.glob("*.dist-info"))
    return {match[1]: match[2] for match in found if match}


@pytest.mark.parametrize("version", PIPS)
def test_exactly_what_is_pinned_is_installed(checkout: Path, version: str) -> None:
    site = give_pip(checkout, version)
    done = make_venv(checkout)
    assert done.returncode == 0, done.stderr
    assert installed(site) == {**PINNED, "pip": version}


def test_a_list_that_lacks_a_package_is_noticed(checkout: Path) -> None:
    site = give_pip(checkout, "23.2.1")
    lines = (checkout / "requirements.txt").read_text().splitlines(keepends=True)
    (checkout / "requirements.txt").write_text("".join(line for line in lines if not line.startswith("gamma")))
    done = make_venv(checkout)
    assert done.returncode == 1
    assert "alpha 1.0 requires gamma, which is not installed" in done.stderr
    assert "requirements.txt is incomplete" in done.stderr
    assert "gamma" not in installed(site)
    assert not (checkout / ".venv/.installed").exists()
