"""Read a model file, and check it before anything in it is run."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from burnish.modelfile.card import Card

MAX_FILE_BYTES = 256 * 2**20
MAX_NODES = 1000
OPSETS = range(13, 22)


@dataclass(frozen=True)
class ModelFile:
    """A checked model file.

    Attributes
    ----------
    card : the model's description
    graph : the bytes of the file
    sha256 : of these bytes, hexadecimal
    """

    card: Card
    graph: bytes
    sha256: str


def read_model(path: str | Path) -> ModelFile:
    """Read and check a model file.

    Raises
    ------
    ModelError : the file is missing, unreadable or too large, or breaks a rule of
        docs/model-file.md
    """
    # Importing onnx takes 130 ms, which the command line need not spend.
    from burnish.modelfile.onnx_file import read_bytes

    return parse_model(read_bytes(Path(path), MAX_FILE_BYTES), str(path))


def parse_model(data: bytes, filename: str) -> ModelFile:
    """Check the bytes of a model file.

    Parameters
    ----------
    filename : names the file in messages

    Raises
    ------
    ModelError : the bytes break a rule of docs/model-file.md
    """
    from burnish.modelfile import io_spec, onnx_file
    from burnish.modelfile.allowed_ops import ALLOWED_OPS, check_ops
    from burnish.modelfile.graph_costs import graph_costs
    from burnish.modelfile.receptive_field import receptive_field

    model = onnx_file.load_onnx(data, filename)
    card = onnx_file.read_card(model, Card, filename)
    onnx_file.check_graph(
        model, filename, allowed_ops=ALLOWED_OPS, opsets=OPSETS, max_nodes=MAX_NODES
    )
    io_spec.check_io(model.graph, filename)
    check_ops(model, filename)
    stated_and_found = {
        "context inputs": (card.context_shapes, io_spec.context_shapes(model.graph)),
        "coords": (card.coords, io_spec.takes_coords(model.graph)),
    }
    for name, (stated, found) in stated_and_found.items():
        if stated != found:
            onnx_file.reject(filename, f"its card states {name} {stated}, its graph has {found}")
    costs = graph_costs(model, card.size_multiple, filename)
    stated_and_needed = {
        "peak_activations_per_pixel": (
            card.peak_activations_per_pixel,
            costs.peak_activations_per_pixel,
        ),
        "halo": (card.halo, receptive_field(model, card.size_multiple, card.halo, filename)),
    }
    for name, (stated, needed) in stated_and_needed.items():
        if needed > stated:
            onnx_file.reject(filename, f"its card states {name} {stated}, its graph needs {needed}")
    return ModelFile(card, data, sha256(data).hexdigest())
