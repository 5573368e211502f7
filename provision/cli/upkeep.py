"""What keeps an installation going: worker, doctor, backup, restore."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from provision.app import calm_collector
from provision.cli.output import Json, say, tell
from provision.cli.session import Code, login_name, session_of
from provision.core.access import Actor
from provision.core.errors import Conflict
from provision.jobs.loop import Jobs
from provision.ops.backup import Contents, restore_backup, write_backup
from provision.ops.doctor import Finding, Verdict, examine
from provision.settings.config import get_settings
from provision.telemetry import serverlog

SIGNS = {Verdict.WELL: "ok", Verdict.WARNING: "warning", Verdict.PROBLEM: "PROBLEM"}


def worker(context: typer.Context) -> int:
    """Deliver in the background, beside web processes that have POSTROOM_JOBS=false; until it is stopped."""
    app = session_of(context).app
    serverlog.configure(app.settings.log_format)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    jobs = Jobs(app)
    jobs.start()
    calm_collector()
    say("The worker runs. It delivers what waits, looks after the mail servers and imports; stop it with Ctrl-C.")
    while not stopped.wait(1):
        if not jobs.is_alive:
            return Code.REFUSED  # whoever started it starts it again
    jobs.stop()
    return Code.DONE


def doctor(as_json: Json = False) -> int:
    """Examine database, key, clock and mail servers, and say what to do; exit code 4 if anything is wrong."""
    findings = list(examine(get_settings()))
    shown = [{name: getattr(f, name) for name in ("about", "verdict", "text", "advice")} for f in findings]
    code = Code.DIFFERENT if any(finding.verdict is Verdict.PROBLEM for finding in findings) else Code.DONE
    return tell(as_json, shown, *(line for finding in findings for line in _lines(finding)), code=code)


def _lines(finding: Finding) -> list[str]:
    first = f"{SIGNS[finding.verdict]:8} {finding.about}: {finding.text}"
    return [first, f"{'':8} → {finding.advice}"] if finding.advice else [first]


Target = Annotated[Path, typer.Argument(help="The file to write; its owner alone can read it.")]
Source = Annotated[Path, typer.Argument(help="A file that “backup” wrote.", exists=True, dir_okay=False)]


def backup(file: Target, as_json: Json = False) -> int:
    """Write everything, with the key, into one file, while Postroom runs on. Keep it as you keep passwords."""
    if file.exists():
        raise Conflict(f"{file} is there already; a backup replaces nothing.", code="FILE_EXISTS")
    contents = write_backup(get_settings(), file)
    return _report(f"Written to {file}", contents, as_json)


def restore(file: Source, as_json: Json = False) -> int:
    """Fill an empty database, of either kind, from a backup. Nothing is sent to a mail server by itself afterwards."""
    contents = restore_backup(get_settings(), file, Actor.system(f"cli:{login_name()}"[:80]))
    code = _report(f"Restored the backup of {contents.made_at:%Y-%m-%d %H:%M} UTC", contents, as_json)
    if contents.held and not as_json:
        say(
            f"{contents.held} changes had not arrived when it was made. They are FAILED: look at them on the Sync page."
        )
    return code


def _report(first: str, contents: Contents, as_json: bool) -> int:
    rows = contents.rows
    said = f"{first}: {rows['mailbox']:,} mailboxes, {rows['alias']:,} aliases, {rows['provision_log']:,} records."
    return tell(as_json, {"made_at": contents.made_at, "rows": rows, "held": contents.held}, said)
