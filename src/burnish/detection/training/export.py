"""Export a detector with its card as one ONNX file, and check it against torch."""

import copy
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights

import burnish
from burnish.detection import detector_file
from burnish.detection.detector_file import INPUT, OUTPUTS, TRACE_OUTPUTS, DetectorCard
from burnish.detection.training.detectors import resnet50_mask_rcnn
from burnish.detection.training.network import MaskRCNNModule, fuse_batchnorm
from burnish.detection.training.padding import make_padding_static
from burnish.errors import ModelError, OutputError, UsageError
from burnish.files import atomic_write, check_absent
from burnish.modelfile.onnx_file import downcast_weights, embed_card

# The newest opset that torch's tracing exporter supports for all of torchvision's operators.
OPSET = 17
# The export is compared with torch at these heights and widths, px.
_TEST_SIZES = ((96, 128), (150, 101))
# Two detections match if their boxes differ by at most BOX_TOLERANCE, in px, and their other values
# by at most TOLERANCE. ONNX Runtime and torch sum in different orders.
BOX_TOLERANCE = 0.05
TOLERANCE = 2e-3
# Minimum fraction of matching detections. Those of a wrong graph match rarely or never.
_MIN_AGREEMENT = 0.9

_COCO_WEIGHTS = MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1
# torchvision's names of COCO's category ids from 1 on. Those that COCO does not use are numbered.
RESNET50_CLASSES = tuple(
    f"unused {number}" if name == "N/A" else name
    for number, name in enumerate(_COCO_WEIGHTS.meta["categories"][1:], 1)
)

Values = NDArray[Any]


class ExportWrapper(nn.Module):
    """Maps an image to the outputs of a detector's graph, with labels from 0."""

    def __init__(self, network: MaskRCNNModule) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the values of `OUTPUTS` and `TRACE_OUTPUTS`."""
        detections, proposals = self.network.detect(image)
        return (*detections._replace(labels=detections.labels - 1), *proposals)


def export(
    network: MaskRCNNModule,
    card: DetectorCard,
    path: str | Path,
    *,
    fp16: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write the file of a detector.

    Before the file is written, its bytes are checked as `detector_file.read` does, and ONNX
    Runtime's outputs are compared with torch's at sizes other than the traced one.

    Parameters
    ----------
    network : the network, which is not changed
    path : ends with ``.onnx``
    fp16 : round the weights to 16 bits, and store them as such

    Raises
    ------
    OutputError : the file exists and `overwrite` is not set, or it cannot be written
    ModelError : the network cannot be exported, or the exported network has other outputs
    """
    target = Path(path)
    if target.suffix.lower() != ".onnx":
        raise OutputError(str(target), "the name does not end with .onnx", "rename it")
    check_absent(target, overwrite=overwrite)
    frozen = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    fuse_batchnorm(frozen)
    make_padding_static(frozen)
    if fp16:
        _round_weights_to_fp16(frozen)
    # The exporter restores the mode of the outermost module, so the wrapper needs evaluation mode.
    wrapper = ExportWrapper(frozen).eval()
    model = _trace_to_onnx(wrapper, card)
    if fp16:
        downcast_weights(model)
    data = embed_card(model, card)
    detector_file.check(data, target.name)
    _check_against_torch(data, wrapper, card)
    with atomic_write(target, overwrite=overwrite) as file:
        file.write(data)
    return target


def _round_weights_to_fp16(network: nn.Module) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim >= 2:
                parameter.copy_(parameter.half().float())


def _trace_to_onnx(wrapper: ExportWrapper, card: DetectorCard) -> ModelProto:
    buffer: Any = BytesIO()
    example = torch.rand(3, 128, 160, generator=torch.Generator().manual_seed(0))
    dynamic_axes = {name: {0: name} for name in (*OUTPUTS, *TRACE_OUTPUTS)}
    try:
        # The tracer warns of every size in the code. `_check_against_torch` tests other sizes.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                wrapper,
                (example,),
                buffer,
                input_names=[INPUT],
                output_names=[*OUTPUTS, *TRACE_OUTPUTS],
                dynamic_axes={INPUT: {1: "height", 2: "width"}, **dynamic_axes},
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # the exporter raises many types
        problem = f"it cannot be exported ({type(error).__name__}: {str(error)[:200]})"
        remedy = "keep the network independent of the image's size"
        raise ModelError(card.name, problem, remedy) from error
    model = onnx.load_model_from_string(buffer.getvalue())
    # Remove shapes that the exporter guessed, and paths of source files.
    del model.graph.value_info[:]
    for message in (model, model.graph, *model.graph.node):
        message.ClearField("doc_string")
    return model


