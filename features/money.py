"""Money between minor units, units, and the reporting currency."""

from __future__ import annotations

_NO_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def minor_per_unit(currency: str | None) -> int:
    """Return how many minor units make one unit, by ISO 4217; 100 when the currency is not given.

    Examples
    --------
    >>> minor_per_unit("EUR"), minor_per_unit("JPY"), minor_per_unit("KWD")
    (100, 1, 1000)
    """
    if currency in _NO_DECIMALS:
        return 1
    return 1000 if currency in _THREE_DECIMALS else 100
