import json
import os
import sys

# Each pytest-xdist worker uses one thread: set before NumPy and torch read it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest
from PIL import Image

from burnish.cli.app import main
from burnish.detection.instances import Instances
from burnish.editing.edit import Edit
from burnish.progress import Progress

# CI uses the same examples each time; local runs look for new ones.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

# CPU seconds from which a test has to be marked slow. The mark is for tests over five seconds; the
# margin is for slower machines and for kernels that numba compiles at first use.
SLOW_SECONDS = 30.0


def cpu_seconds() -> float:
    """Return the CPU time of this process and its finished children."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Fail a test that takes long and is not marked slow."""
    start = cpu_seconds()
    result = yield
    seconds = cpu_seconds() - start
    if seconds > SLOW_SECONDS and not pyfuncitem.get_closest_marker("slow"):
        pytest.fail(f"took {seconds:.0f} s of CPU time: mark it slow or make it faster")
    return result


@pytest.fixture(scope="session")
def engine_speed():
    """The times of bundled networks, so that commands in other processes measure nothing."""
    from burnish.modelfile.reader import read_card
    from burnish.runtime.engine_choice import times_key
    from burnish.runtime.model_registry import find_model, model_names

    keys = [times_key(read_card(find_model(name))) for name in model_names()]
    return json.dumps({key: {"onnxruntime": {"fp32": 1}} for key in keys})


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch, engine_speed):
    """A cache folder for each test."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "engine-speed.json").write_text(engine_speed)
    monkeypatch.setenv("BURNISH_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def engine_times(monkeypatch):
    """The measured times of engines: tests measure nothing, and ONNX Runtime runs all networks."""
    from burnish.runtime import engine_choice

    times = {engine_choice.EngineChoice("onnxruntime", "fp32"): 1.0}
    monkeypatch.setattr(engine_choice, "measure", lambda file: times)
    monkeypatch.setattr(engine_choice, "installed_engines", lambda: ["onnxruntime"])
    monkeypatch.setattr(engine_choice, "_times", {})
    return times


class FunctionEdit(Edit):
    """An edit that applies a function to the pixels; by default it changes nothing."""

    def __init__(self, function=lambda pixels: pixels, *, name="same", tiled_stages=()):
        super().__init__(name)
        self.function = function
        self.tiled_stages = tiled_stages

    def run(self, pixels, on_progress=None):
        return self.function(pixels)


@pytest.fixture(scope="session")
def function_edit():
    """The class `FunctionEdit`: `function_edit(lambda pixels: 1 - pixels)` is an edit."""
    return FunctionEdit


class RecordingProgress(Progress):
    """Records tasks with their totals, and the work done on the last task after each advance."""

    def __init__(self):
        self.tasks = []
        self.done = []

    def start(self, task, total=None):
        self.tasks.append((task, total))
        self.done = [0]

    def advance(self, amount=1):
        self.done.append(self.done[-1] + amount)


@pytest.fixture
def recording_progress():
    """The class `RecordingProgress`."""
    return RecordingProgress


@pytest.fixture
def one_thread():
    """Limit torch to one thread. On several threads, it sums some gradients in random order."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def single_process(monkeypatch):
    """Compute pairs in the test's own process, because starting others is slow."""
    monkeypatch.setattr("burnish.training.pair_computation.cpu_count", lambda: 1)


def draw_image(seed: int, height: int = 40, width: int = 56) -> np.ndarray:
    """Return an image like a photo: a gradient, a few boxes and a little noise, uint8 RGB."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    pixels = 90 + np.stack([x, y, x + y], axis=2) * 60 / (height + width)
    for _ in range(5):
        top, left = random.integers(height - 8), random.integers(width - 8)
        box = slice(top, top + random.integers(4, 20)), slice(left, left + random.integers(4, 20))
        pixels[box] = random.integers(0, 256, 3)
    pixels += 4 * random.standard_normal(pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture
def photo_folder(tmp_path):
    """A folder of six small photos, one of them in portrait format."""
    folder = tmp_path / "фото"  # names are not always ASCII
    folder.mkdir()
    for seed in range(6):
        pixels = draw_image(seed)
        Image.fromarray(pixels if seed else pixels.transpose(1, 0, 2)).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def make_image():
    """A function that draws an image from a seed: `make_image(3)` is (40, 56, 3) uint8."""
    return draw_image


@pytest.fixture(scope="session")
def make_card():
    """A function that makes the card of a network with some sliders and an operator's name."""
    from burnish.modelfile.card import Card, CardParam

    def make_card(network, sliders=(), operator="python:none:none", **changes):
        fields = {name: getattr(network, name) for name in NETWORK_FIELDS}
        params = [CardParam.from_param(p, value=p.default, slider=True) for p in sliders]
        fields |= {"name": "random", "operator": operator, "title": "Random weights"}
        fields |= {"paper": None, "params": params, "network": "fast", "metrics": ()}
        fields |= {"training": {}, "licence": "MIT", "burnish_version": "0.1.0"}
        fields["coords"] = bool(network.thumbnail_size)
        fields["parameter_count"] = sum(p.numel() for p in network.parameters())
        return Card(**fields | changes)

    return make_card


