"""The trainer of image-to-image networks, and the network that it starts from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from burnish.errors import UsageError
from burnish.networks.conditioning import KernelDelta
from burnish.networks.network import CONDITIONING, Network, NormMode
from burnish.networks.registry import build
from burnish.params import slider_values
from burnish.training.config import TrainConfig
from burnish.training.optimiser import build_optimisers
from burnish.training.sampler import Batch, CropSampler, to_nchw, to_params
from burnish.training.trainer import Trainer

# The modules of sliders and of the thumbnail, which a model of the same network may lack.
_OPTIONAL_PREFIXES = (CONDITIONING, "thumbnail_encoder.", "global_context.")


class NetworkTrainer(Trainer[Network, Batch]):
    """Trains a network that maps an image to an operator's output, with the squared error.

    A network with sliders is first trained without them, at their default values. In the last part
    of the training, `TrainConfig.slider_fraction`, only the weights of the sliders change.

    Parameters
    ----------
    config, network, run_dir, data, device : see `Trainer`
    sampler : draws the batches
    """

    config: TrainConfig

    def __init__(
        self,
        config: TrainConfig,
        network: Network,
        sampler: CropSampler,
        run_dir: Path,
        data: str = "",
        device: torch.device | None = None,
    ) -> None:
        network = network.to(device)  # before the optimisers, which refer to its weights
        optimisers = build_optimisers(config.optimiser, network, config.weight_decay)
        # The statistics of normalisers are averages already.
        super().__init__(
            config, network, optimisers, run_dir, data=data, copied=".norm.", device=device
        )
        self.sampler = sampler

    def batches(self, step: int, phase: int) -> Sequence[Batch]:
        """Return crops at the sliders' default values or, in the last phase, at other values."""
        return [self.sampler.batch_at(step, off_default=phase > 0)]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the mean squared error."""
        batch = self.completed(batch)
        return {"mse": F.mse_loss(self.network(batch.before, *batch.context), batch.after)}

    def completed(self, batch: Batch, run: Callable[..., Tensor] | None = None) -> Batch:
        """Return a batch on the device, with all guides and in memory format channels last.

        Parameters
        ----------
        run : computes the guides [default: the network]
        """
        batch = batch.to(self.device)
        if batch.small_crops:
            batch = self._with_guides(batch, run or self.network)
        return replace(batch, before=batch.before.to(memory_format=torch.channels_last))

    @torch.no_grad()
    def _with_guides(self, batch: Batch, run: Callable[..., Tensor]) -> Batch:
        """Run a network on the small crops of a batch, and add the guides that they yield."""
        guides = batch.context[0].clone()
        for crop in batch.small_crops:
            before, guide = to_nchw([crop.before]), to_nchw([crop.guide])
            # The values of sliders depend on the size of the copy, and differ from crop to crop.
            values = tuple(slider_values(self.sampler.sliders, crop.values, crop.k).values())
            inputs = [before.to(memory_format=torch.channels_last), guide]
            inputs += [to_params(values)] if values else []
            output = run(*(tensor.to(self.device) for tensor in inputs))
            own_guide = crop.to_guide(output[0].permute(1, 2, 0).cpu().numpy())
            guides[crop.index] = to_nchw([own_guide])[0].to(self.device)
        return replace(batch, context=(guides, *batch.context[1:]))

    def begin_step(self, progress: float) -> float:
        """Set the mode of the normalisers and the trainable weights; see `Trainer`."""
        self.network.train()
        mode: NormMode = "batch" if progress < self.config.freeze_norm_at else "frozen"
        self.network.set_norm_mode(mode)
        slider_start = 1 - (self.config.slider_fraction if self.network.num_sliders else 0)
        in_slider_phase = progress >= slider_start
        if in_slider_phase and self.phase == 0:
            # The averaged weights are loaded and kept here, so that quality at the default values
            # equals that of a network without sliders.
            self.network.load_state_dict(self.ema.state)
            self.ema.updates = 0
            self.phase = 1
        self.network.set_trainable(sliders=in_slider_phase)
        if in_slider_phase:
            return (progress - slider_start) / (1 - slider_start)
        return progress / slider_start

    def ema_network(self) -> Network:
        """Return a copy of the network with averaged weights, ready for export."""
        return super().ema_network().set_norm_mode("frozen")


def build_network(config: TrainConfig) -> Network:
    """Return the network of a training with random weights. A guided one sees no thumbnail."""
    return build(
        config.network,
        config.slider_params,
        config.global_context and not config.guided,
        config.grey,
        config.guided,
    )


def init_from(
    network: Network,
    weights: Mapping[str, NDArray[np.float32]],
    model: str,
    option: str = "--init-from",
) -> None:
    """Copy the weights of a model into a network, by name.

    Slider and thumbnail layers are copied only if both have them with equal shapes. Otherwise
    they keep their initial weights, with which they change nothing.

    Parameters
    ----------
    network : changed in place
    weights : see `burnish.modelfile.onnx_file.named_weights`
    model, option : its name, and the option that named it, for error messages

    Raises
    ------
    UsageError : the model lacks one of the network's weights, or has it in another shape
    """
    params = dict(network.named_parameters())
    matching = {
        name: torch.from_numpy(weights[name])
        for name, param in params.items()
        if name in weights and weights[name].shape == tuple(param.shape)
    }
    unmatched = [name for name in params if name not in matching]
    missing = [name for name in unmatched if not name.startswith(_OPTIONAL_PREFIXES)]
    if missing:
        raise UsageError(
            option,
            f"model {model} has no weight {missing[0]} of this --network's shape",
            "choose a model of the same network, or leave it out",
        )
    # A module is copied as a whole or not at all, because half of one would change the output.
    incomplete = tuple(p for p in _OPTIONAL_PREFIXES if any(n.startswith(p) for n in unmatched))
    copied = {name: value for name, value in matching.items() if not name.startswith(incomplete)}
    network.load_state_dict(copied, strict=False)
    # A model file stores the bases as integers, but the optimiser's steps suit their initial scale.
    for module in network.modules():
        if isinstance(module, KernelDelta):
            std = module.basis.weight.detach().square().mean(dim=(0, 2, 3)).sqrt()
            module.rescale(module.init_std / std.clamp_min(torch.finfo(torch.float16).tiny))
