"""Network: what every student states about itself, whatever it is made of."""

from typing import Literal

from torch import Tensor, nn

# "instance": each picture is normalised by its own statistics, also when the network is applied:
#            what the code of the paper's authors does. Such a network cannot be tiled.
# "batch":   by the statistics of the batch, while running averages are kept: how training starts.
# "frozen":  by the running averages, which makes the normaliser part of the convolution: how
#            training ends, and what is shipped.
NormMode = Literal["instance", "batch", "frozen"]

# What a network's parameters begin with that only change it away from its sliders' defaults.
CONDITIONING_PREFIX = "conditioning."


class Network(nn.Module):
    """A function from picture to picture that looks near, and says how near.

    Attributes
    ----------
    size_multiple : height and width have to be multiples of this, px
    halo : how many pixels to each side a result can depend on
    macs_per_pixel : multiply-adds a pixel, rounded up
    peak_activations_per_pixel : most values a pixel has at once, the picture apart, rounded up
    num_sliders : how many parameter values it takes with each picture
    thumbnail_size : side of the small version of the whole picture that it takes, px; 0 for none. With
        it, it takes where in the whole its blocks of `size_multiple` pixels lie

    Shape: image (N, 3, H, W) RGB in [0, 1]; then, where it takes them, `params` (1, sliders, 1, 1)
    in their own units, `thumbnail_size` (N, 3, side, side) and `places` (N, H / multiple, W / multiple,
    2), see `burnish.runtime.coords` -> (N, 3, H, W)
    """

    size_multiple: int = 1
    halo: int
    macs_per_pixel: int
    peak_activations_per_pixel: int
    num_sliders: int = 0
    thumbnail_size: int = 0

    def set_norm_mode(self, mode: NormMode) -> "Network":
        """Choose what normalisers normalise by; a network without any has nothing to choose."""
        return self

    def set_trainable(self, *, sliders: bool) -> None:
        """Choose what gradients go to: what the sliders change, or everything else."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith(CONDITIONING_PREFIX) == sliders)

    @property
    def context_inputs(self) -> list[str]:
        """The names of what it takes beside the image, in order."""
        return ["params"] * bool(self.num_sliders) + ["thumbnail", "coords"] * bool(
            self.thumbnail_size
        )

    @property
    def coords_block(self) -> int:
        """The side of the blocks that it asks the places of, px; 0 where it sees no thumbnail."""
        return self.size_multiple if self.thumbnail_size else 0

    def __call__(self, image: Tensor, *context: Tensor) -> Tensor:
        """Run the network; see the class for shapes."""
        output: Tensor = super().__call__(image, *context)
        return output
