"""The built-in operators by name; the command line, API, cards and docs derive from them."""

import difflib
from collections.abc import Iterable

from burnish.errors import did_you_mean, join_or
from burnish.operators.operator import Operator, Paper
from burnish.operators.paper import (
    AIRLIGHT,
    CHANNELS,
    CHANNELS_AND_INVERSION,
    OMEGA,
    PAPER_OPERATORS,
    PATCH,
    LogParam,
)
from burnish.params import FileParam, Param

# Further operators, which are popular and slow.
_FURTHER_OPERATORS = (
    Operator(
        name="dark-channel-guided",
        title="Dark channel dehazing, guided filter",
        summary="Removes haze quickly, with the guided filter",
        keywords=("dehaze", "haze", "fog", "mist", "smog"),
        function="burnish.operators.dark_channel_guided:dark_channel_guided",
        measure_function="burnish.operators.dark_channel_dehazing:measure_airlight",
        uses_global_statistics=True,
        symmetries=CHANNELS,
        params=(
            AIRLIGHT,
            OMEGA,
            PATCH,
            LogParam(
                "radius",
                "follows edges over a larger window",
                60,
                low=2,
                high=200,
                unit="px",
                integer=True,
            ),
            LogParam("epsilon", "follows faint edges less", 0.001, low=1e-06, high=0.1),
        ),
        paper=Paper(
            title="Guided Image Filtering",
            authors="Kaiming He, Jian Sun, Xiaoou Tang",
            venue="IEEE Transactions on Pattern Analysis and Machine Intelligence 35(6), 2013",
            doi="10.1109/TPAMI.2012.213",
        ),
    ),
    Operator(
        name="non-local-means",
        title="Non-local means",
        summary="Removes noise and keeps repeated structures: texture, edges, lines",
        keywords=("denoise", "noise", "grain", "nlm"),
        function="burnish.operators.non_local_means:non_local_means",
        symmetries=CHANNELS_AND_INVERSION,
        params=(
            LogParam(
                "h", "removes stronger noise, and fine texture with it", 0.03, low=0.005, high=0.3
            ),
            Param(
                "patch-radius",
                "compares larger patches, which is more reliable but keeps less detail",
                3,
                low=1,
                high=5,
                unit="px",
                integer=True,
            ),
            Param(
                "search-radius",
                "searches for similar patches farther away, which takes longer",
                10,
                low=1,
                high=21,
                unit="px",
                integer=True,
            ),
        ),
        paper=Paper(
            title="A Non-Local Algorithm for Image Denoising",
            authors="Antoni Buades, Bartomeu Coll, Jean-Michel Morel",
            venue="IEEE Conference on Computer Vision and Pattern Recognition, 2005",
            doi="10.1109/CVPR.2005.38",
        ),
    ),
    Operator(
        name="bilateral",
        title="Bilateral filter",
        summary="Smooths within areas of similar colour, not across their edges",
        keywords=("smooth", "denoise", "noise", "skin"),
        function="burnish.operators.bilateral:bilateral",
        symmetries=CHANNELS_AND_INVERSION,
        params=(
            LogParam(
                "sigma-space",
                "smooths over larger areas, which takes longer",
                6.0,
                low=1.0,
                high=16.0,
                unit="px",
            ),
            LogParam("sigma-range", "smooths across stronger edges", 0.08, low=0.02, high=0.5),
        ),
        paper=Paper(
            title="Bilateral Filtering for Gray and Color Images",
            authors="Carlo Tomasi, Roberto Manduchi",
            venue="IEEE International Conference on Computer Vision, 1998",
            doi="10.1109/ICCV.1998.710815",
        ),
    ),
    Operator(
        name="rolling-guidance",
        title="Rolling guidance",
        summary="Removes detail by its size and keeps large edges sharp",
        keywords=("smooth", "texture", "detail"),
        function="burnish.operators.rolling_guidance:rolling_guidance",
        symmetries=CHANNELS_AND_INVERSION,
        params=(
            LogParam("sigma-space", "removes larger detail", 3.0, low=1.0, high=10.0, unit="px"),
            LogParam("sigma-range", "leaves edges softer", 0.05, low=0.01, high=0.3),
            Param("iterations", "brings edges back more fully", 4, low=1, high=8, integer=True),
        ),
        paper=Paper(
            title="Rolling Guidance Filter",
            authors="Qi Zhang, Xiaoyong Shen, Li Xu, Jiaya Jia",
            venue="European Conference on Computer Vision, 2014",
            doi="10.1007/978-3-319-10578-9_53",
        ),
    ),
    Operator(
        name="kuwahara",
        title="Oil painting (Kuwahara)",
        summary="Paints in patches of flat colour that follow the edges, like brush strokes in oil",
        keywords=("oil", "painting", "painterly", "cartoon", "brush", "artistic", "watercolour"),
        function="burnish.operators.kuwahara:kuwahara",
        symmetries=CHANNELS_AND_INVERSION,
        params=(
            LogParam("radius", "paints with a broader brush", 4.0, low=1.0, high=16.0, unit="px"),
            Param("q", "makes outlines sharper", 8.0, low=1.0, high=16.0),
            LogParam("alpha", "makes patches rounder", 1.0, low=0.25, high=8.0),
            LogParam("sigma", "makes strokes more parallel", 2.0, low=0.5, high=8.0, unit="px"),
        ),
        paper=Paper(
            title="Image and Video Abstraction by Anisotropic Kuwahara Filtering",
            authors="Jan Eric Kyprianidis, Henry Kang, Jürgen Döllner",
            venue="Computer Graphics Forum 28(7), 2009",
            doi="10.1111/j.1467-8659.2009.01574.x",
        ),
    ),
    Operator(
        name="local-contrast",
        title="Local contrast (CLAHE)",
        summary="Raises low contrast, separately in each part of the photo",
        keywords=("clahe", "contrast", "clarity", "equalise", "histogram"),
        function="burnish.operators.local_contrast:local_contrast",
        uses_global_statistics=True,
        params=(
            LogParam(
                "clip-limit",
                "raises contrast more, and noise with it",
                1.5,
                low=1.0,
                high=8.0,
                off=1.0,
            ),
            LogParam(
                "tiles", "adapts to smaller parts of the photo", 8, low=1, high=32, integer=True
            ),
        ),
        paper=Paper(
            title="Adaptive Histogram Equalization and Its Variations",
            authors="Stephen M. Pizer, E. Philip Amburn, John D. Austin and others",
            venue="Computer Vision, Graphics, and Image Processing 39(3), 1987",
            doi="10.1016/S0734-189X(87)80186-X",
        ),
    ),
    Operator(
        name="multi-scale-retinex",
        title="Multi-scale retinex",
        summary="Brightens shadows and darkens highlights, like an eye that adapts to a scene",
        keywords=("shadows", "brighten", "relight", "hdr", "low-light", "night", "retinex"),
        function="burnish.operators.multi_scale_retinex:multi_scale_retinex",
        uses_global_statistics=True,
        symmetries=CHANNELS,
        params=(
            LogParam("small", "shows coarser detail", 15.0, low=2.0, high=1000.0, unit="px"),
            LogParam(
                "medium", "evens out light over larger areas", 80.0, low=2.0, high=1000.0, unit="px"
            ),
            LogParam(
                "large", "keeps the tones of larger areas", 250.0, low=2.0, high=1000.0, unit="px"
            ),
            LogParam(
                "clipped",
                "stretches contrast more and clips more pixels to black and white",
                1.0,
                low=0.01,
                high=5.0,
                unit="%",
            ),
            Param(
                "amount",
                "gives more weight to the retinex against the photo",
                0.5,
                low=0.0,
                high=1.0,
                off=0.0,
            ),
        ),
        paper=Paper(
            title="A Multiscale Retinex for Bridging the Gap Between Color Images and the Human "
            "Observation of Scenes",
            authors="Daniel J. Jobson, Zia-ur Rahman, Glenn A. Woodell",
            venue="IEEE Transactions on Image Processing 6(7), 1997",
            doi="10.1109/83.597272",
        ),
    ),
    Operator(
        name="lut",
        title="Colour lookup table (LUT)",
        summary="Changes colours by the lookup table of a .cube file",
        keywords=("look", "film", "preset", "grading", "cube", "colour-grading"),
        function="burnish.operators.lut:apply_lut",
        params=(FileParam("lut", "is the lookup table", kind="cube"),),
    ),
)

