"""Network: the base class of all networks, with the properties that a model's card states."""

import copy
from typing import Literal, Self

import torch
from torch import Tensor, nn

# The statistics by which normalisers normalise:
# "instance": those of each image, also in use, as in the code of the CAN paper's authors. Such a
#             network cannot be tiled.
# "batch": those of the batch, while running averages are kept, at the beginning of a training.
# "frozen": the running averages, which makes the normaliser part of the convolution, at the end of
#           a training and in model files.
NormMode = Literal["instance", "batch", "frozen"]

COLOURS = 3

# Part of the names of the conditioning parameters. They have no effect at the sliders' defaults.
CONDITIONING = "conditioning."


class Network(nn.Module):
    """A function from image to image with a bounded receptive field.

    Attributes
    ----------
    size_multiple : height and width must be multiples of this, px
    halo : the number of pixels to each side that an output pixel can depend on
    macs_per_pixel : multiply-adds for a pixel, with folded normalisers and modulation, rounded up
    peak_activations_per_pixel : the most values in memory for a pixel, except for the image
        itself, rounded up
    num_sliders : the number of parameter values that are inputs
    guided : a guide is an input, the operator's output at a lower resolution, enlarged to the
        image's size
    thumbnail_size : side of the image's thumbnail that is an input, px; 0 for none. With it, the
        coordinates of each block of `size_multiple` pixels are an input

    Shape: image (N, 3, H, W) RGB in [0, 1], then `context_inputs`: `guide` (N, 3, H, W), `params`
    (1, num_sliders, 1, 1) in their own units, `thumbnail` (N, 3, S, S), and `coords`
    (N, H / size_multiple, W / size_multiple, 2), see `burnish.runtime.thumbnail` -> (N, 3, H, W)
    """

    size_multiple: int = 1
    halo: int
    macs_per_pixel: int
    peak_activations_per_pixel: int
    num_sliders: int = 0
    guided: bool = False
    thumbnail_size: int = 0

    def set_norm_mode(self, mode: NormMode) -> Self:
        """Set the statistics of all normalisers; does nothing for a network without any."""
        return self

    def untrained(self, seed: int) -> Self:
        """Return a network of the same shape with the random weights of an untrained one."""
        fresh = copy.deepcopy(self)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            # From the inside to the outside, since a module resets what it overrides.
            for module in reversed(list(fresh.modules())):
                if callable(reset := getattr(module, "reset_parameters", None)):
                    reset()
        return fresh.requires_grad_(True)

    def set_trainable(self, *, sliders: bool) -> None:
        """Make either the conditioning parameters trainable or all others."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_((CONDITIONING in name) == sliders)

    @property
    def context_inputs(self) -> list[str]:
        """The names of the inputs after the image, in order."""
        names = ["guide"] * self.guided + ["params"] * bool(self.num_sliders)
        return names + ["thumbnail", "coords"] * bool(self.thumbnail_size)

    @property
    def coords_block(self) -> int:
        """Side of the blocks whose coordinates are an input, px; 0 without a thumbnail."""
        return self.size_multiple if self.thumbnail_size else 0

    def __call__(self, image: Tensor, *context: Tensor) -> Tensor:
        """Run the network; see the class for shapes."""
        output: Tensor = super().__call__(image, *context)
        return output