NETWORK_FIELDS = (
    *("halo", "size_multiple", "macs_per_pixel"),
    *("peak_activations_per_pixel", "thumbnail_size"),
)


@pytest.fixture(scope="session")
def random_network():
    """A function that builds a small UNet with random weights, none of them zero.

    `random_network(("lambda",), global_context=False)` returns the network and its sliders, which
    are parameters of `operator`.
    """
    import torch

    from burnish.networks.unet import UNet
    from burnish.operators.registry import OPERATORS

    def build(
        names=("lambda", "kappa"),
        global_context=True,
        seed=0,
        operator="l0-smoothing",
        **arguments,
    ):
        sliders = [p for p in OPERATORS[operator].params if p.name in names]
        arguments = {"widths": (4, 6), "down": (1, 1), "up": (1,)} | arguments
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = UNet(**arguments, sliders=sliders, global_context=global_context)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        return network.eval(), sliders

    return build


@pytest.fixture(scope="session")
def random_context():
    """A function that returns random inputs of a network, without the image.

    `blocks` is the number of rows and columns of blocks in the image.
    """
    import torch

    def random_context(network, count=1, blocks=(2, 3), seed=0):
        sizes = {
            "params": (1, network.num_sliders, 1, 1),
            "thumbnail": (count, 3, network.thumbnail_size, network.thumbnail_size),
            "coords": (count, *blocks, 2),
        }
        generator = torch.Generator().manual_seed(seed)
        return [torch.rand(*sizes[name], generator=generator) for name in network.context_inputs]

    return random_context


@pytest.fixture(scope="session")
def slider_model(random_network, make_card, tmp_path_factory):
    """A model file that takes lambda, kappa and a thumbnail; its operator is l0-smoothing."""
    from burnish.export.onnx_export import export

    network, sliders = random_network()
    card = make_card(network, sliders, "l0-smoothing")
    return export(network, card, tmp_path_factory.mktemp("models") / "random.onnx")


@pytest.fixture(scope="session")
def guided_networks(random_network):
    """A guided network and its start network, with random weights, and their sliders."""
    guided, sliders = random_network(global_context=False, guided=True)
    start, _ = random_network(seed=1, widths=(4, 6, 8), down=(1, 1, 1), up=(1, 1))
    return guided, start, sliders


@pytest.fixture(scope="session")
def export_guided(make_card, tmp_path_factory):
    """A function that writes a guided network, its start network and their card as a model file.

    From 16 px on, the levels double in size at most.
    """
    from burnish.export.onnx_export import export
    from burnish.modelfile.card import Guide, StartNetwork

    def export_guided(guided, start, sliders, operator="l0-smoothing"):
        start_card = make_card(start, sliders)
        names = StartNetwork.model_fields.keys() - {"full_size"}
        fields = {name: getattr(start_card, name) for name in names}
        guide = Guide(size=16, operator_size=40, max_ratio=2, start=StartNetwork(**fields))
        card = make_card(guided, sliders, operator, name="guided", guide=guide)
        path = tmp_path_factory.mktemp("models") / "guided.onnx"
        return export(guided, card, path, start=start)

    return export_guided


@pytest.fixture(scope="session")
def guided_model(guided_networks, export_guided):
    """The model file of `guided_networks`."""
    return export_guided(*guided_networks)


@pytest.fixture(scope="session")
def quality_networks(random_network):
    """Guided networks of all qualities, by output, their start network, and their sliders."""
    shapes = {
        "preview": {"widths": (2, 3), "down": (0, 1), "up": (1,), "edge_kernel": 1},
        "result": {"widths": (4, 6), "down": (1, 1), "up": (0,)},
        "best": {"widths": (5, 8), "down": (1, 2), "up": (1,)},
    }
    guided = {"guided": True, "global_context": False}
    networks = {name: random_network(**shape, **guided)[0] for name, shape in shapes.items()}
    start, sliders = random_network(seed=1)
    return networks, start, sliders


@pytest.fixture(scope="session")
def quality_model(quality_networks, make_card, tmp_path_factory):
    """The model file of `quality_networks`. From 16 px on, the levels double in size at most."""
    from burnish.export.onnx_export import export, export_qualities
    from burnish.modelfile.card import Capacity, Guide, StartNetwork
    from burnish.modelfile.reader import read_model
    from burnish.training.network_fields import network_fields

    networks, start, sliders = quality_networks
    standard, *others = (networks[name] for name in ("result", "preview", "best"))
    fields = zip(("preview", "best"), map(network_fields, others), strict=True)
    own = StartNetwork(network="fast", full_size=True, **network_fields(start))
    card = make_card(
        standard,
        sliders,
        "l0-smoothing",
        name="qualities",
        guide=Guide(size=16, max_ratio=2, start=own),
    )
    folder = tmp_path_factory.mktemp("models")
    file = read_model(export(standard, card, folder / "standard.onnx", start=start))
    capacities = tuple(Capacity(quality=name, network=name, **own) for name, own in fields)
    card = card.model_copy(update={"capacities": capacities})
    own_networks = {name: networks[name] for name in ("preview", "best")}
    return export_qualities(file, own_networks, card, folder / "qualities.onnx")


