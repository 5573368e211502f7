"""How fast pages answer: a websocket client speaks Streamlit's protocol to a server process with 100,000 mailboxes.

A round trip is: message with the changed widget sent → "script finished" received. Each run must have drawn the list,
with other rows than before.

python -m tests.bench.pages
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from provision.app import Postroom
from provision.core.access import Role
from provision.core.secret import Secret
from tests.bench.world import ADMIN, QUICK, fill, percentile, products, table
from tests.e2e.site import PASSWORD, server_process
from webui.http.sessions import COOKIE

MAILBOXES, DOMAINS = 15_000 if QUICK else 100_000, 40  # each search finds something
LAST_PAGE = MAILBOXES // 50
STARTS, RUNS, PAUSE = (1, 5, 0.2) if QUICK else (5, 60, 0.2)  # processes; clicks of each kind; seconds between them
# How many click, every how many seconds, for how long.
PEOPLE, EVERY, LASTING = (3, 2.0, 6.0) if QUICK else (20, 5.0, 60.0)
TERMS = ("eyer", "gruber", "corp0", "ben.", "hugo.jo", "9871", "uber1", "ta.kl", "fox", "rla.ch")
SORTS = ("display_name", "-used_percent", "-used", "-quota")
Row = list[str]
Value = str | int | None


# ---- a browser tab -------------------------------------------------------------------------


@dataclass
class Tab:
    """The mailboxes page in one tab: what its widgets hold, and what the last run drew."""

    socket: ClientConnection
    page_hash: str = ""
    ids: dict[str, str] = field(default_factory=dict)  # a widget's key → its id
    held: dict[str, Value] = field(default_factory=dict)
    rows: str = ""  # the id of the table, which follows from its rows
    words: list[str] = field(default_factory=list)
    payload: int = 0

    async def run(self, **changed: Value) -> float:
        """Change widgets as a person does, and wait until the page is drawn; how long it took."""
        self.held |= changed
        message, before = self._message().SerializeToString(), self.rows
        self.rows, self.words, self.payload = "", [], 0
        started = time.perf_counter()
        await self.socket.send(message)
        await asyncio.wait_for(self._finished(), 60)
        took = time.perf_counter() - started
        assert self.rows, f"no list was drawn, but: {self.words}"
        assert any(word.endswith("mailboxes") for word in self.words), f"no count was drawn, but: {self.words}"
        assert self.rows != before, f"the same rows after {changed}"
        return took

    def _message(self) -> BackMsg:
        message = BackMsg()
        state = message.rerun_script
        state.query_string = urlencode({key: value for key, value in self.held.items() if value})
        state.page_script_hash = self.page_hash
        state.page_name = "" if self.page_hash else "mailboxes"
        state.context_info.locale, state.context_info.timezone = "en", "UTC"
        for key, value in self.held.items():
            if key in self.ids:
                widget = state.widget_states.widgets.add(id=self.ids[key])
                if value is not None:
                    setattr(widget, "int_value" if isinstance(value, int) else "string_value", value)
        return message

    async def _finished(self) -> None:
        while True:
            raw = await self.socket.recv(decode=False)
            self.payload += len(raw)
            message = ForwardMsg.FromString(raw)
            kind = message.WhichOneof("type")
            if kind == "navigation":
                self.page_hash = message.navigation.page_script_hash
            elif kind == "delta":
                self._drawn(message.delta.new_element)
            elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                return

    def _drawn(self, element: Any) -> None:
        kind = element.WhichOneof("type")
        assert kind != "exception", element
        part = getattr(element, kind) if kind else None
        if kind == "dataframe":
            self.rows = part.id
        elif kind == "alert" or kind == "markdown":
            self.words.append(part.body)
        elif getattr(part, "id", ""):
            self.ids[part.id.rsplit("-", 1)[-1]] = part.id  # $$ID-<hash>-<key>


@asynccontextmanager
async def tab(url: str, token: Secret) -> AsyncIterator[Tab]:
    """A tab of somebody who is signed in; nothing is drawn yet."""
    address = url.replace("http:", "ws:") + "/_stcore/stream"
    headers = {"Cookie": f"{COOKIE}={token.reveal()}"}
    async with connect(address, subprotocols=["streamlit"], additional_headers=headers, max_size=None) as socket:  # type: ignore[list-item]
        yield Tab(socket)


# ---- what people click ---------------------------------------------------------------------


def filtered(**chosen: str) -> dict[str, Value]:
    """A filter among others that are as they were at first; the list is at its first page again."""
    return {"mb_q": "", "mb_domain": None, "mb_sort": "Address", "mb_page": 1, **chosen}


def clicks(kind: str) -> Iterator[dict[str, Value]]:
    """Endless; no two that follow each other show the same rows."""
    number = random.randrange(40)
    while True:
        number += 1
        if kind == "next page":
            yield {**filtered(), "mb_page": 2 + number % min(400, LAST_PAGE - 2)}
        elif kind == "deep page":
            yield {**filtered(), "mb_page": LAST_PAGE - 1 - number * 37 % min(500, LAST_PAGE // 2)}
        elif kind == "substring search":
            yield filtered(mb_q=TERMS[number % len(TERMS)])
        elif kind == "sort":
            yield filtered(mb_sort=SORTS[number % len(SORTS)])
        else:
            yield filtered(mb_domain=f"corp{number % DOMAINS:02}.example")


KINDS = ("next page", "deep page", "substring search", "sort", "domain filter")


async def one_person(url: str, token: Secret) -> list[Row]:
    """Each kind of click alone."""
    rows = []
    async with tab(url, token) as mine:
        await mine.run()
        for kind in KINDS:
            took = []
            for _, click in zip(range(RUNS + 1), clicks(kind), strict=False):
                took.append(await mine.run(**click))
                await asyncio.sleep(PAUSE)
            rows.append([kind, *_figures(took[1:]), f"{mine.payload / 1024:.0f}", "p95 < 100 ms"])
    return rows


async def many_people(url: str, tokens: list[Secret]) -> list[float]:
    """All kinds of clicks by all at once, each in their own rhythm."""
    took: list[float] = []

    async def person(token: Secret) -> None:
        async with tab(url, token) as mine:
            await mine.run()
            end = time.monotonic() + LASTING
            kinds = {kind: clicks(kind) for kind in KINDS}
            last = ""
            await asyncio.sleep(random.uniform(0, EVERY))
            while time.monotonic() < end:
                last = random.choice([kind for kind in KINDS if kind != last])
                spent = await mine.run(**next(kinds[last]))
                took.append(spent)
                await asyncio.sleep(max(0.0, random.uniform(0.8, 1.2) * EVERY - spent))

    await asyncio.gather(*(person(token) for token in tokens))
    return took


# ---- the server ----------------------------------------------------------------------------


@contextmanager
def running(app: Postroom) -> Iterator[tuple[str, psutil.Process]]:
    """A server process on the filled database."""
    database = {"POSTROOM_DATABASE_URL": app.settings.database_url}
    with server_process(app.settings.data_dir.parent, **database) as (url, pid):
        yield url, psutil.Process(pid)


async def first_visit(url: str, token: Secret) -> float:
    """With the handshake, as the browser does it."""
    started = time.perf_counter()
    async with tab(url, token) as mine:
        await mine.run()
    return time.perf_counter() - started


def bench_starts(app: Postroom, token: Secret) -> Row:
    took = []
    for _ in range(STARTS):
        with running(app) as (url, _process):
            took.append(asyncio.run(first_visit(url, token)))
    return [f"first page of a fresh process, {STARTS} starts", *_figures(took), "< 1,500 ms"]


def bench_people(app: Postroom, tokens: list[Secret]) -> list[Row]:
    with running(app) as (url, process):
        took = asyncio.run(many_people(url, tokens))
        held = process.memory_info().rss / (1 << 20)
        most = _peak_mb(process.pid)
    return [
        [f"round trip, {len(took)} clicks", *_figures(took), "p95 < 200 ms"],
        ["memory of the process", f"{held:.0f} MB", f"at most {most:.0f} MB", "< 400 MB"],
    ]


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _figures(took: list[float]) -> Row:
    return [f"{percentile(took, share) * 1000:.0f}" for share in (0.5, 0.95)]


def tokens_of(app: Postroom, count: int) -> list[Secret]:
    """Sessions of a SuperAdmin, as the sign-in makes them."""
    name = f"bench{random.randrange(1 << 30)}"
    app.services.operators.create(
        ADMIN, name, Role.SUPER_ADMIN, display_name="Bench", domains=(), password=Secret(PASSWORD)
    )
    uid = app.sign_in.check(name, Secret(PASSWORD), None)
    return [app.sign_in.open_session(uid, "127.0.0.1", "bench") for _ in range(count)]


def main() -> None:
    with products() as make:
        app = make("sqlite")
        fill(app, MAILBOXES, 10_000, synced=True, domains=DOMAINS)
        tokens = tokens_of(app, PEOPLE)
        table("Start", ["", "p50 ms", "p95 ms", "target"], [bench_starts(app, tokens[0])])
        with running(app) as (url, _process):
            rows = asyncio.run(one_person(url, tokens[0]))
        table(f"{MAILBOXES:,} mailboxes, one person", ["click", "p50 ms", "p95 ms", "kB", "target"], rows)
        rows = bench_people(app, tokens)
        table(f"{PEOPLE} people, a click every {EVERY:.0f} s each", ["", "p50 ms", "p95 ms", "target"], rows)


if __name__ == "__main__":
    main()
