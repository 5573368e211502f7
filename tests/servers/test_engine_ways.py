"""A Docker engine on another host, by ssh and by TCP with TLS: it works there too, and nobody is trusted unseen."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provision.core.secret import Secret
from provision.core.state import Change, CreateMailbox, SetQuota
from provision.servers.dms.docker_exec import Container
from tests.servers.certificates import Authority
from tests.servers.engine import TLS, Engine, NoEngine, free_port
from tests.servers.faults import ANN, BATCH, HASH, unreachable, written
from tests.servers.rig import ACCOUNTS, ContainerRig
from tests.servers.sshd import Sshd, new_key, sshd
from tests.waiting import wait_for

pytestmark = pytest.mark.engine
SECONDS = 2  # of patience, where nobody answers


@pytest.fixture(scope="module")
def host(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd"), engine.host) as started:
        yield started


@pytest.fixture
def home(host: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of this process: its key is let in, and the host is known."""
    monkeypatch.setenv("HOME", str(host.home(tmp_path / "home")))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path / "home" / ".ssh"


@pytest.fixture(scope="module")
def tls_door(engine: Engine) -> str:
    try:
        return engine.tls_door()
    except NoEngine as reason:
        pytest.skip(f"Docker by TLS is left out: {reason}.")


def works_whole(container: ContainerRig, **way: str) -> None:
    """Reading, a password on standard input, a long text in, a long one out, a hanging command, a failing one."""
    container.put({ACCOUNTS: ANN})
    opened = container.open(**way)
    assert list(opened.read().mailboxes) == ["ann@example.com"]
    assert written(opened, [CreateMailbox("bob@example.com", Secret("Plain-pass-word-1"))]) == [None]
    many: list[Change] = [CreateMailbox(f"user{n}@example.com", HASH, 1 << 20) for n in range(5000)]
    assert written(opened, many) == [None] * 5000
    assert len(opened.read().mailboxes) == 5002
    assert written(opened, [SetQuota("nobody@example.com", 1 << 20)]) != [None]
    opened.close()
    hasty = Container({**container.settings, **way}, 1)
    with unreachable("did not finish within 1 seconds"):
        hasty.run(["sleep", "4242"], b"x" * (8 << 20))
    hasty.close()


def refused(container: ContainerRig, *words: str, **way: str) -> None:
    """The operator reads one sentence with these words, from `server check` and from a push, in time."""
    opened = container.open(SECONDS, **way)
    with unreachable(*words):
        opened.read()
    said = container.open(SECONDS, **way).check()
    assert len(said) == 1
    assert all(word in said[0] for word in words)


# ---- ssh -----------------------------------------------------------------------------------


def test_by_ssh_all_works(container: ContainerRig, host: Sshd, home: Path) -> None:
    before = threading.active_count()
    works_whole(container, docker_host=host.url)
    wait_for(lambda: threading.active_count() <= before, 5)  # no connection is left open


def test_an_unknown_host_is_not_trusted_and_not_remembered(container: ContainerRig, host: Sshd, home: Path) -> None:
    (home / "known_hosts").write_text("")
    refused(container, "not in ~/.ssh/known_hosts", "SHA256:", docker_host=host.url)
    assert (home / "known_hosts").read_text() == ""


def test_a_host_with_another_key_is_not_trusted(
    container: ContainerRig, host: Sshd, tmp_path: Path, home: Path
) -> None:
    other = new_key(tmp_path / "other").with_suffix(".pub").read_text()
    (home / "known_hosts").write_text(f"[127.0.0.1]:{host.port} {other}")
    refused(container, "another ssh host key", "nothing was sent", docker_host=host.url)


def test_a_key_that_is_not_let_in(container: ContainerRig, host: Sshd, home: Path) -> None:
    (home / "id_ed25519").unlink()
    new_key(home / "id_ed25519")
    refused(container, "none of this user's ssh keys", "authorized_keys", docker_host=host.url)


def test_no_key_at_all(container: ContainerRig, host: Sshd, home: Path) -> None:
    (home / "id_ed25519").unlink()
    refused(container, "no ssh key", docker_host=host.url)


