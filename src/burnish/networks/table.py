"""The networks that can be trained, by name."""

from collections.abc import Callable

from burnish.networks.can import CAN, can24, can32

NETWORKS: dict[str, Callable[[], CAN]] = {"can24": can24, "can32": can32}
