"""What scripts/test says at its end: seconds by group, each group that was skipped with its reason, one line of sums.

python -m tests.summary [--warning TEXT] REPORT.xml … (pytest's JUnit reports)
Exit code 1 where something failed, nothing ran, or a report is missing.
"""

import argparse
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
                outcome, reason = "skipped", _reason(part)
        yield Case(group, float(case.get("time") or 0), outcome, reason)


def _reason(skipped: ElementTree.Element) -> str:
    """Of a whole file pytest gives it in the text, as `(path, line, 'Skipped: …')`."""
    message, text = skipped.get("message") or "", skipped.text or ""
    return text.partition("Skipped: ")[2].rstrip("')\"") if message == "collection skipped" else message


def summary(found: list[Case], warning: str = "") -> Iterator[str]:
    """The lines that are printed; the sums stand last."""
    seconds = {group: sum(case.seconds for case in found if case.group == group) for group in {c.group for c in found}}
    yield f"{'group':<10} {'seconds':>8} {'tests':>6}"
    for group in sorted(seconds, key=lambda group: -seconds[group]):
        yield f"{group:<10} {seconds[group]:>8.0f} {sum(case.group == group for case in found):>6}"
    yield ""
    for (group, reason), count in Counter((c.group, c.reason) for c in found if c.outcome == "skipped").items():
        yield f"Skipped: {count} of {group}: {reason}"
    if warning:
        yield f"WARNING: {warning}"
    count = Counter(case.outcome for case in found)
    yield f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--warning", default="")
    parser.add_argument("reports", nargs="+", type=Path)
    given = parser.parse_args()
    missing = [report for report in given.reports if not report.exists()]
    found = [case for report in given.reports if report not in missing for case in cases(report)]
    print("\n".join(summary(found, given.warning)))
    failed = not found or missing or any(case.outcome == "failed" for case in found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
