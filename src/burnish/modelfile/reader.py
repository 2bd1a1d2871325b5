"""Read a model file, and check it before anything in it is run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from burnish.errors import ModelError, UsageError, join_and, join_or, read_error
from burnish.modelfile.base_card import reject
from burnish.modelfile.card import OUTPUT, START, Card
from burnish.modelfile.quality import QUALITIES, STANDARD, Quality

if TYPE_CHECKING:
    from onnx import ModelProto

# Number of the field with the metadata in ONNX's ModelProto.
_METADATA_FIELD = 14
# Protobuf's wire type of a number of fixed size -> bytes.
_FIXED_SIZES = {1: 8, 5: 4}

MAX_FILE_BYTES = 256 * 2**20
MAX_NODES = 1000
OPSETS = range(13, 22)


@dataclass(frozen=True)
class ModelFile:
    """A checked model file.

    Attributes
    ----------
    graph : an ONNX model with the inputs that the card states and the output `result`
    sha256 : digest of the file, hexadecimal
    start : the start network, as a model of its own; its digest is that of its graph
    others : the networks of other qualities, likewise, each with its start network
    """

    card: Card
    graph: bytes
    sha256: str
    start: "ModelFile | None" = None
    others: "Mapping[Quality, ModelFile]" = field(default_factory=dict)

    def at_quality(self, quality: str = STANDARD) -> "ModelFile":
        """Return the network of a quality.

        Raises
        ------
        UsageError : the file has none of this quality
        """
        if quality == STANDARD:
            return self
        if quality not in QUALITIES:
            remedy = "leave it out for standard"
            raise UsageError("quality", f"expected {join_or(QUALITIES)}, got {quality!r}", remedy)
        if quality not in self.others:
            has = join_and(self.card.qualities)
            problem = f"model {self.card.name} has no network of quality {quality}, only {has}"
            raise UsageError("quality", problem, "leave it out, or choose another model")
        return self.others[quality]


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


def read_cached_model(path: Path) -> ModelFile:
    """Read and check a model file, unless it is one of the last few that were read.

    Raises
    ------
    ModelError : see `read_model`
    """
    path = path.resolve()
    stat = path.stat()
    return _read_cached(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _read_cached(path: Path, modified: int, size: int) -> ModelFile:
    # The time and the size are part of the key, so that a changed file is read again.
    return read_model(path)


def parse_model(data: bytes, filename: str) -> ModelFile:
    """Check the bytes of a model file. Messages name it by `filename`.

    Raises
    ------
    ModelError : the bytes break a rule of docs/model-file.md
    """
    from burnish.modelfile.graph_rules import ALLOWED_OPS, check_io, input_shapes
    from burnish.modelfile.onnx_file import check_graph, load_onnx, output_graph, read_card

    model = load_onnx(data, filename)
    card = read_card(model, Card, filename)
    outputs = card.outputs
    max_nodes = MAX_NODES * len(outputs)
    check_graph(model, filename, allowed_ops=ALLOWED_OPS, opsets=OPSETS, max_nodes=max_nodes)
    check_io(model.graph, card, filename)
    digest = sha256(data).hexdigest()
    if len(outputs) == 1:
        _check_network(model, card, filename)
        return ModelFile(card, data, digest)
    files = {}
    for output, network_card in outputs.items():
        part = output_graph(model, output, input_shapes(network_card), filename)
        _check_network(
            part, network_card, filename if output == OUTPUT else f"{filename}, output {output}"
        )
        graph = part.SerializeToString(deterministic=True)
        files[output] = ModelFile(network_card, graph, sha256(graph).hexdigest())
    start = files.get(START)
    others: dict[Quality, ModelFile] = {
        capacity.quality: replace(files[capacity.quality], start=start)
        for capacity in card.capacities
    }
    return ModelFile(card, files[OUTPUT].graph, digest, start, others)


def _check_network(model: "ModelProto", card: Card, filename: str) -> None:
    """Check the operators of a network, and its costs and its halo against the card."""
    from burnish.modelfile.graph_costs import graph_costs
    from burnish.modelfile.graph_rules import check_ops, check_ranges
    from burnish.modelfile.receptive_field import receptive_field

    check_ops(model.graph, filename)
    check_ranges(model.graph, card.ranges, filename)
    costs = graph_costs(model, card.size_multiple, filename)
    radius = receptive_field(model, card.size_multiple, card.halo, filename)
    for name, graph_value in (
        ("peak_activations_per_pixel", costs.peak_activations_per_pixel),
        ("halo", radius),
    ):
        card_value = getattr(card, name)
        if graph_value > card_value:
            reject(filename, f"its card states {name} {card_value}, its graph needs {graph_value}")


def read_card(path: Path) -> Card:
    """Read the card of a model file and nothing else. Unlike `read_model`, it does not need onnx.

    Raises
    ------
    ModelError : the file cannot be read, or has no valid card
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise read_error(path, error, ModelError) from error
    try:
        for field, entry in _protobuf_fields(data):
            if field == _METADATA_FIELD:
                pair = dict(_protobuf_fields(entry))
                if pair[1].decode() == Card.metadata_key:
                    return Card.parse(pair[2].decode(), str(path))
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        reject(str(path), "it is not an ONNX model", error)
    reject(str(path), "it has no card")


def _protobuf_fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of each field; those of numbers are empty.

    Raises
    ------
    IndexError : the data are cut off, or not of protobuf's format
    """
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(data):
        field, wire_type = divmod(varint(), 8)
        size = 0
        if wire_type == 0:
            varint()
        elif wire_type in _FIXED_SIZES:
            position += _FIXED_SIZES[wire_type]
        elif wire_type == 2:
            size = varint()
        else:
            raise IndexError(f"wire type {wire_type}")
        yield field, data[position : position + size]
        position += size
    if position > len(data):
        raise IndexError("cut off")
