"""Pencil drawing (Lu, Xu, Jia 2012): contours in straight strokes over shading in graphite.

    R = S * T

S are the strokes: each pixel's gradient is assigned to the one of eight directions in which the sum
of the gradients along a line is largest, and is spread along that line. T is the shading: the
photo's histogram is matched to that of drawings, and the result is rendered with a pencil texture H
as T = H^beta, where beta is the number of times that the pencil passes over the paper.
"""

import functools
import math

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.special import ndtr

from burnish.operators import luminance
from burnish.operators.wls_solver import solve

Plane = NDArray[np.floating]

DIRECTIONS = 8
# Responses that are relatively closer than this are ties, won by the first direction; otherwise
# rounding would decide.
TIE_TOLERANCE = 1e-5
# Contours are normalised by the strongest one, but by no less than this, so that noise stays faint.
MIN_CONTOUR = 0.02
# The parameters of the three tonal layers, on a scale of 255 (the paper's learned values).
SIGMA_B = 9.0
U_A, U_B = 105.0, 225.0
MU_D, SIGMA_D = 90.0, 11.0
# Standard deviation, in px, of the blur before the histogram is matched.
TONE_BLUR_SIGMA = 2.0
# Tones are ranked in steps of 16 bits, which ignores rounding.
TONE_LEVELS = 2**16
# Side in px, mean and standard deviation of the periodic texture.
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
    length : length of a stroke, 1 to 100 px; the paper uses 1/30 of the image's side
    width : width of a stroke at half its darkness, 1.5 to 8 px
    gamma_s : exponent of the strokes, 0 to 4; a larger value draws darker contours, and 0 none
    omega_1, omega_2, omega_3 : weights of bright paper, mid-tones and deep shade, not all 0.
        76 : 22 : 2 is light, 52 : 37 : 11 medium, 42 : 29 : 29 dark
    theta : smoothness of beta, 0.01 to 10; a larger value draws softer outlines of shade
    texture : contrast of the pencil's texture, 0 to 2; 0 gives even shade

    Returns
    -------
    ndarray of shape (H, W, 3), in [0, 1]: three equal channels

    Notes
    -----
    The darkness of the strokes is relative to the strongest contour of the photo, and the tones
    depend on its histogram. A part of a photo is therefore drawn differently from the whole.

    Differences from the paper: its formula for the directions has argmin, where argmax is meant.
    Its Gaussian layer is normalised by sqrt(2 pi sigma_d), here by sqrt(2 pi) sigma_d, so that the
    omegas are the layers' fractions. The strokes have soft edges. Contours fainter than 2 % of the
    grey scale are not stretched to black. The texture is generated from noise, as straight marks
    within 25 degrees of a diagonal over the grain of the paper. It starts at the top left of every
    image and repeats every 1024 px, with mean 0.7 and standard deviation 0.1 * texture.

    At the border the image is mirrored, with the edge pixel repeated in the strokes and not in the
    blur of the tones.

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


def stroke_map(I: Plane, length: float, width: float, gamma_s: float) -> Plane:  # noqa: E741
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


def gradient_magnitude(I: Plane) -> Plane:  # noqa: E741
    """Return the length of the forward differences; the last row and column repeat the previous."""
    right, down = np.zeros_like(I), np.zeros_like(I)
    right[:, :-1] = I[:, 1:] - I[:, :-1]
    down[:-1] = I[1:] - I[:-1]
    right[:, -1] = right[:, max(-2, -I.shape[1])]
    down[-1] = down[max(-2, -I.shape[0])]
    G: Plane = np.hypot(right, down)
    return G


