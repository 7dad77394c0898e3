"""Array types of this package."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""Numbers, missing ones as NaN."""

Integers = NDArray[np.int64]
"""Labels, codes and positions."""
