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
from burnish.detection.card import CARD_KEY, INPUT, OUTPUTS, STEPS, DetectorCard
from burnish.detection.training.fuse import fuse
from burnish.detection.training.network import MaskNetwork
from burnish.errors import ModelError, OutputError
from burnish.files import check_free, writing
from burnish.modelfile.weight_dtypes import narrow

# The newest that the tracing exporter writes for torchvision's operators without loss.
OPSET = 17
# Height and width, px: where the export is compared with torch.
_SIZES = ((96, 128), (150, 101))
# Apart by more than this is another network: convolutions add in another order than torch's.
BOX_TOLERANCE = 0.05
TOLERANCE = 2e-3
# So many must agree: a wrong graph has none or few in common.
_AGREE = 0.9

Values = NDArray[Any]


class _Whole(nn.Module):
    """A network with the ends of a detector's graph; labels count from 0."""

    def __init__(self, network: MaskNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found, proposed = self.network.find(image)
        return (
            found.boxes,
            found.labels - 1,
            found.scores,
            found.masks,
            found.chosen,
            proposed.anchors,
            proposed.proposals,
            proposed.objectness,
        )


def export(
    network: MaskNetwork,
    card: DetectorCard,
    path: str | Path,
    *,
    half: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write a detector's file, or write nothing.

    Before the file appears it is read as a stranger's would be, and ONNX Runtime's answers are
    compared with torch's at other sizes than the traced one.

    Parameters
    ----------
    network : is left as it is
    path : ends with ``.onnx``
    half : round kernels to what 16 bits hold, and store them so

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
    check_free(target, overwrite=overwrite)
    frozen = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    fuse(frozen)
    if half:
        _round(frozen)
    whole = _Whole(frozen).eval()  # or the exporter hands it back in training
    model = _graph(whole, card)
    if half:
        narrow(model)
    model.metadata_props.add(key=CARD_KEY, value=card.model_dump_json())
    data = model.SerializeToString(deterministic=True)
    detector_file.parse(data, where=target.name)
    _check_same(data, whole, card)
    with writing(target, overwrite=overwrite) as file:
        file.write(data)
    return target


def _round(network: nn.Module) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim >= 2:
                parameter.copy_(parameter.half().float())


def _graph(whole: _Whole, card: DetectorCard) -> ModelProto:
    content: Any = BytesIO()
    example = torch.rand(3, 128, 160, generator=torch.Generator().manual_seed(0))
    counted = {name: {0: name} for name in (*OUTPUTS, *STEPS)}
    try:
        # The tracer warns of each size that it meets; whether they are free is tested afterwards.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                whole,
                (example,),
                content,
                input_names=[INPUT],
                output_names=[*OUTPUTS, *STEPS],
                dynamic_axes={INPUT: {1: "height", 2: "width"}, **counted},
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


def _check_same(data: bytes, whole: _Whole, card: DetectorCard) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    names = (*OUTPUTS, *STEPS)
    for height, width in _SIZES:
        image = generator.random((3, height, width), dtype=np.float32)
        theirs = dict(zip(names, session.run([*names], {INPUT: image}), strict=True))
        with torch.no_grad():
            found = whole(torch.from_numpy(image))
        ours = {name: part.numpy() for name, part in zip(names, found, strict=True)}
        for parts in (("anchors",), ("proposals", "objectness"), OUTPUTS):
            share = agreement([ours[name] for name in parts], [theirs[name] for name in parts])
            if share < _AGREE:
                raise ModelError(
                    card.name,
                    expected=f"torch's {parts[0]}",
                    got=f"{100 * (1 - share):.0f} % others at {width} x {height} px",
                    remedy="report the network: its export is wrong",
                )


def agreement(ours: list[Values], theirs: list[Values]) -> float:
    """Return the share of rows that two answers have in common, whatever their order.

    Of rows with equal scores either may come first, and overlapping ones then suppress each other
    the other way about: that is rounding, and concerns few.

    Parameters
    ----------
    ours, theirs : boxes (N, 4) px and whatever belongs to each: (N, ...)

    Examples
    --------
    >>> boxes = np.array([[0, 0, 4, 4], [2, 2, 8, 8]], np.float32)
    >>> agreement([boxes], [boxes[::-1]]), agreement([boxes], [boxes[:1]])
    (1.0, 0.5)
    """
    most = max(len(ours[0]), len(theirs[0]))
    if not most:
        return 1.0
    same = np.zeros((len(ours[0]), len(theirs[0])), bool)
    for row, box in enumerate(ours[0]):
        near = np.flatnonzero(np.abs(theirs[0] - box).max(1) <= BOX_TOLERANCE)
        for other in near:
            pairs = zip(ours[1:], theirs[1:], strict=True)
            same[row, other] = all(np.abs(a[row] - b[other]).max() <= TOLERANCE for a, b in pairs)
    return float(min(same.any(1).sum(), same.any(0).sum()) / most)


def recard(source: Path, card: DetectorCard, target: Path, *, overwrite: bool = False) -> Path:
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
    detector_file.parse(data, where=target.name)
    with writing(target, overwrite=overwrite) as file:
        file.write(data)
    return target
