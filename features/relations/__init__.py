"""From the ledger's tables to the relations that both evaluators read."""

from __future__ import annotations

from features.relations.build import Relations, Tables, account_codes, build

__all__ = ["Relations", "Tables", "account_codes", "build"]
