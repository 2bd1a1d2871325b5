"""The networks that one model file may have. Importing this module does not import pydantic."""

from typing import Literal, get_args

# From the smallest to the largest; standard is in every file. Videos have the smallest.
Quality = Literal["preview", "standard", "best"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)
PREVIEW: Quality = "preview"
STANDARD: Quality = "standard"
