"""What is refused before a route sees it: bodies that are too large, too deep, not JSON, or of another type."""

from __future__ import annotations

import re

import orjson
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import RequestError, problem

_FORM = "application/x-www-form-urlencoded"
_FORM_BYTES = 4096

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_OPENING = bytes.maketrans(b"[]", b"{}")
_NOT_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")


class Gate:
    """ASGI middleware that reads the body of a write, counts and checks it, and hands it on.

    Parameters
    ----------
    app : ASGIApp
    max_bytes : int
        Largest body, by its header and by what really arrives.
    max_depth : int
        Deepest nesting of arrays and objects.
    forms : frozenset of str, default=frozenset()
        Paths that take a short form, as pages send it, instead of JSON.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_depth: int, forms: frozenset[str] = frozenset()) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.max_depth = max_depth
        self.forms = forms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] not in {"POST", "PUT", "PATCH"}:
            await self.app(scope, receive, send)
            return
        is_form = scope["path"] in self.forms
        limit, media_type = (_FORM_BYTES, _FORM) if is_form else (self.max_bytes, "application/json")
        try:
            self._check_headers(Headers(scope=scope), limit, media_type)
            body = await self._read(receive, limit)
            if not is_form:
                self._check_json(body)
        except RequestError as error:
            await problem(scope, error)(scope, receive, send)
            return
        except _Gone:
            return
        handed_on = False

        async def replay() -> Message:
            nonlocal handed_on
            if handed_on:
                return await receive()
            handed_on = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)

    def _check_headers(self, headers: Headers, limit: int, wanted: str) -> None:
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise RequestError(400, "Content-Length must be a number.")
        if int(length) > limit:
            raise self._too_large(limit)
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != wanted:
            raise RequestError(415, f"Content-Type must be {wanted}.")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise RequestError(415, "Content-Encoding is not accepted: send the body as it is.")

    async def _read(self, receive: Receive, limit: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise self._too_large(limit)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)

    def _check_json(self, body: bytes) -> None:
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError as error:
            # orjson stops at a depth of its own, and tells it by its words alone.
            if "limit" in error.msg.lower():
                raise self._too_deep() from None
            raise RequestError(400, f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
        if _deeper_than(self.max_depth, body):
            raise self._too_deep()

    def _too_large(self, limit: int) -> RequestError:
        # What follows of the body is not read, so the connection can not be used again.
        return RequestError(413, f"A body may have {limit:,} bytes at most.", headers={"connection": "close"})

    def _too_deep(self) -> RequestError:
        return RequestError(413, f"A body may be nested {self.max_depth} deep at most.")


class _Gone(Exception):
    """The client left before the body was complete."""


def _deeper_than(limit: int, body: bytes) -> bool:
    # Valid JSON without its strings is a tree of brackets; each pass removes its leaves.
    brackets = _STRINGS.sub(b"", body).translate(_OPENING, _NOT_BRACKETS)
    for _ in range(limit):
        if not brackets:
            return False
        brackets = brackets.replace(b"{}", b"")
    return bool(brackets)
