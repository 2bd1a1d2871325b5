"""Verify an exported model: its output against the network's, and the numbers on its card."""

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import nn

from burnish.errors import ModelError
from burnish.modelfile.card import COORDS, INPUT, OUTPUT, PARAMS, Card
from burnish.modelfile.graph_costs import graph_costs
from burnish.modelfile.receptive_field import receptive_field

# Convolutions of torch and ONNX Runtime differ by about 1e-6, because they sum in another order.
TOLERANCE = 1e-4

# Batch, rows and columns of blocks: one block, odd numbers, and more than most halos.
_TEST_SIZES = ((1, 1, 1), (2, 2, 3), (1, 17, 31), (1, 40, 9))


def verify_card(network: nn.Module, card: Card, model: ModelProto, filename: str) -> None:
    """Check the numbers on a card against the network and its graph.

    Raises
    ------
    ModelError : a number differs from the measured one
    """
    costs = graph_costs(model, card.size_multiple, filename)
    measured = {
        "halo": receptive_field(model, card.size_multiple, card.halo, filename),
        "macs_per_pixel": costs.macs_per_pixel,
        "peak_activations_per_pixel": costs.peak_activations_per_pixel,
        "parameter_count": sum(parameter.numel() for parameter in network.parameters()),
    }
    divisors = [n for n in range(1, card.size_multiple) if card.size_multiple % n == 0]
    smaller = next((n for n in divisors if _accepts(network, card, n)), None)
    measured["size_multiple"] = smaller or card.size_multiple
    for field, value in measured.items():
        if getattr(card, field) != value:
            raise ModelError(
                f"card of {card.name}, {field}",
                expected=str(value),
                got=str(getattr(card, field)),
                remedy="state the network's own number",
            )


def verify_output(data: bytes, network: nn.Module, card: Card) -> None:
    """Check that a model file computes the same as its network, and that its halo is enough.

    Raises
    ------
    ModelError : the outputs differ, or a pixel depends on another one beyond the halo
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    _check_outputs(session, network, card)
    _check_halo(session, card)


def random_inputs(
    card: Card, size: tuple[int, int, int], generator: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Return random inputs of a model, by name, with its sliders within their ranges.

    Parameters
    ----------
    size : batch, rows and columns of blocks
    """
    batch, rows, columns = size
    shape = (batch, 3, rows * card.size_multiple, columns * card.size_multiple)
    inputs = {INPUT: generator.random(shape, dtype=np.float32)}
    for name, sizes in card.context_shapes.items():
        inputs[name] = generator.random((1, *sizes), dtype=np.float32)
    for index, slider in enumerate(card.sliders):
        fraction = float(inputs[PARAMS][0, index, 0, 0])
        inputs[PARAMS][0, index] = slider.as_param().at_fraction(fraction)
    if card.coords:
        inputs[COORDS] = 2 * generator.random((1, rows, columns, 2), dtype=np.float32) - 1
    return inputs


def _accepts(network: nn.Module, card: Card, side: int) -> bool:
    """Return whether a network accepts a square image of this side."""
    image = torch.zeros(1, 3, side, side)
    context = [torch.ones(1, *shape) for shape in card.context_shapes.values()]
    if card.coords:
        context.append(torch.zeros(1, 1, 1, 2))
    try:
        with torch.no_grad():
            return bool(network(image, *context).shape == image.shape)
    except RuntimeError:
        return False


def _check_outputs(session: onnxruntime.InferenceSession, network: nn.Module, card: Card) -> None:
    generator = np.random.default_rng(0)
    for size in _TEST_SIZES:
        inputs = random_inputs(card, size, generator)
        (output,) = session.run([OUTPUT], inputs)
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, inputs.values())).numpy()
        difference = float(np.abs(output - expected).max())
        if not difference <= TOLERANCE:  # NaN fails too
            raise ModelError(
                card.name,
                f"the exported graph differs from the network by {difference:g} at "
                f"{output.shape[3]} x {output.shape[2]} px",
                "report the network: its export is wrong",
            )


def _check_halo(session: onnxruntime.InferenceSession, card: Card) -> None:
    """Check that a block stays the same when everything beyond its halo changes."""
    block = card.size_multiple
    start = block * -(-(card.halo + 64) // block)
    blocks = 2 * (start // block) + 1
    generator = np.random.default_rng(1)
    inputs = random_inputs(card, (1, blocks, blocks), generator)
    changed = random_inputs(card, (1, blocks, blocks), generator)[INPUT]
    padded = slice(start - card.halo, start + block + card.halo)
    changed[..., padded, padded] = inputs[INPUT][..., padded, padded]
    core = slice(start, start + block)
    first, second = (
        session.run([OUTPUT], inputs | {INPUT: image})[0][..., core, core]
        for image in (inputs[INPUT], changed)
    )
    if not np.array_equal(first, second):
        raise ModelError(
            f"card of {card.name}, halo",
            f"the output depends on pixels farther away than {card.halo} px",
            "state the network's whole receptive field, and freeze its normalisation",
        )