OPERATORS = PAPER_OPERATORS | {operator.name: operator for operator in _FURTHER_OPERATORS}


def operators_for(use: str) -> list[str]:
    """Return the names of the operators for a use.

    Examples
    --------
    >>> operators_for("haze")
    ['dark-channel-dehazing', 'nonlocal-dehazing', 'dark-channel-guided']
    >>> operators_for("denoising") == operators_for("noise")
    True
    >>> operators_for("tax return")
    []
    """
    words = {keyword for operator in OPERATORS.values() for keyword in operator.keywords}
    word = "-".join(use.lower().replace("_", " ").split())
    meant = {word} & words or {key for key in words if _same_stem(key, word)}
    meant = meant or set(difflib.get_close_matches(word, words, n=1, cutoff=0.8))
    return [operator.name for operator in OPERATORS.values() if meant & {*operator.keywords}]


def _same_stem(word: str, other: str) -> bool:
    """Return whether two words differ in their endings, such as dehaze and dehazing."""
    shorter = min(len(word), len(other))
    return shorter >= 4 and word[: shorter - 1] == other[: shorter - 1]


def suggest_operators(name: str, choices: Iterable[str]) -> str:
    """Return the remedy for the name of an operator that does not exist.

    Parameters
    ----------
    choices : the names that exist

    Examples
    --------
    >>> suggest_operators("sketch", OPERATORS), suggest_operators("tv-l2", OPERATORS)
    ('try pencil-drawing', 'did you mean tv-l1?')
    """
    if suitable := operators_for(name):
        return f"try {join_or(suitable)}"
    return did_you_mean(name, choices, "see `burnish operators list`")
