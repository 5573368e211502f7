"""schemathesis over the OpenAPI document against a running server, with and without a token.

python -m tests.api.fuzz [--seconds 60] [--examples 30]
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from provision.app import Postroom
from provision.core.access import Actor
from provision.services.tokens import SCOPES
from tests.e2e.site import serve

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
UNLIMITED = {"POSTROOM_API_CALLS_PER_MINUTE": "1000000", "POSTROOM_API_VERIFICATIONS_PER_MINUTE": "1000000"}


def fuzz(url: str, token: str | None, *, examples: int, seconds: int) -> subprocess.CompletedProcess[str]:
    """One run; what it found is in its output."""
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        "run",
        f"{url}/api/provision/openapi.json",
        "--checks",
        CHECKS,
        "--max-examples",
        str(examples),
        "--max-time",
        str(seconds),
        "--no-color",
        "--generation-database",
        "none",
        "--suppress-health-check",
        "all",
        "--request-timeout",
        "75",  # longer than `wait` can be
    ]
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with tempfile.TemporaryDirectory(prefix="postroom-fuzz-") as folder:  # it keeps what it found where it is run
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def token_of(app: Postroom) -> str:
    _row, token = app.services.tokens.create(Actor.system("fuzz"), "fuzz", SCOPES)
    return token.reveal()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--examples", type=int, default=30)
    given = parser.parse_args()
    code = 0
    with tempfile.TemporaryDirectory(prefix="postroom-fuzz-") as folder, serve(Path(folder), **UNLIMITED) as site:
        for token in (token_of(site.app), None):
            done = fuzz(site.url, token, examples=given.examples, seconds=given.seconds)
            print(done.stdout, done.stderr)
            code = code or done.returncode
        print(site.log.read_text()[-3000:])
    return code


if __name__ == "__main__":
    sys.exit(main())
