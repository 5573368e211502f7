"""What scripts/test says at its end: seconds by group, each group that was skipped with its reason, one line of sums.

python -m tests.summary REPORT.xml … (pytest's JUnit reports); exit code 1 where something failed or nothing ran.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree


@dataclass(frozen=True)
class Case:
    group: str  # the folder below tests/
    seconds: float
    outcome: str  # passed, failed or skipped
    reason: str = ""  # of a skipped one


def cases(report: Path) -> Iterator[Case]:
    for case in ElementTree.parse(report).iter("testcase"):
        group = (case.get("classname") or case.get("name") or "tests.nowhere").split(".")[1]
        outcome, reason = "passed", ""
        for part in case:
            if part.tag in ("failure", "error"):
                outcome = "failed"
            elif part.tag == "skipped" and outcome == "passed":
                outcome, reason = "skipped", part.get("message") or ""
        yield Case(group, float(case.get("time") or 0), outcome, reason)


def told(found: list[Case]) -> Iterator[str]:
    """The lines that are printed."""
    yield f"{'group':<10} {'seconds':>8} {'tests':>6}"
    for group, seconds in sorted(_seconds(found).items(), key=lambda item: -item[1]):
        yield f"{group:<10} {seconds:>8.0f} {sum(case.group == group for case in found):>6}"
    yield ""
    for (group, reason), count in Counter((c.group, c.reason) for c in found if c.outcome == "skipped").items():
        yield f"Skipped: {count} of {group}: {reason}"
    count = Counter(case.outcome for case in found)
    yield f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped"


def _seconds(found: list[Case]) -> dict[str, float]:
    return {group: sum(case.seconds for case in found if case.group == group) for group in {c.group for c in found}}


def main(paths: list[str]) -> int:
    found = [case for path in paths if Path(path).exists() for case in cases(Path(path))]
    print("\n".join(told(found)))
    return 0 if found and all(case.outcome != "failed" for case in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
