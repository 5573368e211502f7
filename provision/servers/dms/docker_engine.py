"""The way to a Docker engine: its socket, TCP with TLS, or ssh; and a sentence for each way that is barred.

The engine must prove itself on every way: by ca.pem over TLS, by a known host key over ssh.
Source: docker SDK 7, `docker.transport`; paramiko's SSHClient; Docker docs, "Protect the Docker daemon socket".
"""

import logging
import math
import os
import ssl
from pathlib import Path
from threading import Timer
from typing import Any

from docker import APIClient
from docker.constants import DEFAULT_DOCKER_API_VERSION, DEFAULT_NUM_POOLS_SSH
from docker.errors import DockerException
from docker.tls import TLSConfig
from docker.transport import SSHHTTPAdapter
from docker.utils import parse_host
from paramiko import MissingHostKeyPolicy, PKey, SSHClient, SSHException
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.util.ssl_ import create_urllib3_context

from provision.core.errors import Unreachable
from provision.core.texts import N_

LOCAL_SOCKET = "unix:///var/run/docker.sock"
ADDRESSES = "unix:///path, tcp://host:port and ssh://user@host"
CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")
ENGINE_ERRORS = (DockerException, RequestException, SSHException, OSError, EOFError)
NO_ANSWER = N_("The Docker engine at {engine} did not answer within {seconds:g} seconds.")
# What an error's text holds, and what the operator reads; the first that fits.
TROUBLES = N_(
    {
        **dict.fromkeys(("timed out", "Timeout opening channel", "Authentication timeout"), NO_ANSWER),
        **dict.fromkeys(("No existing session", "Channel closed", "session not active"), NO_ANSWER),  # silence, by ssh
        "FileNotFoundError": "There is no Docker socket at {engine}. "
        "Is Docker running, and is its socket mounted here?",
        "PermissionError": "This user may not use the Docker socket at {engine}; "
        "add it to the group that owns the socket.",
        "Connection refused": "No Docker engine answers at {engine}: the connection was refused.",
        "Unable to connect to port": "Nobody answers by ssh at {engine}: the connection was refused.",
        "does not match: got": "The host of {engine} shows another ssh host key than the one in ~/.ssh/known_hosts. "
        "It was set up again, or somebody is in between: nothing was sent. "
        "If the new key is right, replace the old one there.",
        "Authentication": "The host of {engine} accepts none of this user's ssh keys (~/.ssh or an ssh agent); add the "
        "public key to the authorized_keys of that user.",
        "authentication": "There is no ssh key for {engine}: neither in ~/.ssh nor in an ssh agent.",
        "Private key file is encrypted": "The ssh key for {engine} has a passphrase, and no ssh agent holds it.",
        "protocol banner": "What answers at {engine} does not speak ssh, or not within {seconds:g} seconds.",
        "to an HTTPS server": "The Docker engine at {engine} speaks TLS only; "
        "set tls_path to the folder of its certificates.",
        "certificate has expired": "The TLS certificate of the Docker engine at {engine} has expired.",
        "CERTIFICATE_VERIFY_FAILED": "The Docker engine at {engine} cannot be trusted: ca.pem did not sign its TLS "
        "certificate, or that is for another name. Nothing was sent.",
        "alert": "The Docker engine at {engine} does not accept the TLS certificate of this side (cert.pem): "
        "it is missing, has expired, or another authority signed it.",
        "[X509: KEY": "The TLS certificate or key for {engine} is damaged, or the two do not belong together.",
        "not known": "The name of the Docker host in {engine} is not known.",
        "No route to host": "There is no way to the host of {engine}; is it on, and on this network?",
        "Network is unreachable": "There is no way to the host of {engine}; is this machine on a network?",
    }
)
NO_ENGINE_BY_SSH = N_(
    "The host of {engine} lets us in by ssh, but no Docker engine answers there: “docker system dial-stdio” must work "
    "for that user. Is Docker running, and may the user use it?"
)


class EngineClient(APIClient):  # type: ignore[misc]  # the SDK has no types
    """Proxies and certificate bundles that the environment names are for the web, not for the engine."""

    @property
    def trust_env(self) -> bool:
        return False

    @trust_env.setter
    def trust_env(self, value: bool) -> None:
        """`requests` sets it; it stays off."""


class SshEngineClient(EngineClient):
    """The SDK's own way by ssh waits without end where the network is silent; here every step has a limit."""

    def __init__(self, url: str, timeout_seconds: int) -> None:
        # With `use_ssh_client` nothing is connected yet, and then its adapter is exchanged for ours.
        super().__init__(url, DEFAULT_DOCKER_API_VERSION, timeout_seconds, use_ssh_client=True)
        self.mount("http+docker://ssh", SshAdapter(parse_host(url), timeout_seconds))
        try:
            self._version = self._retrieve_server_version()
        except BaseException:
            self.close()
            raise


