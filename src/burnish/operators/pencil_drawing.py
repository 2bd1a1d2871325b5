"""Pencil drawing (Lu, Xu, Jia 2012): contours in straight strokes over shading in graphite.

    R = S * T

S, the strokes: every pixel's gradient is given to the one of eight directions along which its
neighbours have most gradient, and drawn out along that direction. T, the shading: the photo's greys
are moved to where artists put theirs, and drawn with a pencil's texture H as T = H^beta, beta being
how many times the pencil goes over the paper.
"""

import functools
import math

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.special import ndtr

from burnish.operators.luminance import luminance
from burnish.operators.threads import thread_count
from burnish.operators.wls_solver import solve

DIRECTIONS = 8
# Directions this close are equal, and the first is taken: rounding must not choose.
TIE_TOLERANCE = 1e-5
# A picture whose strongest contour is fainter than this is left blank rather than stretched.
MIN_CONTOUR = 0.02
# The three layers of tone, on a scale of 255 (the paper's table of learned parameters).
SIGMA_B = 9.0
U_A, U_B = 105.0, 225.0
MU_D, SIGMA_D = 90.0, 11.0
# What the photo is blurred by before its tones are moved.
TONE_BLUR_SIGMA = 2.0
# The texture is a square tile of so many pixels, wrapped around, of this mean and deviation.
TILE_SIZE = 1024
TEXTURE_MEAN = 0.7
TEXTURE_DEVIATION = 0.1


def pencil_drawing(
    rgb: NDArray[np.float32],
    length: float = 16.0,
    width: float = 2.0,
    gamma_s: float = 1.0,
    omega_1: float = 76.0,
    omega_2: float = 22.0,
    omega_3: float = 2.0,
    theta: float = 0.2,
    texture: float = 1.0,
) -> NDArray[np.floating]:
    """Draw a photo with a pencil.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; strokes are computed in its own precision
    length : of a stroke, 1 to 100 px; the paper takes 1/30 of the picture's side. A larger value
        draws straighter, more sweeping contours
    width : of a stroke, at half its darkness, 1.5 to 8 px
    gamma_s : the strokes' darkness, 0 to 4: an exponent, 0 leaves them out
    omega_1, omega_2, omega_3 : shares of bright paper, of mid-tones and of deep shade, not all 0;
        76 : 22 : 2 is light, 52 : 37 : 11 medium, 42 : 29 : 29 dark
    theta : smoothness of beta, 0.01 to 10; a larger value draws softer outlines of shade
    texture : contrast of the pencil's texture, 0 (even shade) to 2

    Returns
    -------
    ndarray of shape (H, W, 3), in [0, 1]: three equal channels

    Notes
    -----
    The strokes' darkness is relative to the strongest contour of the picture, and the tones to its
    histogram, so a part of a photo is drawn differently from the whole.

    Differences from the paper: its formula for the classes has argmin where argmax is meant; its
    Gaussian layer is normalised by sqrt(2 pi sigma_d), here by sqrt(2 pi) sigma_d, so that the
    omegas are the layers' true shares; the strokes have soft edges; contours fainter than 2 % of
    the grey scale are not stretched to black. The texture is not a scan but made here from noise:
    straight marks within 25 degrees of a diagonal over the tooth of the paper. It is the same in
    every picture, counted in pixels from the top left, and repeats every 1024; its mean is 0.7 and
    its deviation 0.1 * texture.

    Borders: a line that leaves the picture meets its mirror image. The networks published by others
    for this operator have a dark rim, from a blur that takes what lies outside as black; there is
    none here.

    References
    ----------
    C. Lu, L. Xu, J. Jia: Combining Sketch and Tone for Pencil Drawing Production. Symposium on
    Non-Photorealistic Animation and Rendering (NPAR) 2012, 65-73.
    https://doi.org/10.2312/PE/NPAR/NPAR12/065-073

    Examples
    --------
    A black disc on white becomes a dark contour around light shading:

    >>> y, x = np.mgrid[-40:41, -40:41]
    >>> disc = np.repeat((x**2 + y**2 > 900.0)[..., None], 3, axis=2).astype(np.float32)
    >>> drawing = pencil_drawing(disc)[40, :, 0]
    >>> bool(drawing[9:12].min() < drawing[40] < drawing[0])
    True
    """
    I = luminance(rgb)  # noqa: E741 the paper's own name
    S = stroke_map(I, length, width, gamma_s)
    J = tone_map(I, omega_1, omega_2, omega_3)
    H = pencil_texture(I.shape[0], I.shape[1], texture)
    R = S * pencil_shading(J, H, theta)
    return np.repeat(R.astype(rgb.dtype)[..., None], 3, axis=2)