@pytest.fixture
def burnish(monkeypatch, capfd):
    """Run the command line in this process; returns exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["burnish", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def detector_network():
    """A light detector for small images, with random weights."""
    import torch

    pytest.importorskip("timm", reason="timm is not installed")
    from burnish.detection.training.detectors import lite_mask_rcnn

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = lite_mask_rcnn(2, mask_iou_head=True).train()
        # Without realistic statistics, activations vanish and all scores are equal.
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
        with torch.no_grad():
            network.backbone(torch.rand(4, 3, 96, 96))
        return network.eval()


@pytest.fixture(scope="session")
def detector_card():
    """A function that returns a detector's card with some fields changed."""
    from burnish.detection.detector_file import DetectorCard

    def detector_card(**changes):
        fields = {"name": "shapes", "title": "Discs and boxes", "network": "light"}
        fields |= {"classes": ("disc", "box"), "min_size": 96, "max_size": 144}
        fields |= {"parameter_count": 1, "metrics": (), "training": {}, "description": "Shapes."}
        fields |= {"licence": "MIT", "burnish_version": "0.1.0"}
        return DetectorCard(**fields | changes)

    return detector_card


@pytest.fixture(scope="session")
def detector_file(detector_network, detector_card, tmp_path_factory):
    """The file of a detector with random weights."""
    from burnish.detection.training.export import export

    target = tmp_path_factory.mktemp("detector") / "shapes.onnx"
    return export(detector_network, detector_card(), target, fp16=True)


@pytest.fixture(scope="session")
def astronaut():
    """A photo of a person, 128 x 128, and a mask of her, made of an ellipse and a trapezium."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    pixels = (data.astronaut()[::4, ::4] / np.float32(255)).astype(np.float32)
    y, x = np.mgrid[:128, :128]
    head = ((x - 56) / 19) ** 2 + ((y - 24) / 21) ** 2 < 1
    torso = (abs(x - 50) < 20 + (y - 40) * 0.35) & (y > 44)
    return pixels, head | torso


@pytest.fixture
def three_objects():
    """A cat, a large dog around it, and another cat, in an image of 40 x 30 pixels."""
    boxes = np.array([[10, 8, 16, 14], [4, 4, 28, 26], [30, 2, 36, 10]], np.float32)
    masks = tuple(
        np.ones((int(b - t), int(r - left)), np.float32) for left, t, r, b in boxes.tolist()
    )
    scores = np.array([0.9, 0.8, 0.4], np.float32)
    return Instances((40, 30), boxes, ("cat", "dog", "cat"), scores, masks)


class FixedSource:
    """Returns the same objects for every image."""

    name, sha256 = "fixed", None
    classes = ("cat", "dog", "person")

    def __init__(self, instances):
        self.instances = instances

    def find(self, pixels, source=None):
        return self.instances


@pytest.fixture
def fixed_source():
    """The class of object sources that return the same objects for every image."""
    return FixedSource


@pytest.fixture
def write_model(tmp_path):
    """A function that writes a model with onnx alone: the mean over a square, times a gain."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from burnish.modelfile.card import Card

    def write_model(name="blur", *, halo=1, gain=1, channels=3, stated_halo=0):
        side = 2 * halo + 1
        spread = np.zeros((channels, 3, 1, 1), np.float32)
        spread[np.arange(channels), np.arange(channels) % 3] = 1
        mean = np.zeros((3, channels, side, side), np.float32)
        mean[np.arange(3), np.arange(3)] = gain / side**2
        image, result = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"])
            for name in ("image", "result")
        )
        graph = helper.make_graph(
            [
                helper.make_node("Conv", ["image", "spread"], ["wide"]),
                helper.make_node("Conv", ["wide", "mean"], ["result"], pads=[halo] * 4),
            ],
            name,
            [image],
            [result],
            [numpy_helper.from_array(spread, "spread"), numpy_helper.from_array(mean, "mean")],
        )
        card = Card(
            name=name,
            operator="python:blur:blur",
            title="Blur",
            paper=None,
            params=(),
            network="blur",
            halo=stated_halo or halo,
            size_multiple=1,
            macs_per_pixel=3 * channels * (side**2 + 1),
            peak_activations_per_pixel=channels + 3,
            parameter_count=0,
            metrics=(),
            training={},
            licence="MIT",
            burnish_version="0.1.0",
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        model.metadata_props.add(key=Card.metadata_key, value=card.model_dump_json())
        path = tmp_path / f"{name}.onnx"
        onnx.save(model, path)
        return path

    return write_model
