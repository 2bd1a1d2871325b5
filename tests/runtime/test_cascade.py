"""Cascades of guided networks against a plain one in torch, on whole images."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from math import ceil, log, log2
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from burnish.errors import ModelError, UsageError
from burnish.modelfile.card import Guide
from burnish.modelfile.reader import ModelFile, read_model
from burnish.networks.network import Network
from burnish.runtime.cascade import level_sizes
from burnish.runtime.model import Model
from burnish.runtime.thumbnail import normalised_coords
from burnish.types import Rectangle

PARAMS = {"lambda": 0.05, "kappa": 1.3}
# One level, two, three, and four. With the operator, the first level of the last three is larger.
SIZES = [(9, 61), (16, 16), (30, 17), (41, 64), (150, 131), (61, 55)]
ENGINES = ["onnxruntime"] + ["openvino"] * (find_spec("openvino") is not None)


def random_image(height: int, width: int) -> np.ndarray:
    """Return smooth noise, which is still there in small copies."""
    random = np.random.default_rng(height * width)
    noise = random.normal(0, 1, (height, width, 3)).cumsum(0).cumsum(1)
    noise /= 4 * noise.std(axis=(0, 1))
    return (0.5 + noise - noise.mean(axis=(0, 1))).clip(0, 1).astype(np.float32)


def area_means(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return means over areas, as differences of the integral of the image."""
    for axis in (0, 1):
        length = pixels.shape[axis]
        zero = np.zeros_like(pixels.take([0], axis), np.float64)
        integral = np.concatenate([zero, pixels.cumsum(axis, dtype=np.float64)], axis)
        edges = np.linspace(0, length, size[axis] + 1)
        at_edges = np.apply_along_axis(
            lambda values, edges=edges, n=length: np.interp(edges, np.arange(n + 1), values),
            axis,
            integral,
        )
        pixels = np.diff(at_edges, axis=axis) * (size[axis] / length)
    return pixels.astype(np.float32)


def run_whole(
    network: Network,
    pixels: np.ndarray,
    thumbnail: np.ndarray,
    guide: np.ndarray | None = None,
    params: Sequence[float] = tuple(PARAMS.values()),
) -> np.ndarray:
    """Run a network in torch on an image padded with its last row and column."""
    height, width = pixels.shape[:2]
    block = network.size_multiple
    padding = (0, -width % block, 0, -height % block)
    planes = [
        F.pad(torch.from_numpy(image.transpose(2, 0, 1)[None]), padding, mode="replicate")
        for image in (pixels, guide)
        if image is not None
    ]
    rectangle = Rectangle(0, height + padding[3], 0, width + padding[1])
    context = {
        "params": torch.tensor(params)[None, :, None, None],
        "thumbnail": torch.from_numpy(thumbnail.transpose(2, 0, 1)[None]),
        "coords": torch.from_numpy(normalised_coords(rectangle, (height, width), block)[None]),
    }
    with torch.no_grad():
        others = [context[name] for name in network.context_inputs if name != "guide"]
        output = network(*planes, *others)[0, :, :height, :width]
    return output.clip(0, 1).numpy().transpose(1, 2, 0)