def stroke_map(
    I: NDArray[np.floating],  # noqa: E741
    length: float,
    width: float,
    gamma_s: float,
) -> NDArray[np.floating]:
    """Return S, (H, W) in [0, 1], 0 black."""
    G = gradient_magnitude(I)
    kernels = [stroke_kernel(length, width, math.pi * i / DIRECTIONS) for i in range(DIRECTIONS)]
    strongest = _convolve(G, kernels[0])
    direction = np.zeros(G.shape, np.uint8)
    for i, L in enumerate(kernels[1:], start=1):
        response = _convolve(G, L)
        better = response > strongest * (1 + TIE_TOLERANCE)
        direction[better] = i
        strongest[better] = response[better]
    S = np.zeros_like(G)
    for i, L in enumerate(kernels):
        S += _convolve(G * (direction == i), L)
    S /= -max(float(S.max()), MIN_CONTOUR)
    S += 1
    np.clip(S, 0, 1, out=S)
    S[...] = S**gamma_s
    return S


def gradient_magnitude(I: NDArray[np.floating]) -> NDArray[np.floating]:  # noqa: E741
    """Return the length of the forward differences; the last row and column repeat those before."""
    right, down = np.zeros_like(I), np.zeros_like(I)
    right[:, :-1] = I[:, 1:] - I[:, :-1]
    down[:-1] = I[1:] - I[:-1]
    right[:, -1] = right[:, max(-2, -I.shape[1])]
    down[-1] = down[max(-2, -I.shape[0])]
    G: NDArray[np.floating] = np.hypot(right, down)
    return G


def stroke_kernel(length: float, width: float, direction: float) -> NDArray[np.float64]:
    """Return a straight stroke through the middle of a square, of sum 1; `direction` from x to y.

    Its darkness falls with cos^2 across and is half at width / 2. A sharp line would be thinner
    along the axes than between them, and noise would then be drawn as a grid.
    """
    half = max(length - 1, 0) / 2
    reach = math.ceil(half + width)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = np.abs(x * math.cos(direction) + y * math.sin(direction))
    across = y * math.cos(direction) - x * math.sin(direction)
    distance = np.hypot(np.maximum(along - half, 0), across)
    darkness: NDArray[np.float64] = np.cos(np.pi / 2 * np.minimum(distance / width, 1)) ** 2
    darkness /= darkness.sum()
    return darkness


def _convolve(image: NDArray[np.floating], kernel: NDArray[np.float64]) -> NDArray[np.floating]:
    # A correlation, and a convolution too: a line through the middle is its own mirror image. The
    # border is mirrored with its pixels, or two directions would tie on it.
    convolved = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT)
    return np.asarray(convolved, dtype=image.dtype)


def tone_map(
    I: NDArray[np.floating],  # noqa: E741
    omega_1: float,
    omega_2: float,
    omega_3: float,
) -> NDArray[np.float64]:
    """Return J, (H, W) in [0, 1]: the photo with the histogram of a drawing."""
    # The blur also parts the pixels that the 256 levels of a photo have put together.
    smooth = cv2.GaussianBlur(I, (0, 0), TONE_BLUR_SIGMA, borderType=cv2.BORDER_REFLECT_101)
    _, level, count = np.unique(smooth, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - count / 2) / I.size  # equal pixels share their middle rank
    tones = np.linspace(0, 1, 4096)
    J = np.interp(rank, tone_distribution(tones, omega_1, omega_2, omega_3), tones)
    matched: NDArray[np.float64] = J[level].reshape(I.shape)
    return matched


