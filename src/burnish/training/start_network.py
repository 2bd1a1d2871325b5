"""The start network, which begins the cascade of a guided network in the operator's place."""

from collections.abc import Sequence
from pathlib import Path

from burnish.errors import UsageError
from burnish.export.weights import fold
from burnish.files import make_folder
from burnish.modelfile.card import Card
from burnish.modelfile.onnx_file import named_weights
from burnish.modelfile.reader import ModelFile, read_model
from burnish.networks.can import CAN
from burnish.networks.network import Network
from burnish.networks.registry import build, network_spec
from burnish.params import Param, slider_values
from burnish.progress import SILENT, Progress
from burnish.training.config import TrainConfig
from burnish.training.guides import start_file
from burnish.training.network_trainer import init_from
from burnish.training.pairs import Pair, write_codes
from burnish.training.validation import ImageNetwork


def read_start_model(path: Path, config: TrainConfig) -> ModelFile:
    """Read the model that the start network of a training begins with, or is.

    A guided model's start network is taken.

    Raises
    ------
    ModelError : the file cannot be read
    UsageError : the model has no start network, or was trained for another operator, other sliders
        or other values
    """
    file = read_model(path)
    file = file.start or file
    card = file.card
    spec = network_spec(card.network)
    is_other = bool(config.start_fraction) and card.network != config.network
    if card.guide is not None or spec is None or not spec.is_unet or is_other:
        problem = "it needs a guide itself" if card.guide else f"its network is {card.network}"
        raise _start_error(card, problem)
    if card.operator != config.operator_name:
        raise _start_error(card, f"its operator is {card.operator}")
    sliders = [param.name for param in card.sliders]
    if sliders != [param.name for param in config.slider_params]:
        raise _start_error(card, f"its sliders are {', '.join(sliders) or 'none'}")
    for param in card.params:
        value = float(str(config.params.get(param.name, "nan")))
        low, high = config.sliders.get(param.name, (value, value))
        trained = (param.low, param.high) if param.slider else (param.value, param.value)
        if not trained[0] <= low <= high <= trained[1]:
            limits = f"{trained[0]:g} to {trained[1]:g}" if param.slider else f"{param.value:g}"
            raise _start_error(card, f"it was trained for {param.name} {limits}")
    load_network(file, grey=config.grey)  # raises an error if the weights do not fit
    return file


def _start_error(card: Card, problem: str) -> UsageError:
    remedy = "choose another model, or leave it out"
    return UsageError("--start", f"model {card.name} does not fit: {problem}", remedy)


def load_network(file: ModelFile, *, grey: bool, option: str = "--start") -> Network:
    """Return the network of a model file, in PyTorch, with folded normalisers.

    Parameters
    ----------
    option : names the file in error messages
    """
    card = file.card
    sliders = [param.as_param() for param in card.sliders]
    weights = named_weights(file.graph)
    guided = card.guide is not None
    # Without a gain for the guide, a network has as many outputs as inputs.
    guide_gain = guided and len(weights["tail.weight"]) > weights["head.weight"].shape[1]
    network = build(
        card.network, sliders, bool(card.thumbnail_size), grey, guided, guide_gain=guide_gain
    )
    network = fold(network.set_norm_mode("frozen"))
    names = network.state_dict().keys()
    if isinstance(network, CAN) and not names <= weights.keys():
        # Files of CANs once had other names for the layers, in the same order.
        weights = dict(zip(names, weights.values(), strict=False))
    init_from(network, weights, card.name, option)
    return network.eval()


def write_start_outputs(
    network: Network,
    sliders: Sequence[Param],
    pairs: Sequence[Pair],
    folder: Path,
    progress: Progress = SILENT,
) -> None:
    """Run the start network on the smaller copies of pairs, and write its outputs.

    Parameters
    ----------
    sliders : parameters whose values are inputs of the network
    folder : receives the files, see `start_file`. A file that exists is left as it is
    progress : receives one task, and is advanced after every pair
    """
    progress.start("running the start network", len(pairs))
    make_folder(folder)
    apply = ImageNetwork(network, [param.name for param in sliders])
    for pair in pairs:
        small = pair.smaller
        while small is not None:
            path = start_file(folder, small)
            if not path.exists():
                values = slider_values(sliders, pair.values, small.size[0] / pair.size[0])
                write_codes(path, apply(small.read()[0], values).clip(0, 1))
            small = small.smaller
        progress.advance()
