"""Read a model file, and check it before anything in it is run."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from burnish.modelfile.card import Card, reject

MAX_FILE_BYTES = 256 * 2**20
MAX_NODES = 1000
OPSETS = range(13, 22)


@dataclass(frozen=True)
class ModelFile:
    """A checked model file: its card, its bytes and their SHA-256 digest, hexadecimal."""

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
    """Check the bytes of a model file. Messages name it by `filename`.

    Raises
    ------
    ModelError : the bytes break a rule of docs/model-file.md
    """
    from burnish.modelfile.graph_costs import graph_costs
    from burnish.modelfile.graph_rules import ALLOWED_OPS, check_io, check_ops
    from burnish.modelfile.onnx_file import check_graph, load_onnx, read_card
    from burnish.modelfile.receptive_field import receptive_field

    model = load_onnx(data, filename)
    card = read_card(model, Card, filename)
    check_graph(model, filename, allowed_ops=ALLOWED_OPS, opsets=OPSETS, max_nodes=MAX_NODES)
    check_io(model.graph, card, filename)
    check_ops(model.graph, filename)
    costs = graph_costs(model, card.size_multiple, filename)
    radius = receptive_field(model, card.size_multiple, card.halo, filename)
    for field, graph_value in (
        ("peak_activations_per_pixel", costs.peak_activations_per_pixel),
        ("halo", radius),
    ):
        card_value = getattr(card, field)
        if graph_value > card_value:
            reject(filename, f"its card states {field} {card_value}, its graph needs {graph_value}")
    return ModelFile(card, data, sha256(data).hexdigest())
