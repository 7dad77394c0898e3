"""Errors as RFC 9457 problem documents: the one place where an exception becomes an HTTP answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException

from features.errors import BundleError, RowError, SmarketingError, StoreError, UnknownError, nearest
from serving.wire import Wire

_LOG = logging.getLogger("smarketing.serving")

MEDIA_TYPE = "application/problem+json"

Document = dict[str, Any]
"""A problem document as plain JSON values."""


class FieldProblem(Wire):
    """One field of a request that is wrong."""

    field: str = Field(description="Where, in the sender's spelling, parts joined by dots")
    code: str = Field(description="Stable machine-readable reason")
    message: str = Field(description="What was wrong and what is allowed")


class Problem(Wire):
    """A problem document (RFC 9457)."""

    type: str = Field(description="Stable identifier of the kind of problem")
    title: str = Field(description="The kind of problem in words")
    status: int = Field(description="HTTP status, repeated for callers that see no headers")
    detail: str = Field(description="What happened this time")
    instance: str = Field(description="Path of the request")
    errors: list[FieldProblem] = Field(description="The fields at fault; empty when it is none in particular")
    request_id: str = Field(description="Identifier of the request, to quote to support")
    retryable: bool = Field(description="Whether the same request may succeed later")


_KINDS = MappingProxyType(
    {
        400: ("unreadable", "The request can not be read"),
        401: ("unauthorized", "A valid API key is needed"),
        403: ("forbidden", "The API key does not allow this"),
        404: ("not-found", "There is no such thing"),
        405: ("method-not-allowed", "The method is not offered here"),
        409: ("in-flight", "The request is already being worked on"),
        413: ("too-large", "The request is too large"),
        415: ("media-type", "The content type is not accepted"),
        422: ("invalid", "The request does not fit the contract"),
        429: ("too-many", "Too many requests"),
        500: ("unexpected", "Something went wrong here"),
        503: ("unavailable", "The service can not answer now"),
    }
)
"""Status -> the end of the problem's type, and its title: our own words, since the phrases of HTTP change over time."""

_NO_OBJECT = "Input should be a valid dictionary or object to extract fields from"

_RETRYABLE = frozenset({409, 429, 500, 503})

