"""The channel of origin of an account: that of its first touch, as known at the end of the ledger.

It only divides test rows into slices; no model reads it, so that it may know what was found out later.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.relations import Relations

NOT_KNOWN = "not known"

_DIRECTIONS = ("inbound", "outbound")


def channel_of_origin(relations: Relations) -> npt.NDArray[np.str_]:
    """Return the channel of the first inbound or outbound touch of each account, in the order of its index."""
    touches = relations.tables["touches"]
    contact = np.isin(touches["direction"].to_numpy(zero_copy_only=False).astype(np.str_), _DIRECTIONS)
    channel = np.array([name or NOT_KNOWN for name in touches["channel"].to_pylist()], dtype=np.str_)[contact]
    # Touches are sorted by account and time: the first row of an account is its first touch.
    account, first = np.unique(touches["account"].to_numpy()[contact], return_index=True)
    found = np.full(len(relations.account_ids), NOT_KNOWN, dtype=f"<U{max(channel.itemsize // 4, len(NOT_KNOWN))}")
    found[account] = channel[first]
    return found