def stroke_kernel(length: float, width: float, direction: float) -> NDArray[np.float64]:
    """Return a square kernel of sum 1 with a straight line through its centre.

    The angle `direction`, in radians, is measured from x to y. The profile across the line is cos^2
    with the full width `width` at half maximum. A line with sharp edges would be thinner along the
    axes than along diagonals, so that noise would be drawn as a grid.
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


def _convolve(image: Plane, kernel: NDArray[np.float64]) -> Plane:
    # filter2D correlates, which equals a convolution because the kernel is symmetric. The edge
    # pixel is repeated, since two directions would tie at the border otherwise.
    convolved = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT)
    return np.asarray(convolved, dtype=image.dtype)


def tone_map(I: Plane, omega_1: float, omega_2: float, omega_3: float) -> Plane:  # noqa: E741
    """Return J, (H, W) in [0, 1]: the photo, matched to the histogram of drawings."""
    # The blur also separates the pixels that share one of a photo's 256 levels.
    smooth = cv2.GaussianBlur(I, (0, 0), TONE_BLUR_SIGMA, borderType=cv2.BORDER_REFLECT_101)
    level = np.rint(smooth * TONE_LEVELS).astype(np.int32)
    count = np.bincount(level.ravel())
    rank = (np.cumsum(count) - count / 2) / I.size  # equal pixels share their mean rank
    tones = np.linspace(0, 1, 4096)
    J = np.interp(rank, tone_distribution(tones, omega_1, omega_2, omega_3), tones)
    matched: Plane = J[level]
    return matched


def tone_distribution(
    v: NDArray[np.float64], omega_1: float, omega_2: float, omega_3: float
) -> NDArray[np.float64]:
    """Return the cumulative histogram of drawings at the values v, 0 to 1."""
    v = 255 * v
    bright = np.exp((v - 255) / SIGMA_B)
    mild = np.clip((v - U_A) / (U_B - U_A), 0, 1)
    dark = ndtr((v - MU_D) / SIGMA_D)
    cumulative: NDArray[np.float64] = omega_1 * bright + omega_2 * mild + omega_3 * dark
    # Cut off the layers' tails outside 0 to 255 and normalise, the paper's Z.
    cumulative -= cumulative[0]
    cumulative /= cumulative[-1]
    return cumulative


def pencil_texture(height: int, width: int, contrast: float = 1.0) -> NDArray[np.float64]:
    """Return H, (height, width) in (0, 1), of mean 0.7 and standard deviation 0.1 * contrast."""
    y, x = np.arange(height) % TILE_SIZE, np.arange(width) % TILE_SIZE
    relief = _texture_tile()[y[:, None], x]
    return np.clip(TEXTURE_MEAN - TEXTURE_DEVIATION * contrast * relief, 0.05, 0.95)


@functools.cache
def _texture_tile() -> NDArray[np.float64]:
    """Generate a periodic tile of marks, mean 0 and standard deviation 1; dark is large."""
    # NumPy guarantees the stream of the legacy generator forever.
    random = np.random.RandomState(2012)
    size = (TILE_SIZE, TILE_SIZE)
    y, x = scipy.fft.fftfreq(TILE_SIZE)[:, None], scipy.fft.rfftfreq(TILE_SIZE)
    strokes = np.zeros((TILE_SIZE, TILE_SIZE // 2 + 1), np.complex128)
    for direction in np.deg2rad(np.linspace(110, 160, 16)):
        along = x * math.cos(direction) + y * math.sin(direction)
        across = y * math.cos(direction) - x * math.sin(direction)
        # 40 px long with ends that fade over 4 px, and half a pixel wide.
        stroke = np.sinc(40 * along) * _gaussian_spectrum(4 * along)
        stroke *= _gaussian_spectrum(0.55 * across)
        is_start = random.random_sample(size) < 0.004
        strokes += scipy.fft.rfft2(is_start * random.random_sample(size)) * stroke
    grain = scipy.fft.rfft2(random.standard_normal(size))
    frequency = np.hypot(x, y)
    grain *= _gaussian_spectrum(0.8 * frequency) * (1 - _gaussian_spectrum(3 * frequency))
    # Remove coarse structure, which would make the repetition of the tile visible.
    strokes *= 1 - _gaussian_spectrum(12 * frequency)
    stroke_relief, grain_relief = (
        _standardise(scipy.fft.irfft2(spectrum, s=size)) for spectrum in (strokes, grain)
    )
    relief = stroke_relief + 0.6 * grain_relief
    return _standardise(np.clip(relief / relief.std(), -2, 3))


def _gaussian_spectrum(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the spectrum of a Gaussian of standard deviation 1."""
    spectrum: NDArray[np.float64] = np.exp(-2 * (np.pi * frequency) ** 2)
    return spectrum


def _standardise(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale to mean 0 and standard deviation 1."""
    centred: NDArray[np.float64] = plane - plane.mean()
    centred /= centred.std()
    return centred


def pencil_shading(J: Plane, H: Plane, theta: float) -> Plane:
    """Return T = H^beta, where beta minimises |beta ln H - ln J|^2 + theta |grad beta|^2."""
    log_H = np.log(H)
    log_J = np.log(np.maximum(J, 1 / 255))
    smoothness = np.full(J.shape, theta)
    beta = solve(log_H**2, smoothness, smoothness, log_H * log_J, rtol=1e-6)
    T: Plane = np.exp(beta * log_H)
    return T
