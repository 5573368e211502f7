"""The reference as one page of HTML, made of the OpenAPI document: works offline and without a line of script."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#8881;padding:.75rem;overflow:auto}"
    "summary{cursor:pointer;padding:.25rem 0}b{display:inline-block;width:4.5rem}table{border-collapse:collapse}"
    "td,th{text-align:left;padding:.1rem 1rem .1rem 0;vertical-align:top}:root{color-scheme:light dark}"
)


def page(document: Mapping[str, Any]) -> str:
    """The whole page."""
    info = document["info"]
    head = f"<h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>"
    body = "".join(_sections(document))
    title = escape(info["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>{head}'
        f'<p><a href="openapi.json">openapi.json</a></p>{body}</html>'
    )


def _sections(document: Mapping[str, Any]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(document, path, method, operation))
    for tag, operations in groups.items():
        yield f"<h2>{escape(tag)}</h2>" + "".join(operations)


def _operation(document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> str:
    scope = operation.get("x-scope")
    parts = [
        f"<p>{escape(operation.get('description', ''))}</p>",
        f"<p>Scope: <code>{scope}</code></p>" if scope else "<p>Needs no scope.</p>",
        _parameters(operation.get("parameters", [])),
    ]
    body = operation.get("requestBody", {}).get("content", {})
    parts += [f"<p>Body, {escape(kind)}:</p>{_sample(document, media)}" for kind, media in body.items()]
    for status, answer in operation["responses"].items():
        media = answer.get("content", {}).get("application/json")
        if status < "300":
            parts.append(f"<p>{status}: {escape(answer['description'])}</p>{_sample(document, media) if media else ''}")
    errors = ", ".join(status for status in operation["responses"] if status >= "400")
    head = f"<summary><b>{method.upper()}</b> <code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
    return f"<details>{head}{''.join(parts)}<p>Errors: {errors}</p></details>"


def _parameters(parameters: list[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{p['in']}</td>"
        f"<td>{escape(p.get('description', ''))}</td></tr>"
        for p in parameters
    )
    return f"<table>{rows}</table>" if rows else ""


def _sample(document: Mapping[str, Any], media: Mapping[str, Any]) -> str:
    sample = media["example"] if "example" in media else example_of(document, media.get("schema", {}))
    text = sample if isinstance(sample, str) else json.dumps(sample, indent=2, ensure_ascii=False)
    return f"<pre>{escape(text)}</pre>"


def example_of(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """A value of a schema, made of the examples of its parts."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example_of(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "properties" in schema:
        return {name: example_of(document, part) for name, part in schema["properties"].items()}
    if "default" in schema:
        return schema["default"]
    if schema.get("type") == "array":
        return [example_of(document, schema["items"])]
    if "enum" in schema:
        return schema["enum"][0]
    parts = schema.get("anyOf")
    return (
        example_of(document, parts[0])
        if parts
        else {"boolean": False, "integer": 0, "string": ""}.get(schema.get("type", ""))
    )
