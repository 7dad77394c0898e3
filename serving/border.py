"""The outermost layer: request ids, security headers, one log line a request, and nothing that leaks.

An unexpected exception stops here. What is logged of it is its type and where it arose, never its text: that may hold
an e-mail address or a secret.
"""

from __future__ import annotations

import logging
import secrets
import time
import traceback
from pathlib import PurePath
from types import MappingProxyType

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import problem

_LOG = logging.getLogger("smarketing.serving")

SECURITY_HEADERS = MappingProxyType(
    {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cache-control": "no-store",
    }
)
"""Sent with every answer; a page replaces the content security policy by its own."""


class Border:
    """ASGI middleware that gives each request an id and catches what nobody else has."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = f"req_{secrets.token_hex(8)}"
        scope["state"]["request_id"] = request_id
        began = time.perf_counter()
        status = 0

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, stamped)
        except Exception as error:
            _LOG.error("%s %s at %s", request_id, type(error).__name__, _where(error))
            if not status:
                await problem(scope, error)(scope, receive, stamped)
        finally:
            route = getattr(scope.get("route"), "path", "-")
            elapsed = 1000 * (time.perf_counter() - began)
            _LOG.info("%s %s %s %d %.1fms", request_id, scope["method"], route, status, elapsed)


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
