"""Read a model file, and trust none of it before it is judged."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from burnish.errors import ModelError
from burnish.modelfile.card import Card, parse_card
from burnish.modelfile.refusal import reject

MAX_FILE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class ModelFile:
    """A model file that has been judged: its card, its bytes, and what identifies them."""

    card: Card
    graph: bytes
    sha256: str


def read_model(path: str | Path) -> ModelFile:
    """Read and judge a model file. Nothing in it is run.

    Raises
    ------
    ModelError : there is no such file, it is too large, no ONNX, not self-contained, has no valid
        card, or breaks the rules in docs/model-file.md
    """
    filename = str(path)
    return parse_model(_read_bytes(Path(path), filename), filename)


def parse_model(data: bytes, filename: str) -> ModelFile:
    """Judge a model file's bytes; `filename` names them in messages.

    Raises
    ------
    ModelError : see `read_model`
    """
    # onnx takes 130 ms to import: only who opens a model pays.
    from burnish.modelfile import costs, graph
    from burnish.modelfile import io_spec as ends
    from burnish.modelfile import receptive_field as sight

    model = graph.parse_graph(data, filename)
    card = parse_card(graph.card_text(model, filename), filename)
    if ends.context_shapes(model.graph) != card.context_shapes:
        reject(
            filename,
            f"inputs {card.context_shapes}, as its card says",
            f"{ends.context_shapes(model.graph)}",
        )
    if ends.takes_coords(model.graph) != card.coords:
        reject(filename, f"places {card.coords}, as its card says", f"{not card.coords}")
    _check_stated(
        filename,
        f"{card.peak_activations_per_pixel} values a pixel",
        costs.graph_costs(model, card.size_multiple, filename).peak_activations_per_pixel,
        card.peak_activations_per_pixel,
    )
    _check_stated(
        filename,
        f"a halo of {card.halo} px",
        sight.receptive_field(model, card.size_multiple, card.halo, filename),
        card.halo,
    )
    return ModelFile(card, data, sha256(data).hexdigest())


def _check_stated(filename: str, statement: str, measured: int, stated: int) -> None:
    if measured > stated:
        reject(filename, f"{statement}, as its card says", f"a graph that needs {measured}")


def _read_bytes(path: Path, filename: str) -> bytes:
    def unreadable(got: str, cause: Exception | None = None) -> ModelError:
        error = ModelError(
            filename,
            expected=f"a readable .onnx file of at most {MAX_FILE_BYTES // 2**20} MiB",
            got=got,
            remedy="see `burnish models list` for the models there are",
        )
        error.__cause__ = cause
        return error

    try:
        if not path.is_file():  # Also keeps from waiting on a pipe for ever.
            raise unreadable("a folder or device" if path.exists() else "no such file")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise unreadable(f"{size / 2**20:.0f} MiB")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise unreadable(str(error)) from error