def _check_against_torch(data: bytes, wrapper: ExportWrapper, card: DetectorCard) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    names = (*OUTPUTS, *TRACE_OUTPUTS)
    for height, width in _TEST_SIZES:
        image = generator.random((3, height, width), dtype=np.float32)
        onnx_outputs = dict(zip(names, session.run([*names], {INPUT: image}), strict=True))
        with torch.no_grad():
            tensors = wrapper(torch.from_numpy(image))
        torch_outputs = dict(zip(names, [tensor.numpy() for tensor in tensors], strict=True))
        for group in (("anchors",), ("proposals", "objectness"), OUTPUTS):
            fraction = matching_fraction(
                [torch_outputs[name] for name in group], [onnx_outputs[name] for name in group]
            )
            if fraction < _MIN_AGREEMENT:
                percent = f"{100 * (1 - fraction):.0f} %"
                size = f"{width} x {height} px"
                problem = f"{percent} of its {group[0]} at {size} differ from those of torch"
                raise ModelError(card.name, problem, "report this network as a bug")


def matching_fraction(first: list[Values], second: list[Values]) -> float:
    """Return the fraction of rows that two outputs share, in any order.

    Rows with equal scores may come in either order, and may then suppress different rows. This
    affects few rows.

    Parameters
    ----------
    first, second : boxes (N, 4) in px, and further values (N, ...) of each box

    Examples
    --------
    >>> boxes = np.array([[0, 0, 4, 4], [2, 2, 8, 8]], np.float32)
    >>> matching_fraction([boxes], [boxes[::-1]]), matching_fraction([boxes], [boxes[:1]])
    (1.0, 0.5)
    """
    count = max(len(first[0]), len(second[0]))
    if not count:
        return 1.0
    matches = np.zeros((len(first[0]), len(second[0])), bool)
    for row, box in enumerate(first[0]):
        for other in np.flatnonzero(np.abs(second[0] - box).max(1) <= BOX_TOLERANCE):
            differences = [np.abs(a[row] - b[other]) for a, b in zip(first, second, strict=True)]
            matches[row, other] = all(values.max() <= TOLERANCE for values in differences[1:])
    return float(min(matches.any(1).sum(), matches.any(0).sum()) / count)


def rewrite_card(
    source: Path, card: DetectorCard, target: Path, *, overwrite: bool = False
) -> Path:
    """Write a copy of a detector's file with another card, and return its path.

    Raises
    ------
    OutputError : the target exists and `overwrite` is not set, or it cannot be written
    ModelError : `source` is not a valid detector
    """
    _, graph = detector_file.read(source)
    data = embed_card(onnx.load_model_from_string(graph), card)
    detector_file.check(data, target.name)
    with atomic_write(target, overwrite=overwrite) as file:
        file.write(data)
    return target


def export_resnet50(
    weights: Path | None, output: Path, *, download: bool = False, overwrite: bool = False
) -> Path:
    """Write the file of torchvision's Mask R-CNN, and return its path.

    Parameters
    ----------
    weights : a state dict of maskrcnn_resnet50_fpn_v2, for COCO's categories
    download : download torchvision's own weights instead

    Raises
    ------
    UsageError : neither or both of `weights` and `download` are given
    ModelError : the weights cannot be read or downloaded, or belong to another network
    OutputError : the output exists and `overwrite` is not set
    """
    if (weights is None) != download:
        problem = "neither is given" if weights is None else "both are given"
        remedy = "give either a file of weights or --download"
        raise UsageError("WEIGHTS, --download", problem, remedy)
    check_absent(output, overwrite=overwrite)
    network = resnet50_mask_rcnn(len(RESNET50_CLASSES))
    load_weights(network, weights)
    card = DetectorCard.build(
        name="full",
        title="Mask R-CNN of torchvision (maskrcnn_resnet50_fpn_v2)",
        network="full",
        classes=RESNET50_CLASSES,
        # torchvision's min_size and max_size of this network.
        min_size=800,
        max_size=1333,
        parameter_count=sum(parameter.numel() for parameter in network.parameters()),
        metrics=(),
        training={"weights": weights.name if weights else "COCO_V1 of torchvision"},
        description="The 80 categories of COCO. Not measured here.",
        licence="as that of the weights",
        burnish_version=burnish.__version__,
    )
    return export(network, card, output, overwrite=overwrite)


def load_weights(network: MaskRCNNModule, weights: Path | None) -> None:
    """Load weights from a file or, if it is None, from torchvision's server.

    Raises
    ------
    ModelError : the weights cannot be read or downloaded, or belong to another network
    """
    try:
        state: Any = (
            torch.load(weights, weights_only=True, map_location="cpu")
            if weights
            else _COCO_WEIGHTS.get_state_dict(check_hash=True)
        )
        network.load_state_dict(state)
    except Exception as error:  # torch raises many types for a file of another kind
        reason = f"{type(error).__name__}: {str(error)[:160]}"
        raise ModelError(
            str(weights or "torchvision's weights"),
            f"not the weights of torchvision's maskrcnn_resnet50_fpn_v2 ({reason})",
            "give torchvision's own weights, MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1",
        ) from error
