"""The folder of a compression: networks, model files and measurements of its steps.

Each is computed once, so that an interrupted compression resumes.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from burnish.compression.measure import Bench, Figures
from burnish.compression.quantise import RangeList, write_ranges
from burnish.compression.request import CompressionRequest
from burnish.compression.structure import Edit, apply_edits
from burnish.errors import ModelError, UsageError
from burnish.export.onnx_export import check_outputs, export
from burnish.export.weights import round_weights_to_fp16
from burnish.files import atomic_write, make_folder
from burnish.modelfile.card import Card, Precision
from burnish.networks.network import Network
from burnish.training.network_fields import network_fields
from burnish.training.request import slugify
from burnish.training.start_network import load_network


@dataclass(frozen=True)
class Candidate:
    """A network on its way through the pipeline.

    Attributes
    ----------
    network : in float32, also of a candidate for 8-bit integers
    edits : the removals that lead from the original network to this one
    file : its model file
    """

    network: Network
    edits: tuple[Edit, ...]
    file: Path
    figures: Figures
    precision: Precision = "fp32"


class Workspace:
    """Keeps what the steps of a compression compute.

    Parameters
    ----------
    bench : measures the model files

    Raises
    ------
    UsageError : the folder holds another compression
    """

    def __init__(self, request: CompressionRequest, bench: Bench) -> None:
        self.request, self.bench = request, bench
        self.folder = request.run_dir
        self.card = request.file.card
        make_folder(self.folder)
        self._check_request()
        file, grey = request.file, request.config.grey
        self.network = load_network(file, grey=grey, option=str(request.model))
        check_outputs(self.network, file)
        self.start = load_network(file.start, grey=grey) if file.start else None
        self._figures_path = self.folder / "figures.json"
        self._figures: dict[str, dict[str, Any]] = {}
        if self._figures_path.exists():
            self._figures = json.loads(self._figures_path.read_text())

    def original(self) -> Candidate:
        """Return the original network with its measurements."""
        figures = self._measure("original", self.request.model)
        return Candidate(self.network, (), self.request.model, figures)

    def candidate(
        self, name: str, compute: Callable[[], tuple[Network, tuple[Edit, ...]]]
    ) -> Candidate:
        """Return the network of a step, its model file and its measurements.

        Parameters
        ----------
        compute : returns the network, and the edits that lead from the original network to it
        """
        network, edits = self._network(name, compute)
        file = self.folder / f"{name}.onnx"
        if not file.exists():
            export(network, self.draft_card(network), file, start=self.start)
        return Candidate(network, edits, file, self._measure(name, file))

    def int8(
        self, name: str, before: Candidate, compute: Callable[[], tuple[Network, RangeList]]
    ) -> Candidate:
        """Return a network for 8-bit integers, its model file and its measurements.

        Parameters
        ----------
        before : the network that it is made from
        compute : returns the network as it is exported, and the ranges of its features
        """
        file = self.folder / f"{name}.onnx"
        if not file.exists():
            network, ranges = compute()
            draft = self.folder / f"{name}-draft.onnx"
            export(network, self.draft_card(network), draft, start=self.start, overwrite=True)
            write_ranges(draft, ranges)
            draft.replace(file)
        figures = self._measure(name, file, precision="int8")
        return replace(before, file=file, figures=figures, precision="int8")

    def draft_card(self, network: Network) -> Card:
        """Return the card of a changed network, without scores."""
        changes: dict[str, Any] = {"name": slugify(self.request.output.stem), "metrics": ()}
        changes["ranges"] = {}
        changes["network"] = f"{self.card.network}-compressed"
        return self.card.model_copy(update=changes | network_fields(network))

    def _network(
        self, name: str, compute: Callable[[], tuple[Network, tuple[Edit, ...]]]
    ) -> tuple[Network, tuple[Edit, ...]]:
        path = self.folder / f"{name}.pt"
        if path.exists():
            return self._load(path)
        network, edits = compute()
        network = round_weights_to_fp16(copy.deepcopy(network).eval())
        buffer = BytesIO()
        torch.save({"edits": list(edits), "state": network.state_dict()}, buffer)
        with atomic_write(path, overwrite=True) as file:
            file.write(buffer.getbuffer())
        return network, edits

    def _load(self, path: Path) -> tuple[Network, tuple[Edit, ...]]:
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            network = apply_edits(copy.deepcopy(self.network), saved["edits"])
            network.load_state_dict(saved["state"])
        except Exception as error:  # torch raises a dozen kinds of errors for other files
            problem = f"not the network of a step ({type(error).__name__})"
            raise ModelError(str(path), problem, "remove it to compute it again") from error
        return network.eval(), tuple(saved["edits"])

    def _measure(self, name: str, file: Path, precision: Precision = "fp32") -> Figures:
        if name not in self._figures:
            is_original = name == "original"
            figures = self.bench.measure(file, is_original=is_original, precision=precision)
            self._figures[name] = asdict(figures)
            _write_json(self._figures_path, self._figures)
        return Figures(**self._figures[name])

    def _check_request(self) -> None:
        """Check that the folder is new, or that of an equal request."""
        path, current = self.folder / "request.json", self.request.to_json()
        if not path.exists():
            _write_json(path, current)
            return
        saved = json.loads(path.read_text())
        different = [name for name, value in current.items() if saved.get(name) != value]
        if different:
            raise UsageError(
                str(self.folder),
                f"the folder holds another compression, with a different {', '.join(different)}",
                "repeat the command that began it, or choose another --run-dir",
            )


def _write_json(path: Path, values: Any) -> None:
    with atomic_write(path, overwrite=True) as file:
        file.write((json.dumps(values, indent=1) + "\n").encode())
