"""The OpenAPI document as a page: every operation with its fields, its answers and a curl line."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff; margin: 2rem auto; max-width: 62rem;
  padding: 0 1rem; }
h2 { margin-top: 3rem; border-top: 1px solid #c9d3dc; padding-top: 1rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; background: #f2f5f8; }
pre { padding: .75rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #e3e9ee; }
nav li { display: inline-block; margin-right: 1rem; }
"""

STYLE_HASH = f"sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}"
"""What a content security policy must allow for the page to have its style."""


def render(document: Mapping[str, Any], address: str) -> str:
    """Return the page.

    Parameters
    ----------
    document : mapping
        OpenAPI 3.1.
    address : str
        Where the service is, for the curl lines.
    """
    schemas = document["components"]["schemas"]
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    links = "".join(
        f'<li><a href="#{escape(operation["operationId"])}">{escape(operation["operationId"])}</a></li>'
        for _, _, operation in operations
    )
    title = escape(document["info"]["title"])
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>',
        f"<h1>{title} {escape(document['info']['version'])}</h1><p>{escape(document['info']['description'])}</p>",
        '<p>The same as a document for machines: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>',
        f"<nav><ul>{links}<li><a href='#schemas'>schemas</a></li></ul></nav>",
    ]
    for path, method, operation in operations:
        parts += _operation(path, method, operation, schemas, address)
    parts.append("<h2 id='schemas'>Schemas</h2>")
    for name, schema in schemas.items():
        parts.append(f'<h3 id="schema-{escape(name)}">{escape(name)}</h3>')
        parts.append(f"<p>{escape(schema.get('description', ''))}</p>")
        parts += _fields(schema)
    parts.append("</main></body></html>")
    return "".join(parts)


def _operation(
    path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any], address: str
) -> Iterator[str]:
    yield f'<h2 id="{escape(operation["operationId"])}">{escape(method.upper())} {escape(path)}</h2>'
    yield f"<p>{escape(operation.get('summary', ''))}. {escape(operation.get('description', ''))}</p>"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if operation.get("parameters"):
        yield "<table><thead><tr><th>Parameter</th><th>In</th><th>Meaning</th></tr></thead><tbody>"
        for parameter in operation["parameters"]:
            yield (
                f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['in'])}</td>"
                f"<td>{escape(parameter.get('description', ''))}</td></tr>"
            )
        yield "</tbody></table>"
    yield f"<pre>{escape(_curl(path, method, operation, body, schemas, address))}</pre>"
    if body:
        yield f"<p>Body: {_kind(body)}</p>"
    yield "<table><thead><tr><th>Status</th><th>Meaning</th><th>Body</th></tr></thead><tbody>"
    for status, answer in sorted(operation["responses"].items()):
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        yield f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])}</td><td>{_kind(schema)}</td></tr>"
    yield "</tbody></table>"


def _curl(
    path: str, method: str, operation: Mapping[str, Any], body: Mapping[str, Any] | None, schemas: Mapping[str, Any],
    address: str,
) -> str:  # fmt: skip
    words = ["curl", "-s"]
    if operation.get("security"):
        words += ["-H", '"Authorization: Bearer $SMARKETING_API_KEY"']
    if method != "get":
        words += ["-H", "'Content-Type: application/json'", "-d", f"'{json.dumps(_example(body or {}, schemas))}'"]
    return " ".join([*words, f"'{address}{path}'"])


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """Return a value made of the required parts of a schema."""
    schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "properties" in schema:
        required = schema.get("required", ())
        return {name: _example(schema["properties"][name], schemas) for name in required}
    if schema.get("type") == "array":
        return [_example(schema["items"], schemas)]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("format") == "date-time":
        return "2026-11-21T09:00:00Z"
    return {"integer": 1, "number": 1.0, "boolean": False}.get(schema.get("type", ""), "...")


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    if "properties" not in schema:
        return
    yield "<table><thead><tr><th>Field</th><th>Type</th><th>Meaning</th></tr></thead><tbody>"
    required = set(schema.get("required", ()))
    for name, described in schema["properties"].items():
        needed = "" if name in required else " (may be left out)"
        meaning = escape(described.get("description", "")) + needed
        yield f"<tr><td><code>{escape(name)}</code></td><td>{_kind(described)}</td><td>{meaning}</td></tr>"
    yield "</tbody></table>"


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if "enum" in schema:
        return "one of " + ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    kind = schema.get("format") or schema.get("type") or "any"
    return escape(" or ".join(kind) if isinstance(kind, list) else str(kind))
