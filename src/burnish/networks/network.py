"""Network: what every student states about itself, whatever it is made of."""

from typing import Literal

from torch import Tensor, nn

# "picture": each picture is normalised by its own statistics, also when the network is applied:
#            what the code of the paper's authors does. Such a network cannot be tiled.
# "batch":   by the statistics of the batch, while running averages are kept: how training starts.
# "frozen":  by the running averages, which makes the normaliser part of the convolution: how
#            training ends, and what is shipped.
Statistics = Literal["picture", "batch", "frozen"]

# What a network's parameters begin with that only change it away from its sliders' defaults.
SLIDING = "sliding."


class Network(nn.Module):
    """A function from picture to picture that looks near, and says how near.

    Attributes
    ----------
    multiple : height and width have to be multiples of this, px
    halo : how many pixels to each side a result can depend on
    macs_per_pixel : multiply-adds a pixel, rounded up
    activations_per_pixel : most values a pixel has at once, the picture apart, rounded up
    sliders : how many parameter values it takes with each picture
    thumbnail : side of the small version of the whole picture that it takes, px; 0 for none. With
        it, it takes where in the whole its blocks of `multiple` pixels lie

    Shape: image (N, 3, H, W) RGB in [0, 1]; then, where it takes them, `params` (1, sliders, 1, 1)
    in their own units, `thumbnail` (N, 3, side, side) and `places` (N, H / multiple, W / multiple,
    2), see `burnish.runtime.coords` -> (N, 3, H, W)
    """

    multiple: int = 1
    halo: int
    macs_per_pixel: int
    activations_per_pixel: int
    sliders: int = 0
    thumbnail: int = 0

    def use_statistics(self, statistics: Statistics) -> "Network":
        """Choose what normalisers normalise by; a network without any has nothing to choose."""
        return self

    def learn(self, *, sliders: bool) -> None:
        """Choose what gradients go to: what the sliders change, or everything else."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith(SLIDING) == sliders)

    @property
    def takes(self) -> list[str]:
        """The names of what it takes beside the image, in order."""
        return ["params"] * bool(self.sliders) + ["thumbnail", "places"] * bool(self.thumbnail)

    @property
    def survey_block(self) -> int:
        """The side of the blocks that it asks the places of, px; 0 where it sees no thumbnail."""
        return self.multiple if self.thumbnail else 0

    def __call__(self, image: Tensor, *context: Tensor) -> Tensor:
        """Run the network; see the class for shapes."""
        result: Tensor = super().__call__(image, *context)
        return result
