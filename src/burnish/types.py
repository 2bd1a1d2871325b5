"""Names for the array types that several stages use."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# An image: (H, W, 3) RGB in [0, 1], or (H, W) for a single plane.
Pixels = NDArray[np.float32]
# A soft mask, (H, W) in [0, 1].
Mask = NDArray[np.float32]
# A binary mask, (H, W).
BoolMask = NDArray[np.bool_]
# One channel of an image, (H, W), of any number type.
Plane = NDArray[Any]
