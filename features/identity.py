"""Who a person is without storing an address: keyed hashes of e-mail addresses."""

from __future__ import annotations

import hmac


def email_hash(key: bytes, address: str) -> str:
    """Return the HMAC-SHA256 of an e-mail address, trimmed and in lower case, as hexadecimal digits.

    Parameters
    ----------
    key : bytes
        The secret of the store (`features.ledger.Ledger.email_key`).
    address : str

    Examples
    --------
    >>> email_hash(b"k" * 32, " Ann@Example.com ") == email_hash(b"k" * 32, "ann@example.com")
    True
    """
    return hmac.digest(key, address.strip().lower().encode(), "sha256").hex()
