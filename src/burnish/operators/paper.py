"""The ten operators of Chen, Xu and Koltun 2017.

Fast Image Processing with Fully-Convolutional Networks, https://doi.org/10.1109/ICCV.2017.273.
"""

from functools import partial

from burnish.operators.operator import Operator, Paper, Symmetry
from burnish.params import ColourParam, FileParam, Param

# A parameter with a logarithmic scale.
LogParam = partial(Param, scale="log")

CHANNELS: frozenset[Symmetry] = frozenset({"channel permutation"})
CHANNELS_AND_INVERSION: frozenset[Symmetry] = CHANNELS | {"inversion"}

# Parameters of several dehazing operators.
AIRLIGHT = ColourParam(
    "airlight",
    "is the colour of the haze, as in a distant part of the photo",
    default_text="estimated from the photo",
)
OMEGA = Param("omega", "removes more of the haze", 0.95, low=0.0, high=1.0, off=0.0)
PATCH = Param(
    "patch",
    "treats fewer colours as haze",
    15,
    low=1,
    high=63,
    unit="px",
    integer=True,
    size_power=0.5,
)

_OPERATORS = (
    Operator(
        name="l0-smoothing",
        title="L0 smoothing",
        summary="Flattens texture and noise, keeps the strongest edges sharp",
        keywords=("smooth", "flatten", "cartoon", "poster", "abstract", "simplify"),
        function="burnish.operators.l0_smoothing:l0_smoothing",
        symmetries=CHANNELS_AND_INVERSION,
        params=(
            LogParam(
                "lambda", "leaves fewer edges and larger flat areas", 0.02, low=0.002, high=0.2
            ),
            LogParam(
                "kappa", "makes the operator faster and its result coarser", 2.0, low=1.05, high=8.0
            ),
        ),
        paper=Paper(
            title="Image Smoothing via L0 Gradient Minimization",
            authors="Li Xu, Cewu Lu, Yi Xu, Jiaya Jia",
            venue="ACM Transactions on Graphics 30(6), 2011",
            doi="10.1145/2070781.2024208",
        ),
    ),
    Operator(
        name="rudin-osher-fatemi",
        title="Total variation (ROF)",
        summary="Smooths into flat areas with sharp borders between them",
        keywords=("denoise", "noise", "grain", "smooth", "tv", "total-variation"),
        function="burnish.operators.rudin_osher_fatemi:rudin_osher_fatemi",
        symmetries=CHANNELS_AND_INVERSION,
        params=(LogParam("lambda", "keeps more detail", 10.0, low=2.0, high=100.0, size_power=-1),),
        paper=Paper(
            title="Nonlinear Total Variation Based Noise Removal Algorithms",
            authors="Leonid I. Rudin, Stanley Osher, Emad Fatemi",
            venue="Physica D 60(1-4), 1992",
            doi="10.1016/0167-2789(92)90242-F",
        ),
    ),
    Operator(
        name="tv-l1",
        title="Total variation with an L1 data term",
        summary="Removes small objects whatever their contrast, keeps the contrast of the rest",
        keywords=("smooth", "denoise", "noise", "speckle", "tv", "total-variation", "clean"),
        function="burnish.operators.tv_l1:tv_l1",
        symmetries=CHANNELS_AND_INVERSION,
        params=(
            LogParam("lambda", "keeps smaller objects", 0.3, low=0.1, high=2.0, size_power=-1),
        ),
        paper=Paper(
            title="Aspects of Total Variation Regularized L1 Function Approximation",
            authors="Tony F. Chan, Selim Esedoglu",
            venue="SIAM Journal on Applied Mathematics 65(5), 2005",
            doi="10.1137/040604297",
        ),
    ),
    Operator(
        name="relative-total-variation",
        title="Structure from texture by relative total variation",
        summary="Removes texture and keeps the structure under it",
        keywords=("texture", "smooth", "mosaic", "fabric", "halftone", "descreen"),
        function="burnish.operators.relative_total_variation:relative_total_variation",
        symmetries=CHANNELS,
        params=(
            LogParam("lambda", "smooths more", 0.01, low=0.001, high=0.1, size_power=1),
            LogParam("sigma", "removes coarser texture", 3.0, low=0.5, high=8.0, unit="px"),
            LogParam("sharpness", "leaves softer edges", 0.02, low=0.001, high=0.1),
        ),
        paper=Paper(
            title="Structure Extraction from Texture via Relative Total Variation",
            authors="Li Xu, Qiong Yan, Yang Xia, Jiaya Jia",
            venue="ACM Transactions on Graphics 31(6), 2012",
            doi="10.1145/2366145.2366158",
        ),
    ),
    Operator(
        name="multiscale-tone",
        title="Multi-scale tone manipulation",
        summary="Boosts contrast at three scales by edge-preserving weighted least squares, "
        "without halos",
        keywords=("contrast", "tone", "hdr", "tone-mapping", "punch", "wls"),
        function="burnish.operators.multiscale_tone:multiscale_tone",
        params=(
            Param("fine", "sharpens texture", 1.0, low=0.0, high=3.0, off=0.0),
            Param("medium", "brings out shapes", 1.0, low=0.0, high=3.0, off=0.0),
            Param("coarse", "raises overall contrast", 1.0, low=0.0, high=3.0, off=0.0),
        ),
        paper=Paper(
            title="Edge-Preserving Decompositions for Multi-Scale Tone and Detail Manipulation",
            authors="Zeev Farbman, Raanan Fattal, Dani Lischinski, Richard Szeliski",
            venue="ACM Transactions on Graphics 27(3), 2008",
            doi="10.1145/1360612.1360666",
        ),
    ),
    Operator(
        name="local-laplacian",
        title="Local Laplacian detail",
        summary="Strengthens or smooths detail of every size, without halos at edges",
        keywords=("detail", "clarity", "sharpen", "structure", "texture", "hdr", "enhance"),
        function="burnish.operators.local_laplacian:local_laplacian",
        long_range=True,
        octaves=True,
        params=(
            LogParam(
                "detail",
                "strengthens detail; below 1 smooths it, and 1 changes nothing",
                3.0,
                low=0.2,
                high=6.0,
                off=1.0,
            ),
            LogParam(
                "sigma",
                "treats larger differences as detail and fewer as edges",
                0.1,
                low=0.02,
                high=0.5,
            ),
            LogParam(
                "beta",
                "stretches the contrast of edges; below 1 compresses it",
                1.0,
                low=0.2,
                high=2.0,
                off=1.0,
            ),
        ),
        paper=Paper(
            title="Local Laplacian Filters: Edge-aware Image Processing with a Laplacian Pyramid",
            authors="Sylvain Paris, Samuel W. Hasinoff, Jan Kautz",
            venue="ACM Transactions on Graphics 30(4), 2011",
            doi="10.1145/2010324.1964963",
        ),
    ),
    Operator(
        name="photographic-style",
        title="Photographic style",
        summary="Makes a black-and-white photo with the tones and the texture of another",
        keywords=("black-and-white", "bw", "monochrome", "grey", "gray", "style", "dramatic"),
        function="burnish.operators.photographic_style:photographic_style",
        uses_global_statistics=True,
        grey=True,
        params=(
            FileParam(
                "reference",
                "is the photo whose tones and texture are imitated",
                kind="photo",
                default_text="a bundled photo",
                sample="style-reference.jpg",
            ),
            Param(
                "iterations",
                "brings the texture closer to that of the reference photo, and takes longer",
                4,
                low=1,
                high=10,
                integer=True,
            ),
            LogParam(
                "gain", "strengthens faint texture more, and noise with it", 2.0, low=1.0, high=8.0
            ),
        ),
        paper=Paper(
            title="Fast Local Laplacian Filters: Theory and Applications",
            authors="Mathieu Aubry, Sylvain Paris, Samuel W. Hasinoff, Jan Kautz, Frédo Durand",
            venue="ACM Transactions on Graphics 33(5), 2014",
            doi="10.1145/2629645",
        ),
    ),
    Operator(
        name="dark-channel-dehazing",
        title="Dark channel dehazing",
        summary="Removes haze, estimated from the darkest pixel of each patch",
        keywords=("dehaze", "haze", "fog", "mist", "smog"),
        function="burnish.operators.dark_channel_dehazing:dark_channel_dehazing",
        measure_function="burnish.operators.dark_channel_dehazing:measure_airlight",
        uses_global_statistics=True,
        symmetries=CHANNELS,
        params=(
            AIRLIGHT,
            OMEGA,
            PATCH,
        ),
        paper=Paper(
            title="Single Image Haze Removal Using Dark Channel Prior",
            authors="Kaiming He, Jian Sun, Xiaoou Tang",
            venue="IEEE Transactions on Pattern Analysis and Machine Intelligence 33(12), 2011",
            doi="10.1109/TPAMI.2010.168",
        ),
    ),
    Operator(
        name="nonlocal-dehazing",
        title="Non-local dehazing",
        summary="Removes haze, estimated from the lines that a scene's colours form in RGB space",
        keywords=("dehaze", "haze", "fog", "mist", "smog"),
        function="burnish.operators.nonlocal_dehazing:nonlocal_dehazing",
        measure_function="burnish.operators.nonlocal_dehazing:measure_airlight",
        uses_global_statistics=True,
        params=(
            AIRLIGHT,
            LogParam(
                "lambda", "makes the transmission smoother", 0.1, low=0.01, high=1.0, size_power=1
            ),
            LogParam(
                "gamma",
                "assumes a steeper tone curve of the photo; 1 changes nothing",
                1.0,
                low=0.5,
                high=3.0,
            ),
        ),
        paper=Paper(
            title="Non-Local Image Dehazing",
            authors="Dana Berman, Tali Treibitz, Shai Avidan",
            venue="IEEE Conference on Computer Vision and Pattern Recognition, 2016",
            doi="10.1109/CVPR.2016.185",
        ),
    ),
    Operator(
        name="pencil-drawing",
        title="Pencil drawing",
        summary="Draws contours in straight strokes over shading in graphite, in grey",
        keywords=("sketch", "pencil", "drawing", "draw", "graphite"),
        function="burnish.operators.pencil_drawing:pencil_drawing",
        uses_global_statistics=True,
        grey=True,
        params=(
            LogParam(
                "length",
                "draws straighter, more sweeping contours",
                16.0,
                low=1.0,
                high=100.0,
                unit="px",
            ),
            LogParam("width", "draws broader contours", 2.0, low=1.5, high=8.0, unit="px"),
            Param("gamma-s", "draws darker contours", 1.0, low=0.0, high=4.0),
            Param("omega-1", "leaves more of the paper bright", 76.0, low=1.0, high=100.0),
            Param("omega-2", "shades more of the paper in mid-tones", 22.0, low=0.0, high=100.0),
            Param("omega-3", "shades more of the paper in deep tones", 2.0, low=0.0, high=100.0),
            LogParam("theta", "draws softer outlines of shade", 0.2, low=0.01, high=10.0),
            Param(
                "texture", "shows more of the pencil's marks in the shade", 1.0, low=0.0, high=2.0
            ),
        ),
        paper=Paper(
            title="Combining Sketch and Tone for Pencil Drawing Production",
            authors="Cewu Lu, Li Xu, Jiaya Jia",
            venue="Non-Photorealistic Animation and Rendering (NPAR) 2012",
            doi="10.2312/PE/NPAR/NPAR12/065-073",
        ),
    ),
)

PAPER_OPERATORS = {operator.name: operator for operator in _OPERATORS}