class SshAdapter(SSHHTTPAdapter):  # type: ignore[misc]
    """Keys from ~/.ssh or an agent, hosts from ~/.ssh/known_hosts, names from ~/.ssh/config."""

    def __init__(self, url: str, timeout_seconds: int) -> None:
        self._limits = dict.fromkeys(("timeout", "banner_timeout", "auth_timeout", "channel_timeout"), timeout_seconds)
        super().__init__(url, timeout_seconds, DEFAULT_NUM_POOLS_SSH)

    def _create_paramiko_client(self, base_url: str) -> None:
        super()._create_paramiko_client(base_url)
        self.ssh_client.set_missing_host_key_policy(OnlyKnownHosts())
        # Its tracebacks add nothing to our sentence.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)

    def send(self, *request: Any, **options: Any) -> Any:
        """paramiko waits without end for a new channel's answer; whoever is silent for too long is hung up on."""
        hang_up = Timer(self._limits["timeout"] + 1, self.ssh_client.close)
        hang_up.daemon = True
        hang_up.start()
        try:
            return super().send(*request, **options)
        finally:
            hang_up.cancel()

    def _connect(self) -> None:
        try:
            self.ssh_client.connect(**self.ssh_params, **self._limits)
        except BaseException:
            self.ssh_client.close()
            raise


class OnlyKnownHosts(MissingHostKeyPolicy):  # type: ignore[misc]
    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
        raise Unreachable(
            f"The ssh host {hostname} is not in ~/.ssh/known_hosts, so it is not trusted. It shows a key of type "
            f"{key.get_name()} with the fingerprint {key.fingerprint}; if that is right, add it there (ssh-keyscan)."
        )


class EngineTls(TLSConfig):  # type: ignore[misc]
    def configure_client(self, client: APIClient) -> None:
        super().configure_client(client)
        client.mount("https://", TlsAdapter())


class TlsAdapter(HTTPAdapter):
    """Python 3.13 refuses authorities without a key usage, and such makes the recipe of Docker's documentation.

    Authority, name and dates are verified all the same.
    """

    def init_poolmanager(self, *sizes: Any, **options: Any) -> None:
        context = create_urllib3_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        super().init_poolmanager(*sizes, **options, ssl_context=context)


def engine_address(docker_host: str) -> str:
    return docker_host or os.environ.get("DOCKER_HOST") or LOCAL_SOCKET


def connect(engine: str, tls_path: str, timeout_seconds: float) -> EngineClient:
    """Raises: Unreachable, and ENGINE_ERRORS, for which `trouble_of` has the sentence."""
    if not _is_address(engine):
        raise Unreachable(f"“{engine}” is no address of a Docker engine; those are {ADDRESSES}.")
    seconds = math.ceil(timeout_seconds)
    if engine.startswith("ssh://"):
        return SshEngineClient(engine, seconds)
    options: dict[str, Any] = {"tls": tls} if (tls := _tls(engine, tls_path)) else {}
    return EngineClient(engine, version="auto", timeout=seconds, **options)


def _is_address(text: str) -> bool:
    try:
        parse_host(text)
    except (DockerException, ValueError):
        return False
    return text.startswith(("unix://", "tcp://", "ssh://", "http://", "https://"))


def _tls(engine: str, tls_path: str) -> EngineTls | None:
    """Of a TCP engine: `tls_path`, or what the variables of Docker's own command say. The engine is always verified."""
    of_environment = os.environ.get("DOCKER_CERT_PATH") or (os.environ.get("DOCKER_TLS_VERIFY") and "~/.docker")
    wanted = tls_path or of_environment
    if not wanted or engine.startswith("unix://"):
        return None
    folder = Path(wanted).expanduser()
    ca, certificate, key = (folder / name for name in CERTIFICATES)
    if missing := [path.name for path in (ca, certificate, key) if not os.access(path, os.R_OK)]:
        raise Unreachable(f"In the folder {folder} of the TLS certificates for {engine} {missing[0]} cannot be read.")
    return EngineTls(client_cert=(str(certificate), str(key)), ca_cert=str(ca), verify=True)


def trouble_of(error: Exception, engine: str, seconds: float) -> str:
    """Why the engine cannot be used, as a sentence."""
    text = f"{type(error).__name__}: {error}"
    if engine.startswith("ssh://") and "RemoteDisconnected" in text:
        return NO_ENGINE_BY_SSH.format(engine=engine)
    for sign, sentence in TROUBLES.items():
        if sign in text:
            return sentence.format(engine=engine, seconds=seconds)
    return N_(f"The Docker engine at {engine} cannot be used: {text[:200]}.")
