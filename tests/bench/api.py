"""How fast the API answers, over HTTP on this machine: lists, creates with push, bulk creates.

python -m tests.bench.api
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx2

from provision.app import Postroom
from provision.services.tokens import SCOPES
from tests.api.test_docs import serving
from tests.bench.world import ADMIN, KINDS, few, fill, percentile, products, seconds, table
from tests.conftest import HASH

MANY = few(100_000)
UNLIMITED = {"api_calls_per_minute": 10_000_000}
Row = list[str]


@contextmanager
def calling(app: Postroom) -> Iterator[Callable[..., Any]]:
    """A client of a running API; `call("GET", "/mailboxes")` fails unless all went well."""
    roomy = replace(app, settings=app.settings.model_copy(update=UNLIMITED))
    _row, token = app.services.tokens.create(ADMIN, "bench", SCOPES)
    headers = {"Authorization": f"Bearer {token.reveal()}"}
    with serving(roomy) as url, httpx2.Client(headers=headers, timeout=60) as http:

        def call(method: str, path: str, **more: Any) -> Any:
            answer = http.request(method, url + path, **more)
            assert answer.status_code < 300, answer.text
            return answer.json()

        yield call


def bench_lists(make: Callable[[str], Postroom], kind: str) -> Iterator[Row]:
    app = make(kind)
    fill(app, MANY, MANY // 2, synced=True)
    paths = {
        f"first 50 of {MANY:,}": "/mailboxes",
        "50 from the middle": f"/mailboxes?page={MANY // 100}",
        "50 of one domain": "/mailboxes?domain=corp07.example",
        "50 that hold “meyer”": "/mailboxes?search=meyer",
        "50 aliases": "/aliases",
    }
    with calling(app) as call:
        for what, path in paths.items():
            call("GET", path)
            yield _figures(what, kind, [seconds(lambda: call("GET", path)) for _ in range(60)], "p95 < 25 ms")  # noqa: B023


def bench_creates(make: Callable[[str], Postroom], kind: str) -> Iterator[Row]:
    app = make(kind)
    fill(app, 1_000, 500, synced=True)
    with calling(app) as call:

        def create(n: int, headers: dict[str, str]) -> None:
            new = {"email": f"new{n}@corp01.example", "password": "Correct-Horse-1"}
            assert call("POST", "/mailboxes", json=new, headers=headers)["syncStatus"] == "SYNCED"

        create(0, {})
        took = [seconds(lambda: create(n, {})) for n in range(1, 41)]  # noqa: B023
        yield _figures("create, pushed, on 1,000 accounts", kind, took, "p95 < 60 ms")
        took = [seconds(lambda: create(n, {"Idempotency-Key": f"k{n}"})) for n in range(41, 81)]  # noqa: B023
        yield _figures("the same with an Idempotency-Key", kind, took, "")
        news = [{"email": f"bulk{n}@corp02.example", "passwordHash": HASH.reveal()} for n in range(1000)]
        took = [seconds(lambda: call("POST", "/mailboxes/bulk", json={"mailboxes": news}))]
        yield _figures("bulk create of 1,000 with hashes, pushed", kind, took, "< 1,000 ms")


def bench_load(make: Callable[[str], Postroom], kind: str) -> Iterator[Row]:
    """Eight clients at once; both sides of it share the cores."""
    app = make(kind)
    fill(app, few(10_000), 100, synced=True)
    took: list[float] = []
    with calling(app) as call:

        def client() -> None:
            took.extend(seconds(lambda: call("GET", "/mailboxes")) for _ in range(40))

        threads = [threading.Thread(target=client) for _ in range(8)]
        whole = seconds(lambda: [[t.start() for t in threads], [t.join() for t in threads]])
    yield _figures(f"50 of {few(10_000):,}, 8 clients at once ({len(took) / whole:.0f}/s)", kind, took, "")


def _figures(what: str, kind: str, took: list[float], target: str) -> Row:
    p50, p95 = (f"{percentile(took, share) * 1000:.1f}" for share in (0.5, 0.95))
    return [what, kind, p50, p95, target]


if __name__ == "__main__":
    with products() as make:
        rows = [
            row for bench in (bench_lists, bench_creates, bench_load) for kind in KINDS for row in bench(make, kind)
        ]
    table("The API over HTTP", ["call", "database", "p50 ms", "p95 ms", "target"], rows)
