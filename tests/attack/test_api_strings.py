"""Naughty strings through every field of the API: path, query, header, body, and every column of a CSV. Never a 5xx."""

import copy
import csv
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from api.app import create_api, document
from provision.transfer.cells import unguard
from provision.transfer.mapping import COLUMNS
from tests.api.conftest import BASE, Api, client
from tests.attack.naughty import ALL, hard
from tests.conftest import HASH, World

UID = "01a0b1c2-0000-7000-8000-000000000001"
SPEC = document(create_api(lambda: None))  # type: ignore[arg-type,return-value]


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """PostgreSQL alone: it refuses more."""
    return postgres_url


@pytest.fixture
def api(world: World) -> Iterator[Api]:
    world.app.services.servers.edit(world.alice, world.server.uid, quiet_seconds=3600)
    object.__setattr__(world.app.settings, "api_calls_per_minute", 1_000_000)
    object.__setattr__(world.app.settings, "api_verifications_per_minute", 1_000_000)
    made = Api(world, client(world.app), "")
    made.token = made.make_token("all")
    with made.http:
        yield made


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in SPEC["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = SPEC["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    return resolved(options[0]) if options else schema


def example(schema: dict[str, Any]) -> Any:
    """A body that would be taken: what the document itself gives as an example."""
    found = {**resolved(schema), **{name: schema[name] for name in ("examples", "default") if name in schema}}
    if found.get("examples"):
        return copy.deepcopy(found["examples"][0])
    if "properties" in found:
        return {name: example(part) for name, part in found["properties"].items() if name in found.get("required", ())}
    if found.get("type") == "array":
        return [example(found["items"])]
    return {"boolean": False, "integer": 1, "number": 1}.get(found.get("type", ""), found.get("default", "x"))


def bodies(operation: dict[str, Any], text: str) -> Iterator[Any]:
    """The example with one field after the other replaced, in lists and below, too."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if not content:
        return
    schema = resolved(content["schema"])
    for name, part in schema.get("properties", {}).items():
        yield {**example(schema), name: text}
        inner = resolved(part)
        if inner.get("type") == "array":
            yield {**example(schema), name: [text]}
            for deeper in resolved(inner["items"]).get("properties", {}):
                yield {**example(schema), name: [{**example(inner["items"]), deeper: text}]}


def checked(answer: Any, what: object) -> None:
    assert answer.status_code < 500, (what, answer.text)
    assert "Traceback" not in answer.text, what
    if answer.status_code >= 400 and answer.headers["content-type"].startswith("application/json"):
        assert answer.json().keys() == {"error", "code", "details"}, what


@pytest.mark.parametrize(
    ("method", "path", "operation"), list(operations()), ids=lambda part: part if isinstance(part, str) else ""
)
def test_no_field_of_an_operation_makes_a_5xx(api: Api, method: str, path: str, operation: dict[str, Any]) -> None:
    names = {p["name"]: p["in"] for p in operation.get("parameters", [])}
    for text in hard(8):
        plain_path = path.replace("{id}", UID)
        for name, place in names.items():
            if place == "path":
                checked(api(method, path.replace("{" + name + "}", quote(text, safe=""))), (name, text))
            elif place == "query":
                checked(api(method, plain_path, params={name: text}), (name, text))
            elif text.isascii() and text.isprintable():
                checked(api(method, plain_path, headers={name: text}), (name, text))
        for body in bodies(operation, text):
            checked(api(method, plain_path, json=body), body)


def test_what_the_api_takes_as_a_name_it_gives_back(api: Api) -> None:
    mailboxes = [
        {"email": f"a{number}@example.com", "passwordHash": HASH.reveal(), "displayName": text}
        for number, text in enumerate(ALL)
        if len(text) <= 200 and text.isprintable()
    ]
    assert len(mailboxes) > 500
    made = api.ok("POST", "/mailboxes/bulk", json={"mailboxes": mailboxes})
    assert made["refused"] == 0, [item for item in made["items"] if item["error"]]
    listed = {m["email"]: m["displayName"] for m in api.ok("GET", "/mailboxes", params={"pageSize": 1000})["items"]}
    assert listed == {m["email"]: m["displayName"].strip() for m in mailboxes}
    exported = csv.DictReader(io.StringIO(api("GET", "/mailboxes/export").text))
    assert {row["email"]: unguard(row["display_name"]) for row in exported} == listed


def test_no_exported_cell_is_a_formula(api: Api) -> None:
    names = [text for text in ALL if len(text) <= 200 and text.isprintable()]
    news = [
        {"email": f"a{n}@example.com", "passwordHash": HASH.reveal(), "displayName": text}
        for n, text in enumerate(names)
    ]
    api.ok("POST", "/mailboxes/bulk", json={"mailboxes": news})
    for row in csv.reader(io.StringIO(api("GET", "/mailboxes/export").text)):
        assert not [cell for cell in row if cell[:1] in tuple("=+-@\t\r")], row


@pytest.mark.parametrize("column", COLUMNS)
def test_no_cell_of_a_csv_makes_a_5xx(api: Api, column: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    texts = [text for text in ALL if "\0" not in text]
    for number, text in enumerate(texts):
        good = {"email": f"c{number}@example.com", "password_hash": HASH.reveal(), "enabled": "true"}
        writer.writerow([{**good, column: text}.get(name, "") for name in COLUMNS])
    answer = api("POST", "/mailboxes/import", content=out.getvalue().encode(), params={"dryRun": "true"})
    checked(answer, column)
    assert answer.status_code == 200, answer.text
    assert answer.json()["acceptable"] + len({row["row"] for row in answer.json()["refused"]}) == len(texts)


def test_no_file_makes_a_5xx(api: Api) -> None:
    header = b"email,password_hash\n"
    for text in hard(60):
        for data in (text.encode(), header + text.encode(), text.encode("utf-16"), header + b'"' + text.encode()):
            checked(api("POST", "/mailboxes/import", content=data, params={"dryRun": "true"}), text)


def test_no_token_opens_the_door(world: World) -> None:
    http: TestClient = client(world.app)
    for text in hard(150):
        for kind in (b"Bearer ", b"Basic ", b""):
            value = kind + text.encode().replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
            answer = http.get(f"{BASE}/mailboxes", headers=[(b"authorization", value[:4000])])
            assert answer.status_code in (401, 429), text
