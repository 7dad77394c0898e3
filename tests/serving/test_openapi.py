"""The OpenAPI document and its page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from serving.settings import Settings
from tests.serving.conftest import Service

NAME = re.compile(r"[a-z][A-Za-z0-9]*")
PROBLEMS = {"400", "401", "403", "404", "409", "413", "415", "422", "429", "503"}


@pytest.fixture
def document(empty: Service) -> dict[str, Any]:
    return dict(empty.get("/openapi.json"))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def test_the_document_is_openapi_3_1_and_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    references = re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(document))
    assert references
    assert set(references) <= set(document["components"]["schemas"])


def test_names_are_identifiers_in_lower_camel_case(document: dict[str, Any]) -> None:
    names = [name for schema in document["components"]["schemas"].values() for name in schema.get("properties", ())]
    names += [
        parameter["name"]
        for _, operation in operations(document)
        for parameter in operation.get("parameters", ())
        if parameter["in"] != "header"
    ]
    assert [name for name in names if not NAME.fullmatch(name)] == []


def test_operation_ids_are_stable(document: dict[str, Any]) -> None:
    assert sorted(operation["operationId"] for _, operation in operations(document)) == [
        "appendAccounts", "appendContacts", "appendDeals", "appendHandoffs", "appendStageChanges", "appendTouchpoints",
        "livez", "readAccount", "readAccountAttribution", "readAttribution", "readyz", "scoreAccount", "scoreAccounts",
        "version",
    ]  # fmt: skip


def test_every_problem_is_declared_in_both_media_types(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        if path.startswith("/v1/"):
            assert set(operation["responses"]) == PROBLEMS | {"200"}
            for status in PROBLEMS:
                assert set(operation["responses"][status]["content"]) == {
                    "application/json",
                    "application/problem+json",
                }


def test_protected_operations_declare_the_bearer_key(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    for path, operation in operations(document):
        assert operation.get("security", []) == ([{"apiKey": []}] if path.startswith("/v1/") else [])


def test_the_page_shows_every_operation_and_asks_nothing_of_other_sites(
    empty: Service, document: dict[str, Any]
) -> None:
    answer = empty.client.get("/docs")
    assert all(f'id="{operation["operationId"]}"' in answer.text for _, operation in operations(document))
    assert "<script" not in answer.text
    assert not re.findall(r"(?:src|href)=[\"']?https?:", answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_api_page_names_every_endpoint(root, document: dict[str, Any]) -> None:
    page = (root / "docs" / "api.md").read_text(encoding="utf-8")
    assert [path for path in document["paths"] if path not in page] == []


def test_the_api_page_names_every_setting(root) -> None:
    page = (root / "docs" / "api.md").read_text(encoding="utf-8")
    assert [name for name in Settings.model_fields if f"SMARKETING_{name.upper()}" not in page] == []
