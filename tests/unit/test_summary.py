"""What scripts/test says at its end."""

from pathlib import Path

from tests.summary import cases, summary

REPORT = """<testsuites><testsuite>
<testcase classname="tests.sync.test_push" name="test_a" time="2.5"/>
<testcase classname="tests.sync.test_push" name="test_b" time="0.4"><failure message="x">no</failure></testcase>
<testcase classname="tests.mail.test_logins" name="test_c" time="1"><error message="x">no</error></testcase>
<testcase classname="tests.servers.test_contract" name="test_d" time="0"><skipped message="no engine"/></testcase>
<testcase classname="" name="tests.live.test_live_contract" time="0"><skipped message="collection skipped"
>('tests/live/test_live_contract.py', 8, 'Skipped: no server named')</skipped></testcase>
</testsuite></testsuites>"""


def test_it_names_what_was_skipped_and_ends_with_the_sums(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    lines = list(summary(list(cases(tmp_path / "report.xml")), "nobody was asked"))
    assert lines[1].split() == ["sync", "3", "2"]
    assert "Skipped: 1 of servers: no engine" in lines
    assert "Skipped: 1 of live: no server named" in lines
    assert lines[-2:] == ["WARNING: nobody was asked", "1 passed, 2 failed, 2 skipped"]
