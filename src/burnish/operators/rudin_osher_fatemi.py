"""Total variation smoothing (Rudin, Osher, Fatemi 1992).

The output u is close to the photo f and has a small total variation, the sum of the lengths of its
gradients:

    min_u  TV(u)  +  lambda / 2 * sum (u - f)^2

The energy is strictly convex and has a unique minimiser. It is computed by Chambolle and Pock's
accelerated primal-dual method (their Algorithm 2), which also bounds the distance to the minimiser.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from burnish.errors import OperatorError
from burnish.operators.total_variation import PrimalDual, StepSizes

# The largest root-mean-square distance from the minimiser. Rounding to 8 bits changes an image by
# 0.0011.
TOLERANCE = 1e-3
# Iterations between two computations of the gap.
GAP_INTERVAL = 16
MAX_ITERATIONS = 10_000


def rudin_osher_fatemi(rgb: NDArray[np.float32], lambda_: float = 10.0) -> NDArray[np.floating]:
    """Smooth a photo into flat areas with sharp borders between them.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, C), floating, in [0, 1]; computed in its own precision
    lambda_ : weight of staying near the photo, 2 to 100; a larger value keeps more detail

    Returns
    -------
    ndarray of shape (H, W, C), within the range of the photo up to the tolerance

    Raises
    ------
    OperatorError : the tolerance is not reached within 10 000 iterations, which happens only for a
        lambda below 2

    Notes
    -----
    The root-mean-square distance of the output from the exact minimiser is at most 0.001: the
    energy is lambda-strongly convex, so that the computed gap G between the energies of u and of a
    dual variable implies lambda / 2 |u - minimiser|^2 <= G.

    The paper derives lambda from the variance of the noise. Here it is a parameter, and the
    gradient of a colour image combines the differences of all channels ("vectorial" total
    variation), so that an edge is at the same place in all of them. For three equal channels this
    equals smoothing one with sqrt(3) lambda. Differences are forward differences, 0 across the
    border (Neumann). An area A with perimeter P moves towards its surroundings by about
    P / (lambda A).

    References
    ----------
    L. I. Rudin, S. Osher, E. Fatemi: Nonlinear Total Variation Based Noise Removal Algorithms.
    Physica D 60(1-4), 1992. https://doi.org/10.1016/0167-2789(92)90242-F

    A. Chambolle, T. Pock: A First-Order Primal-Dual Algorithm for Convex Problems with
    Applications to Imaging. Journal of Mathematical Imaging and Vision 40(1), 2011.
    https://doi.org/10.1007/s10851-010-0251-1

    Examples
    --------
    The upper three and the lower three pixels of a step move together by 1 / (3 lambda):

    >>> step = np.repeat([[0.2], [0.22], [0.2], [0.7], [0.68], [0.7]], 6, axis=1)[..., None]
    >>> np.round(rudin_osher_fatemi(step)[:, 0, 0], 2)
    array([0.24, 0.24, 0.24, 0.66, 0.66, 0.66])
    """
    solver = PrimalDual(rgb, lambda_, "squares")
    steps = _steps(lambda_)
    max_gap = lambda_ / 2 * TOLERANCE**2 * rgb.size
    for _ in range(0, MAX_ITERATIONS, GAP_INTERVAL):
        solver.iterate([next(steps) for _ in range(GAP_INTERVAL)])
        if solver.gap() <= max_gap:
            return solver.solution()
    problem = f"not converged after {MAX_ITERATIONS} iterations"
    raise OperatorError("total variation", problem, "choose a larger lambda")


def _steps(lambda_: float) -> Iterator[StepSizes]:
    """Yield the step sizes of Algorithm 2, decreasing for u and increasing for p."""
    # tau * sigma must be at most 1 / |grad|^2, and |grad|^2 is below 8. The first tau hardly
    # matters. gamma may be up to lambda; the authors' 0.7 lambda is faster here too.
    tau = 2.5 / lambda_
    sigma = 1 / (8 * tau)
    gamma = 0.7 * lambda_
    while True:
        theta = 1 / np.sqrt(1 + 2 * gamma * tau)
        sigma /= theta
        yield StepSizes(tau, theta, sigma)
        tau *= theta
