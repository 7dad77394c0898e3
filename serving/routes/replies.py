"""Bodies written once, with every float in full precision."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from fastapi import Response


def reply(content: Mapping[str, object]) -> Response:
    """Return the content as JSON: shortest text that reads back as the same float64, NaN as null."""
    return Response(orjson.dumps(content), media_type="application/json")