def tone_distribution(
    v: NDArray[np.float64], omega_1: float, omega_2: float, omega_3: float
) -> NDArray[np.float64]:
    """Return the share of a drawing that is darker than v, v from 0 to 1."""
    v = 255 * v
    bright = np.exp((v - 255) / SIGMA_B)
    mild = np.clip((v - U_A) / (U_B - U_A), 0, 1)
    dark = ndtr((v - MU_D) / SIGMA_D)
    cumulative: NDArray[np.float64] = omega_1 * bright + omega_2 * mild + omega_3 * dark
    # The layers' tails beyond 0 and 255 are cut off: that is the paper's Z.
    cumulative -= cumulative[0]
    cumulative /= cumulative[-1]
    return cumulative


def pencil_texture(height: int, width: int, contrast: float = 1.0) -> NDArray[np.float64]:
    """Return H, (height, width) in (0, 1), mean 0.7 and deviation 0.1 * contrast."""
    y, x = np.arange(height) % TILE_SIZE, np.arange(width) % TILE_SIZE
    relief = _texture_tile()[y[:, None], x]
    return np.clip(TEXTURE_MEAN - TEXTURE_DEVIATION * contrast * relief, 0.05, 0.95)


@functools.cache
def _texture_tile() -> NDArray[np.float64]:
    """Make a tile of graphite of mean 0 and deviation 1, more is darker; opposite sides fit."""
    # The legacy generator, since its stream is frozen for ever.
    random = np.random.RandomState(2012)
    y, x = scipy.fft.fftfreq(TILE_SIZE)[:, None], scipy.fft.rfftfreq(TILE_SIZE)
    strokes = np.zeros((TILE_SIZE, TILE_SIZE // 2 + 1), np.complex128)
    for direction in np.deg2rad(np.linspace(110, 160, 16)):
        along = x * math.cos(direction) + y * math.sin(direction)
        across = y * math.cos(direction) - x * math.sin(direction)
        # 40 px long with ends that fade over 4, half a pixel wide.
        stroke = (
            np.sinc(40 * along) * _gaussian_spectrum(4 * along) * _gaussian_spectrum(0.55 * across)
        )
        starts = (random.random_sample((TILE_SIZE, TILE_SIZE)) < 0.004) * random.random_sample(
            (TILE_SIZE, TILE_SIZE)
        )
        strokes += _fourier(starts) * stroke
    tooth = _fourier(random.standard_normal((TILE_SIZE, TILE_SIZE)))
    tooth *= _gaussian_spectrum(0.8 * np.hypot(x, y)) * (1 - _gaussian_spectrum(3 * np.hypot(x, y)))
    # Nothing is left that is coarse enough for the eye to find again a tile further on.
    strokes *= 1 - _gaussian_spectrum(12 * np.hypot(x, y))
    relief = _standardised_plane(strokes) + 0.6 * _standardised_plane(tooth)
    return _standardise(np.clip(relief / relief.std(), -2, 3))


def _gaussian_spectrum(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the spectrum of a Gaussian of deviation 1."""
    spectrum: NDArray[np.float64] = np.exp(-2 * (np.pi * frequency) ** 2)
    return spectrum


def _fourier(plane: NDArray[np.float64]) -> NDArray[np.complex128]:
    spectrum: NDArray[np.complex128] = scipy.fft.rfft2(plane, workers=thread_count())
    return spectrum


def _standardised_plane(spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return the plane of a spectrum, of mean 0 and deviation 1."""
    return _standardise(
        scipy.fft.irfft2(spectrum, s=(TILE_SIZE, TILE_SIZE), workers=thread_count())
    )


def _standardise(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    centred: NDArray[np.float64] = plane - plane.mean()
    centred /= centred.std()
    return centred


def pencil_shading(
    J: NDArray[np.float64], H: NDArray[np.float64], theta: float
) -> NDArray[np.float64]:
    """Return T = H^beta, where beta has least |beta ln H - ln J|^2 + theta |grad beta|^2."""
    log_H = np.log(H)
    log_J = np.log(np.maximum(J, 1 / 255))
    spring = np.full(J.shape, theta)
    beta = solve(log_H**2, spring, spring, log_H * log_J, rtol=1e-6)
    T: NDArray[np.float64] = np.exp(beta * log_H)
    return T
