"""The OpenAPI document, and one page that shows it without a script or a request to another site."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from serving.authorisation import public
from serving.reference import STYLE_HASH, render

_POLICY = f"default-src 'none'; style-src '{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def router() -> APIRouter:
    """Return the routes of the documentation; the document does not describe them."""
    routes = APIRouter(dependencies=[public()], include_in_schema=False)
    routes.add_api_route("/openapi.json", _openapi, methods=["GET"])
    routes.add_api_route("/docs", _docs, methods=["GET"])
    return routes


def _openapi(request: Request) -> JSONResponse:
    return JSONResponse(_document(request))


def _docs(request: Request) -> HTMLResponse:
    page = render(_document(request), str(request.base_url).rstrip("/"))
    return HTMLResponse(page, headers={"content-security-policy": _POLICY})


def _document(request: Request) -> dict[str, Any]:
    document: dict[str, Any] = request.app.openapi()
    return document
