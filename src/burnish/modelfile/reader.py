"""Read a model file, and trust none of it before it is judged."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from burnish.errors import ModelError
from burnish.modelfile.card import Card, parse_card
from burnish.modelfile.refusal import refuse

MAX_FILE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class ModelFile:
    """A model file that has been judged: its card, its bytes, and what identifies them."""

    card: Card
    graph: bytes
    sha256: str


def read(path: str | Path) -> ModelFile:
    """Read and judge a model file. Nothing in it is run.

    Raises
    ------
    ModelError : there is no such file, it is too large, no ONNX, not self-contained, has no valid
        card, or breaks the rules in docs/model-file.md
    """
    where = str(path)
    return parse(_bytes(Path(path), where), where)


def parse(data: bytes, where: str) -> ModelFile:
    """Judge a model file's bytes; `where` names them in messages.

    Raises
    ------
    ModelError : see `read`
    """
    # onnx takes 130 ms to import: only who opens a model pays.
    from burnish.modelfile import costs, graph
    from burnish.modelfile import io_spec as ends
    from burnish.modelfile import receptive_field as sight

    model = graph.parse(data, where)
    card = parse_card(graph.card_text(model, where), where)
    if ends.context(model.graph) != card.context:
        refuse(where, f"inputs {card.context}, as its card says", f"{ends.context(model.graph)}")
    if ends.takes_places(model.graph) != card.places:
        refuse(where, f"places {card.places}, as its card says", f"{not card.places}")
    _check_claim(
        where,
        f"{card.activations_per_pixel} values a pixel",
        costs.costs(model, card.multiple, where).activations_per_pixel,
        card.activations_per_pixel,
    )
    _check_claim(
        where,
        f"a halo of {card.halo} px",
        sight.sight(model, card.multiple, card.halo, where),
        card.halo,
    )
    return ModelFile(card, data, sha256(data).hexdigest())


def _check_claim(where: str, claim: str, needed: int, claimed: int) -> None:
    if needed > claimed:
        refuse(where, f"{claim}, as its card says", f"a graph that needs {needed}")


def _bytes(path: Path, where: str) -> bytes:
    def unreadable(got: str, cause: Exception | None = None) -> ModelError:
        error = ModelError(
            where,
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