def levels(height: int, width: int, *, operator: bool) -> list[tuple[int, int]]:
    """Return the sizes of the levels of the guided model."""
    size = max(16, min(40, min(height, width) // 2)) if operator else 16
    return level_sizes((height, width), Guide(size=size, max_ratio=2))


def run_cascade(
    network: Network, start: Network, pixels: np.ndarray, guide: np.ndarray | None = None
) -> np.ndarray:
    """Run the cascade without burnish's runtime, except for the sizes of levels."""
    thumbnail = area_means(pixels, (64, 64))
    first, *others = levels(*pixels.shape[:2], operator=guide is not None)
    result = run_whole(start, area_means(pixels, first), thumbnail) if guide is None else guide
    for size in others:
        planes = torch.from_numpy(result.transpose(2, 0, 1)[None].copy())
        enlarged = F.interpolate(planes, size, mode="bilinear", align_corners=False)
        level = area_means(pixels, size) if size != others[-1] else pixels
        guide = enlarged[0].numpy().transpose(1, 2, 0)
        result = run_whole(network, level, thumbnail, guide)
    return result


@pytest.fixture(params=ENGINES)
def model(guided_model: Path, request) -> Model:
    return Model.open(guided_model, device="cpu", threads=1, engine=request.param)


def first_result(height: int, width: int) -> np.ndarray:
    """Return an image of the first level's size."""
    return 1 - random_image(*levels(height, width, operator=True)[0])


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_cascade_equals_the_plain_one(model: Model, guided_networks, height, width) -> None:
    pixels = random_image(height, width)
    network, start, _ = guided_networks
    expected = run_cascade(network, start, pixels)
    assert np.mean((expected > 0) & (expected < 1)) > 0.3
    np.testing.assert_allclose(model(pixels, PARAMS), expected, atol=2e-5)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_cascade_goes_on_from_the_guide(model: Model, guided_networks, height, width) -> None:
    pixels, guide = random_image(height, width), first_result(height, width)
    assert model.first_level(height, width) == guide.shape[:2]
    network, start, _ = guided_networks
    expected = run_cascade(network, start, pixels, guide)
    output = model(pixels, PARAMS, guide=guide)
    np.testing.assert_allclose(output, expected, atol=2e-5)
    assert np.abs(output - model(pixels, PARAMS)).max() > 0.01


def test_progress_ends_at_one_even_if_no_network_runs(model: Model) -> None:
    """A guide is the whole result of an image that is not larger than the first level."""
    for height, width in SIZES:
        fractions: list[float] = []
        guide = first_result(height, width)
        model(random_image(height, width), guide=guide, on_progress=fractions.append)
        assert fractions[-1] == 1


@pytest.mark.parametrize("has_guide", [False, True])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_cascade_does_not_depend_on_memory(model: Model, height, width, has_guide) -> None:
    pixels = random_image(height, width)
    guide = first_result(height, width) if has_guide else None
    whole = model(pixels, PARAMS, guide=guide)
    fractions: list[float] = []
    memory = model.min_memory(height, width)
    tiled = model(pixels, PARAMS, guide=guide, memory=memory, on_progress=fractions.append)
    np.testing.assert_array_equal(tiled, whole)
    assert fractions == sorted(set(fractions))
    if fractions:
        assert fractions[-1] == 1
    if min(height, width) > 100:
        assert len(fractions) > 10
        with pytest.raises(UsageError, match=r"^memory: "):
            model(pixels, PARAMS, guide=guide, memory=memory - 1)


@pytest.mark.parametrize("has_guide", [False, True])
@pytest.mark.parametrize(("height", "width"), [*SIZES, (700, 90)])
def test_process_tiles_equals_call_bit_for_bit(model: Model, height, width, has_guide) -> None:
    pixels = random_image(height, width)
    guide = first_result(height, width) if has_guide else None
    output = np.full_like(pixels, np.nan)

    def write(rectangle: Rectangle, values: np.ndarray) -> None:
        output[rectangle.slices] = values

    model.process_tiles(
        lambda rectangle: pixels[rectangle.slices].copy(),
        write,
        (height, width),
        PARAMS,
        guide=guide,
        memory=model.min_memory(height, width),
    )
    np.testing.assert_array_equal(output, model(pixels, PARAMS, guide=guide))


def test_progress_counts_all_levels_by_area(model: Model) -> None:
    fractions: list[float] = []
    model(random_image(64, 64), on_progress=fractions.append)
    areas = np.cumsum([16**2, 32**2, 64**2])
    np.testing.assert_allclose(fractions, areas / areas[-1])


def test_sliders_in_px_shrink_with_the_level(random_network, export_guided) -> None:
    """At the first of three levels, sigma would fall below its range, 0.5 to 8 px."""
    names, operator = ("lambda", "sigma"), "relative-total-variation"
    arguments = {"global_context": False, "operator": operator}
    network, sliders = random_network(names, guided=True, **arguments)
    start, _ = random_network(names, **arguments)
    model = Model.open(export_guided(network, start, sliders, operator), device="cpu", threads=1)
    pixels = random_image(64, 81)
    thumbnail = area_means(pixels, (64, 64))
    result = run_whole(start, area_means(pixels, (16, 20)), thumbnail, None, (0.01, 0.5))
    for size, params in (((32, 41), (0.02, 0.75)), ((64, 81), (0.04, 1.5))):
        planes = torch.from_numpy(result.transpose(2, 0, 1)[None].copy())
        enlarged = F.interpolate(planes, size, mode="bilinear", align_corners=False)
        guide = enlarged[0].numpy().transpose(1, 2, 0)
        result = run_whole(network, area_means(pixels, size), thumbnail, guide, params)
    output = model(pixels, {"lambda": 0.04, "sigma": 1.5})
    np.testing.assert_allclose(output, result, atol=2e-5)


def test_guide_of_another_size_type_or_range_is_rejected(model: Model) -> None:
    pixels, guide = random_image(50, 80), first_result(50, 80)
    for wrong in (guide[1:], guide.astype(np.float64), guide + 2, guide[..., 0]):
        with pytest.raises(UsageError, match=r"^guide: expected"):
            model(pixels, guide=wrong)


def test_unguided_model_takes_no_guide(slider_model: Path) -> None:
    model = Model.open(slider_model, device="cpu", threads=1)
    with pytest.raises(UsageError, match="takes no guide"):
        model.first_level(40, 40)
    with pytest.raises(UsageError, match="takes no guide"):
        model(random_image(40, 40), guide=random_image(16, 16))


def test_model_without_start_network_needs_a_guide(guided_model: Path) -> None:
    complete = read_model(guided_model)
    guide = complete.card.guide.model_copy(update={"start": None})
    card = complete.card.model_copy(update={"guide": guide})
    model = Model(ModelFile(card, complete.graph, complete.sha256), "cpu", 1)
    pixels, guide_pixels = random_image(40, 40), first_result(40, 40)
    with pytest.raises(ModelError, match="no start network"):
        model(pixels)
    expected = Model(complete, "cpu", 1)(pixels, guide=guide_pixels)
    np.testing.assert_array_equal(model(pixels, guide=guide_pixels), expected)


def test_start_network_at_full_size_replaces_the_cascade(
    guided_model: Path, guided_networks
) -> None:
    file = read_model(guided_model)
    start = file.card.guide.start.model_copy(update={"full_size": True})
    guide = file.card.guide.model_copy(update={"start": start})
    card = file.card.model_copy(update={"guide": guide})
    model = Model(replace(file, card=card), "cpu", 1)
    pixels, guide_pixels = random_image(70, 90), first_result(70, 90)
    expected = run_whole(guided_networks[1], pixels, area_means(pixels, (64, 64)))
    np.testing.assert_allclose(model(pixels, PARAMS), expected, atol=2e-5)
    cascade = Model(file, "cpu", 1)(pixels, PARAMS, guide=guide_pixels)
    np.testing.assert_array_equal(model(pixels, PARAMS, guide=guide_pixels), cascade)


@given(
    st.tuples(st.integers(1, 20_000), st.integers(1, 20_000)),
    st.integers(16, 512),
    st.floats(1.25, 16),
)
def test_levels_grow_evenly_from_the_first_size_to_the_photo(size, first, max_ratio) -> None:
    sizes = level_sizes(size, Guide(size=first, max_ratio=max_ratio))
    assert sizes[-1] == size
    short_sides = [min(level) for level in sizes]
    if min(size) <= first:
        assert sizes == [size]
        return
    assert short_sides[0] == first
    ratio = min(size) / first
    count = len(sizes) - 1
    # Where the logarithm is a whole number, it is not one in floating point.
    assert count in {ceil(log(ratio) / log(max_ratio) + error) for error in (-1e-9, 1e-9)}
    for index, level in enumerate(sizes):
        exact = np.array(size) * ratio ** (index / count - 1)
        assert np.abs(np.maximum(exact, 1) - level).max() <= 0.5 + 1e-6


@given(
    st.tuples(st.integers(1, 20_000), st.integers(1, 20_000)),
    st.integers(16, 512),
    st.floats(2, 16),
)
def test_halved_levels_are_the_photo_by_powers_of_two(size, first, max_ratio) -> None:
    sizes = level_sizes(size, Guide(size=first, max_ratio=max_ratio, halved=True))
    halvings = [round(log2(min(size) / min(level))) for level in sizes]
    for number, level in zip(halvings, sizes, strict=True):
        exact = np.array(size) / 2**number
        assert np.abs(np.maximum(exact, 1) - level).max() <= 0.5
    assert halvings[-1] == 0
    assert all(1 <= a - b <= log2(max_ratio) for a, b in pairwise(halvings))
    smallest = min(size) / 2 ** halvings[0]
    assert smallest < 2 * first
    assert smallest >= first or len(sizes) == 1


def test_halved_levels_of_a_ratio_below_two_are_refused() -> None:
    with pytest.raises(ValidationError, match="max_ratio"):
        Guide(size=16, max_ratio=1.5, halved=True)
