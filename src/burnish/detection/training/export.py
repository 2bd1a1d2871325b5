"""Export a detector with its card as one ONNX file, after checking it against torch."""

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

from burnish.detection import detector_file
from burnish.detection.card import CARD_KEY, INPUT, OUTPUTS, TRACE_OUTPUTS, DetectorCard
from burnish.detection.training.fuse import fuse_batchnorm
from burnish.detection.training.network import MaskRCNNModule
from burnish.errors import ModelError, OutputError
from burnish.files import atomic_write, check_absent
from burnish.modelfile.weights import downcast_weights

# The newest that the tracing exporter writes for torchvision's operators without loss.
OPSET = 17
# Height and width, px: where the export is compared with torch.
_TEST_SIZES = ((96, 128), (150, 101))
# Apart by more than this is another network: convolutions add in another order than torch's.
BOX_TOLERANCE = 0.05
TOLERANCE = 2e-3
# So many must agree: a wrong graph has none or few in common.
_MIN_AGREEMENT = 0.9

Values = NDArray[Any]


class ExportWrapper(nn.Module):
    """A network with the ends of a detector's graph; labels count from 0."""

    def __init__(self, network: MaskRCNNModule) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        detections, proposals = self.network.detect(image)
        return (
            detections.boxes,
            detections.labels - 1,
            detections.scores,
            detections.masks,
            detections.proposal_indices,
            proposals.anchors,
            proposals.proposals,
            proposals.objectness,
        )


def export(
    network: MaskRCNNModule,
    card: DetectorCard,
    path: str | Path,
    *,
    fp16: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write a detector's file, or write nothing.

    Before the file appears it is read as a stranger's would be, and ONNX Runtime's answers are
    compared with torch's at other sizes than the traced one.

    Parameters
    ----------
    network : is left as it is
    path : ends with ``.onnx``
    fp16 : round kernels to what 16 bits hold, and store them so

    Raises
    ------
    OutputError : the file is there already and `overwrite` is not set, or cannot be written
    ModelError : the network cannot be exported, or what was exported is not the same
    """
    target = Path(path)
    if target.suffix.lower() != ".onnx":
        raise OutputError(
            str(target), expected="a name that ends with .onnx", got=target.name, remedy="rename it"
        )
    check_absent(target, overwrite=overwrite)
    frozen = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    fuse_batchnorm(frozen)
    if fp16:
        _round_weights_to_fp16(frozen)
    wrapper = ExportWrapper(frozen).eval()  # or the exporter hands it back in training
    model = _trace_to_onnx(wrapper, card)
    if fp16:
        downcast_weights(model)
    model.metadata_props.add(key=CARD_KEY, value=card.model_dump_json())
    data = model.SerializeToString(deterministic=True)
    detector_file.parse(data, source=target.name)
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
    content: Any = BytesIO()
    example = torch.rand(3, 128, 160, generator=torch.Generator().manual_seed(0))
    dynamic_axes = {name: {0: name} for name in (*OUTPUTS, *TRACE_OUTPUTS)}
    try:
        # The tracer warns of each size that it meets; whether they are free is tested afterwards.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                wrapper,
                (example,),
                content,
                input_names=[INPUT],
                output_names=[*OUTPUTS, *TRACE_OUTPUTS],
                dynamic_axes={INPUT: {1: "height", 2: "width"}, **dynamic_axes},
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # The exporter promises no class of its own.
        raise ModelError(
            card.name,
            expected="a detector that exports for any height and width",
            got=f"{type(error).__name__}: {str(error)[:200]}",
            remedy="keep sizes out of the network's arithmetic",
        ) from error
    model = onnx.load_model_from_string(content.getvalue())
    del model.graph.value_info[:]
    for part in (model, model.graph, *model.graph.node):
        part.ClearField("doc_string")
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
            outputs = wrapper(torch.from_numpy(image))
        torch_outputs = {name: part.numpy() for name, part in zip(names, outputs, strict=True)}
        for parts in (("anchors",), ("proposals", "objectness"), OUTPUTS):
            fraction = matching_fraction(
                [torch_outputs[name] for name in parts], [onnx_outputs[name] for name in parts]
            )
            if fraction < _MIN_AGREEMENT:
                raise ModelError(
                    card.name,
                    expected=f"torch's {parts[0]}",
                    got=f"{100 * (1 - fraction):.0f} % others at {width} x {height} px",
                    remedy="report the network: its export is wrong",
                )


def matching_fraction(ours: list[Values], theirs: list[Values]) -> float:
    """Return the share of rows that two answers have in common, whatever their order.

    Of rows with equal scores either may come first, and overlapping ones then suppress each other
    the other way about: that is rounding, and concerns few.

    Parameters
    ----------
    ours, theirs : boxes (N, 4) px and whatever belongs to each: (N, ...)

    Examples
    --------
    >>> boxes = np.array([[0, 0, 4, 4], [2, 2, 8, 8]], np.float32)
    >>> matching_fraction([boxes], [boxes[::-1]]), matching_fraction([boxes], [boxes[:1]])
    (1.0, 0.5)
    """
    most = max(len(ours[0]), len(theirs[0]))
    if not most:
        return 1.0
    matches = np.zeros((len(ours[0]), len(theirs[0])), bool)
    for row, box in enumerate(ours[0]):
        near = np.flatnonzero(np.abs(theirs[0] - box).max(1) <= BOX_TOLERANCE)
        for other in near:
            pairs = zip(ours[1:], theirs[1:], strict=True)
            matches[row, other] = all(
                np.abs(a[row] - b[other]).max() <= TOLERANCE for a, b in pairs
            )
    return float(min(matches.any(1).sum(), matches.any(0).sum()) / most)


def rewrite_card(
    source: Path, card: DetectorCard, target: Path, *, overwrite: bool = False
) -> Path:
    """Write a detector's file again with another card, and return its path.

    Raises
    ------
    OutputError : the file is there already and `overwrite` is not set, or cannot be written
    ModelError : `source` is no detector's file
    """
    model = onnx.load_model_from_string(detector_file.read(source).graph)
    del model.metadata_props[:]
    model.metadata_props.add(key=CARD_KEY, value=card.model_dump_json())
    data = model.SerializeToString(deterministic=True)
    detector_file.parse(data, source=target.name)
    with atomic_write(target, overwrite=overwrite) as file:
        file.write(data)
    return target
