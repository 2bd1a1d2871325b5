"""Total variation smoothing with an absolute data term, "TV-L1" (Chan and Esedoglu 2005).

The output u has a small total variation and equals the photo f at most pixels:

    min_u  TV(u)  +  lambda * sum |u - f|

Objects are removed or kept by shape and size, whatever their contrast: a disc is removed if its
radius is below 2 / lambda pixels, and kept unchanged if it is above.
"""

import numpy as np
from numpy.typing import NDArray

from burnish.operators.total_variation import PrimalDual, StepSizes

# Part of the definition, because the minimiser is not unique.
ITERATIONS = 400


def tv_l1(rgb: NDArray[np.float32], lambda_: float = 0.3) -> NDArray[np.floating]:
    """Remove small objects and texture whatever their contrast, and keep the contrast of the rest.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, C), floating, in [0, 1]; computed in its own precision
    lambda_ : weight of staying equal to the photo, 0.1 to 2; a larger value keeps smaller objects,
        and from 3.5 on the photo is unchanged

    Returns
    -------
    ndarray of shape (H, W, C), within the range of the photo up to about 0.01

    Notes
    -----
    The energy is not strictly convex, and can have many minimisers. The operator is therefore
    defined as the output of 400 iterations of Chambolle and Pock's Algorithm 1 that start at the
    photo, with a step size of 0.02 / lambda for u. On photos of 240 rows, its PSNR against the
    output of thousands of iterations is 67 to 78 dB for lambda 0.3, above 74 dB from lambda 0.6 on,
    and 49 to 54 dB for lambda 0.1.

    The gradient combines the differences of all channels as in
    `burnish.operators.rudin_osher_fatemi`, while |u - f| is summed over the channels separately.
    The radius of the smallest grey disc that is kept is 2 / (sqrt(3) lambda).

    References
    ----------
    T. F. Chan, S. Esedoglu: Aspects of Total Variation Regularized L1 Function Approximation. SIAM
    Journal on Applied Mathematics 65(5), 2005. https://doi.org/10.1137/040604297

    A. Chambolle, T. Pock: A First-Order Primal-Dual Algorithm for Convex Problems with
    Applications to Imaging. Journal of Mathematical Imaging and Vision 40(1), 2011.
    https://doi.org/10.1007/s10851-010-0251-1

    Examples
    --------
    A bump two pixels wide is removed, and one of ten pixels is kept with its contrast:

    >>> row = np.zeros((1, 40, 1))
    >>> row[0, 5:7], row[0, 20:30] = 1, 0.25
    >>> smooth = tv_l1(row)[0, :, 0]
    >>> abs(np.round(smooth[[6, 25]], 2))
    array([0.  , 0.25])
    """
    solver = PrimalDual(rgb, lambda_, "absolute")
    # tau * sigma must be at most 1 / |grad|^2, and |grad|^2 is below 8.
    tau = 0.02 / lambda_
    solver.iterate([StepSizes(tau, theta=1, sigma=1 / (8 * tau))] * ITERATIONS)
    return solver.solution()
