"""The features, each declared once: what they mean to people and how the algebra forms them."""

from __future__ import annotations

from features.catalogue.assemble import Catalogue, catalogue

__all__ = ["Catalogue", "catalogue"]
