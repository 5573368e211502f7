"""Real reverse proxies before real dashboards, with the config files that admins are given."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.site import ROOT
from tests.waiting import wait_for

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
CADDY = """{
    admin off
    auto_https disable_redirects
    skip_install_trust
}
"""


@contextmanager
def nginx(folder: Path, dashboard: str) -> Iterator[str]:
    """deploy/nginx.conf before this dashboard; the address of nginx."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if not program:
        pytest.skip("nginx is not installed")
    folder.mkdir()
    port, (certificate, key) = free_port(), make_certificate(folder)
    places = {
        "127.0.0.1:8501": dashboard.removeprefix("http://"),
        "443 ssl": f"127.0.0.1:{port} ssl",
        "/etc/ssl/certs/mail.example.com.pem": certificate,
        "/etc/ssl/private/mail.example.com.key": key,
    }
    (folder / "site.conf").write_text(adapted("nginx.conf", places))
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    with running([program, "-p", str(folder), "-c", str(folder / "nginx.conf")], folder, port):
        yield f"https://localhost:{port}"


@contextmanager
def caddy(folder: Path, dashboards: list[str]) -> Iterator[str]:
    """deploy/Caddyfile before these two dashboards; the address of Caddy."""
    if not shutil.which("caddy"):
        pytest.skip("caddy is not installed")
    folder.mkdir()
    port = free_port()
    places = {"{$DASHBOARD_HOSTNAME}": f"https://localhost:{port}"}
    places |= {f"web-{n}:8501": url.removeprefix("http://") for n, url in enumerate(dashboards, 1)}
    (folder / "Caddyfile").write_text(CADDY + adapted("Caddyfile", places))
    argv = ["env", f"XDG_DATA_HOME={folder}", f"XDG_CONFIG_HOME={folder}", "caddy", "run", "--adapter", "caddyfile"]
    with running([*argv, "--config", str(folder / "Caddyfile")], folder, port):
        yield f"https://localhost:{port}"


def adapted(name: str, places: dict[str, str]) -> str:
    """A config file of deploy/ for the ports and files of a test, otherwise as it is."""
    text = (ROOT / "deploy" / name).read_text()
    for theirs, ours in places.items():
        assert theirs in text, f"{theirs} is not in deploy/{name} any more"
        text = text.replace(theirs, ours)
    return text


@contextmanager
def running(argv: list[str], folder: Path, port: int) -> Iterator[None]:
    log = folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output)
    try:
        assert wait_for(lambda: process.poll() is not None or answers(port)), log.read_text()
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(20)


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def answers(port: int) -> bool:
    """By TLS: Caddy listens some time before it has its certificate."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as line,
            unverified().wrap_socket(line, server_hostname="localhost"),
        ):
            return True
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_certificate(folder: Path) -> tuple[str, str]:
    """For localhost, signed by itself."""
    certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*argv, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key
