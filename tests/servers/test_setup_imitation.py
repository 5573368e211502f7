"""The `setup` of the test image answers as docker-mailserver's own did: exit code, messages, files afterwards."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from provision.servers.dms.docker_exec import Container
from tests.servers.conftest import RELEASES
from tests.servers.rig import ContainerRig

pytestmark = pytest.mark.engine
ENVIRONMENT = ("ENABLE_QUOTAS=0", "LOG_LEVEL=info")
HERE = Path(__file__).parent
CASES = [json.loads(line) for line in (HERE / "captured" / "setup.jsonl").read_text("utf-8").splitlines()]
REPLAY = (HERE / "dms_image" / "replay.py").read_text()
LEVELS = {"INF": "INFO", "WARNING": "WARN"}
HASH = re.compile(r"\{SHA512-CRYPT\}\$6\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{86}")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
LOG = re.compile(r"\b(ERROR|WARN|INFO) +([a-z-]+: .*)")
OLD_LOG = re.compile(r"\[ +(ERROR|WARNING|INF) +\] +(.*)")  # up to v13


@pytest.mark.parametrize("release", ["v13.3.1", *RELEASES.values()])
def test_answers_as_captured(container: ContainerRig, release: str) -> None:
    """All cases of a release at once: each in its own exec would take minutes."""
    cases = [case for case in CASES if release in case["releases"]]
    assert len(cases) > 180
    wrong = [
        f"{case['name']} {case['argv']}\n  wanted {wanted}\n  got    {got}"
        for case, answer in zip(cases, replayed(container, cases, release), strict=True)
        if (wanted := meaning_wanted(case)) != (got := meaning(answer))
    ]
    assert not wrong, f"{len(wrong)} of {len(cases)} differ:\n" + "\n".join(wrong[:5])


def replayed(container: ContainerRig, cases: list[dict[str, Any]], release: str) -> list[dict[str, Any]]:
    calls = [
        {
            "argv": ["setup", *case["argv"]],
            "stdin": case.get("stdin"),
            "files_before": case.get("before", {}),
            "maildirs": case.get("maildirs", []),
        }
        for case in cases
    ]
    sent = json.dumps(calls).encode()
    ran = Container(container.settings, 60).run(
        ["env", f"DMS_RELEASE={release}", *ENVIRONMENT, "python3", "-c", REPLAY, str(len(sent))],
        sent,
        keep_bytes=1 << 26,
    )
    assert ran.exit_code == 0, ran.errors
    return list(json.loads(ran.stdout))


def meaning_wanted(case: dict[str, Any]) -> tuple[Any, ...]:
    files = {**case.get("before", {}), **case.get("changed", {})}
    return case["rc"], case.get("log_on_stdout", []), case.get("log_on_stderr", []), files


def meaning(answer: dict[str, Any]) -> tuple[Any, ...]:
    files = {name: HASH.sub("{SHA512-CRYPT}$6$s$h", text) for name, text in answer["files"].items()}
    return answer["rc"], messages(answer["stdout"]), messages(answer["stderr"]), files


def messages(output: str) -> list[str]:
    shown = ANSI.sub("", output).replace("CONFIG/", "/tmp/docker-mailserver/").replace("MAIL/", "/var/mail/")
    found = OLD_LOG.findall(shown) or LOG.findall(shown)
    return [f"{LEVELS.get(level, level)} " + re.sub(r"\$6\$[^|]*?(?=/ )", "h", text) for level, text in found]