_DECLARED: dict[int | str, dict[str, Any]] = {
    status: {
        "description": _KINDS[status][1],
        "model": Problem,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status in (400, 401, 403, 404, 409, 413, 415, 422, 429, 503)
}


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI declaration of these problems, or of all; as JSON too, for callers that know no other type."""
    return {status: _DECLARED[status] for status in statuses} if statuses else dict(_DECLARED)


class RequestError(SmarketingError):
    """A request that is refused with a status of its own.

    Parameters
    ----------
    status : int
    detail : str
    errors : sequence of FieldProblem, default=()
    headers : mapping, default={}
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = tuple(errors)
        self.headers = headers


def problem(scope: Mapping[str, Any], error: Exception) -> Response:
    """Return the answer to a request that ended in `error`.

    Parameters
    ----------
    scope : mapping
        ASGI scope of the request.
    error : Exception
        An error that is not the project's own, nor the framework's, gives a 500 that says nothing about it.
    """
    status, detail, errors, headers = _translate(scope, error)
    content = _document(scope, status, detail, errors)
    return Response(orjson.dumps(content), status, dict(headers), MEDIA_TYPE)


def problem_of_item(scope: Mapping[str, Any], error: SmarketingError | ValidationError, kind: type[Wire]) -> Document:
    """Return the problem document of one item of a request whose other items are answered.

    Parameters
    ----------
    scope : mapping
        ASGI scope of the request.
    error : SmarketingError or pydantic.ValidationError
        What became of the item.
    kind : type
        What the item should have been.
    """
    if isinstance(error, ValidationError):
        found = [_as_body({**item, "loc": ("body", *item["loc"])}) for item in error.errors()]
        status, detail, errors, _ = _invalid(found, _names(kind))
    elif isinstance(error, StoreError):
        # Not its text: a driver may quote the values it could not read.
        _LOG.error("%s %s", scope["state"]["request_id"], type(error).__name__)
        status, detail, errors = 503, "The store can not be read now.", ()
    else:
        status, detail, errors, _ = _translate(scope, error)
    return _document(scope, status, detail, errors)


def _as_body(item: dict[str, Any]) -> dict[str, Any]:
    """Return an error in the words that the framework has for a body that is no object."""
    if item["type"] != "model_type":
        return item
    return {**item, "type": "model_attributes_type", "msg": _NO_OBJECT}


def _document(scope: Mapping[str, Any], status: int, detail: str, errors: Sequence[FieldProblem]) -> Document:
    kind, title = _KINDS.get(status, ("other", "The request can not be answered"))
    return {
        "type": f"urn:smarketing:problem:{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": scope["path"],
        "errors": [item.model_dump(by_alias=True) for item in errors],
        "requestId": scope["state"]["request_id"],
        "retryable": status in _RETRYABLE,
    }


def install(app: FastAPI) -> None:
    """Make the application answer with problem documents."""

    def handle(request: Request, error: Exception) -> Response:
        if isinstance(error, StoreError | BundleError):
            # Not its text: a driver may quote the values it could not store.
            _LOG.error("%s %s", request.state.request_id, type(error).__name__)
        return problem(request.scope, error)

    for kind in (*_OURS, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)


_OURS = (RequestError, RowError, UnknownError, StoreError, BundleError)


def _translate(
    scope: Mapping[str, Any], error: Exception
) -> tuple[int, str, Sequence[FieldProblem], Mapping[str, str]]:
    match error:
        case RequestError():
            return error.status, str(error), error.errors, error.headers
        case RequestValidationError():
            return _invalid(error.errors(), _known(scope))
        case HTTPException():
            return error.status_code, _KINDS.get(error.status_code, ("", "No answer"))[1] + ".", (), error.headers or {}
        case UnknownError():
            return 404, str(error), (), {}
        case StoreError():
            return 503, "The store can not be read or written now; nothing of this request was kept.", (), _LATER
        case BundleError():
            return 503, "The model can not be used now.", (), _LATER
        case RowError():
            at_fault = FieldProblem(field=error.field, code=error.code, message=error.message)
            return 422, error.message, (at_fault,), {}
        case _:
            return 500, "An unexpected error was logged under this requestId; nothing of this request was kept.", (), {}


_LATER = MappingProxyType({"retry-after": "1"})


def _known(scope: Mapping[str, Any]) -> tuple[str, ...]:
    body = getattr(scope.get("route"), "body_field", None)
    return () if body is None else _names(body.field_info.annotation)


def _names(kind: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in kind.model_fields.items())


def _invalid(errors: Sequence[Any], known: Sequence[str]) -> tuple[int, str, Sequence[FieldProblem], Mapping[str, str]]:
    if any(item["type"] == "json_invalid" for item in errors):
        return 400, "The body is not JSON.", (), {}
    found = [
        FieldProblem(
            field=_place(item["loc"]),
            code=_CODES.get(item["type"], "type"),
            message=_unknown(item["loc"], known) if item["type"] == "extra_forbidden" else _words(item["msg"]),
        )
        for item in errors
    ]
    return 422, " ".join(f"{item.field}: {item.message}" for item in found[:3]), found, {}


_CODES = MappingProxyType({"missing": "required", "extra_forbidden": "unknown_field", "literal_error": "choice"})


def _place(location: Sequence[object]) -> str:
    # The first part says where a field was sent: in the body, the query, the path or the headers.
    return ".".join(str(part) for part in location[1:]) or str(location[0])


def _unknown(location: Sequence[object], known: Sequence[str]) -> str:
    return f"There is no such field.{nearest(str(location[-1]), known)} Allowed: {', '.join(known)}."


def _words(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
