"""Attribution: journeys in, one immutable credit frame out."""

from __future__ import annotations

from models.attribution.credit import AttributionModel, Credit, Evidence

__all__ = ["AttributionModel", "Credit", "Evidence"]
