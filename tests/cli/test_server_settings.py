"""Settings of a mail server on the command line: what a kind declares, and secrets that are never shown."""

from collections.abc import Iterator

import pytest

from provision.core.traits import Traits
from tests.cli.conftest import Cli
from tests.servers.made_up import API_KEY, KIND, Remote, made_up

ADD = ("server", "add", "far", KIND, "--set", "url=https://made.up")


@pytest.fixture
def remote() -> Iterator[Remote]:
    with made_up(Traits(reads_password=False)) as remote:
        yield remote


def test_a_secret_comes_from_stdin_and_is_shown_nowhere(cli: Cli, remote: Remote) -> None:
    said = [cli.ok(*ADD, "--set", "api_key=-", "--json", stdin=f"{API_KEY}\n")]
    said += [cli.ok("server", "check", "far"), cli.ok("server", "list", "--json"), cli.ok("server", "list")]
    said += [cli.ok("server", "edit", "far", "--set", "region=there"), cli.ok("server", "check", "far")]
    said += [cli.ok("server", "edit", "far", "--set", "api_key=", "--json"), cli.ok("server", "check", "far")]
    said += [cli("doctor"), cli.ok("log", "list", "--json"), cli.ok("sync", "status", "--json")]
    assert '"api_key": "***"' in said[0].out
    assert not any(API_KEY in done.out + done.err for done in said)


def test_a_secret_may_be_given_as_others_are(cli: Cli, remote: Remote) -> None:
    cli.ok(*ADD, "--set", f"api_key={API_KEY}")
    assert cli.ok("server", "check", "far", "--json").json["problems"] == []


def test_a_required_setting_is_asked_for(cli: Cli, remote: Remote) -> None:
    done = cli(*ADD)
    assert "needs the setting “api_key”: key of its API" in done.err