def test_no_engine_behind_the_host(container: ContainerRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sshd"
    folder.mkdir()
    with sshd(folder, "unix:///nowhere/docker.sock") as host:
        monkeypatch.setenv("HOME", str(host.home(tmp_path / "home")))
        refused(container, "lets us in by ssh, but no Docker engine", docker_host=host.url)


def test_nobody_answers_by_ssh(container: ContainerRig, home: Path) -> None:
    refused(container, "Nobody answers by ssh", docker_host=f"ssh://me@127.0.0.1:{free_port()}")
    refused(container, "is not known", docker_host="ssh://me@no-such-host.invalid")


@pytest.mark.parametrize("waiting", [5, 0], ids=["silent", "not even taken"])
def test_the_host_is_silent(container: ContainerRig, home: Path, waiting: int) -> None:
    """A host that takes the connection and says nothing; one whose queue is full, as behind a filter that drops."""
    with socket.socket() as listener, socket.socket() as first:
        listener.bind(("127.0.0.1", 0))
        listener.listen(waiting)
        port = listener.getsockname()[1]
        if not waiting:
            first.connect(("127.0.0.1", port))
        refused(container, f"within {SECONDS} seconds", docker_host=f"ssh://me@127.0.0.1:{port}")


@pytest.mark.parametrize("bytes_through", [700, 1600, 2200, 4500])
def test_the_line_goes_dead_on_the_way(
    container: ContainerRig, host: Sshd, home: Path, bytes_through: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many bytes from the host nothing comes any more: while keys are agreed on, at sign-in, in the middle."""
    with deaf_after(host.port, bytes_through) as port:
        monkeypatch.setenv("HOME", str(host.home(tmp_path / "other", port=port)))
        with unreachable(f"within {SECONDS} seconds"):  # one of two sentences, by the moment
            container.open(SECONDS, docker_host=host.url.replace(str(host.port), str(port))).read()


@contextmanager
def deaf_after(target: int, bytes_through: int) -> Iterator[int]:
    """A door to `target` that lets so many bytes out of there, and then keeps the connection open in silence."""
    ends: list[socket.socket] = []

    def copy(source: socket.socket, sink: socket.socket, left: float) -> None:
        try:
            while chunk := source.recv(65536):
                if left > 0:
                    sink.sendall(chunk[: int(min(left, len(chunk)))])
                left -= len(chunk)
        except OSError:
            return

    def accept() -> None:
        try:
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", target))
                ends.extend([client, server])
                for source, sink, left in ((client, server, float("1e12")), (server, client, float(bytes_through))):
                    threading.Thread(target=copy, args=(source, sink, left), daemon=True).start()
        except OSError:
            return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
    for end in ends:
        end.close()


# ---- TCP with TLS --------------------------------------------------------------------------


def test_by_tls_all_works(container: ContainerRig, tls_door: str) -> None:
    works_whole(container, docker_host=tls_door, tls_path=str(TLS))


def test_tls_as_the_docker_command_is_told(
    container: ContainerRig, tls_door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    container.put({ACCOUNTS: ANN})
    monkeypatch.setenv("DOCKER_HOST", tls_door)
    monkeypatch.setenv("DOCKER_CERT_PATH", str(TLS))
    assert written(container.open(docker_host=""), BATCH) == [None, None]
    assert list(container.open(docker_host=tls_door).read().mailboxes) == ["ann@example.com", "bob@example.com"]


def test_without_tls(container: ContainerRig, tls_door: str) -> None:
    refused(container, "speaks TLS only", "tls_path", docker_host=tls_door)


def test_an_engine_that_another_authority_signed(container: ContainerRig, tls_door: str, tmp_path: Path) -> None:
    ours = Authority.new().write(tmp_path / "tls")
    refused(container, "cannot be trusted", "Nothing was sent", docker_host=tls_door, tls_path=str(ours))


def test_a_client_that_another_authority_signed(container: ContainerRig, tls_door: str, tmp_path: Path) -> None:
    ours = Authority.new().write(tmp_path / "tls")
    (ours / "ca.pem").write_bytes((TLS / "ca.pem").read_bytes())
    refused(container, "does not accept the TLS certificate", docker_host=tls_door, tls_path=str(ours))


def test_a_client_whose_certificate_has_expired(container: ContainerRig, tls_door: str) -> None:
    refused(container, "has expired", "of this side", docker_host=tls_door, tls_path=str(TLS / "expired"))


def test_a_missing_certificate_or_key(container: ContainerRig, tls_door: str, tmp_path: Path) -> None:
    folder = Authority.new().write(tmp_path / "tls")
    (folder / "cert.pem").unlink()
    refused(container, "cert.pem cannot be read", str(folder), docker_host=tls_door, tls_path=str(folder))
    (folder / "cert.pem").write_bytes((TLS / "cert.pem").read_bytes())
    refused(container, "do not belong together", docker_host=tls_door, tls_path=str(folder))


def test_another_name_than_the_certificate_s(container: ContainerRig, tls_door: str) -> None:
    refused(container, "another name", docker_host=tls_door.replace("127.0.0.1", "localhost"), tls_path=str(TLS))
