"""API tokens by the command line."""

from provision.core.secret import Secret
from tests.cli.conftest import Cli


def test_a_token_is_made_listed_and_revoked(cli: Cli) -> None:
    made = cli.ok("token", "add", "billing", "--scope", "mailbox:write", "--domain", "example.com", "--json").json
    assert (made["name"], made["scopes"], made["domains"]) == ("billing", ["mailbox:write"], ["example.com"])
    assert made["token"].startswith("postroom_")
    assert made["token"] not in cli.ok("token", "list", "--json").out
    (row,) = cli.ok("token", "list", "--json").json
    assert (row["name"], row["everywhere"], row["revoked_at"]) == ("billing", False, None)
    assert row["created_by"].startswith("cli:")
    assert row["expires_at"] is not None
    cli.ok("token", "revoke", "billing")
    assert "Revoked" in cli.ok("token", "list").out
    log = cli.ok("log", "list", "--resource", "token").out
    assert "token.create" in log
    assert "token.revoke" in log


def test_what_it_refuses(cli: Cli) -> None:
    cli.ok("token", "add", "billing", "--scope", "mailbox:write")
    assert "DUPLICATE_TOKEN" in cli("token", "add", "billing", "--scope", "mailbox:write").err
    assert "INVALID_SCOPE" in cli("token", "add", "x", "--scope", "mailbox:fly").err
    assert "INVALID_SCOPE" in cli("token", "add", "x", "--scope", "audit:verify", "--domain", "example.com").err
    assert "DOMAIN_NOT_FOUND" in cli("token", "add", "x", "--scope", "mailbox:read", "--domain", "example.net").err
    assert "INVALID_NETWORK" in cli("token", "add", "x", "--scope", "mailbox:read", "--network", "10.0.0.300").err
    assert "TOKEN_NOT_FOUND" in cli("token", "revoke", "nobody").err
    assert cli("token", "add", "x", "--scope", "mailbox:read", "--days", "9999999").code == 2
    assert cli("audit", "archive", "--days", "9999999").code == 2


def test_the_token_is_said_once_for_people_too(cli: Cli) -> None:
    said = cli.ok("token", "add", "billing", "--scope", "mailbox:read", "--days", "0").out
    token = said.rsplit(": ", 1)[1].strip()
    assert repr(Secret(token)) == "***"
    assert cli.ok("token", "list", "--json").json[0]["expires_at"] is None
