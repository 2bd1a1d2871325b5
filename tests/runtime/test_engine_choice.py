"""The choice of engine and precision: what a card allows, what the machine has, what is quicker."""

import json
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from burnish.errors import PrecisionError, UsageError
from burnish.modelfile.card import Measurement
from burnish.modelfile.reader import ModelFile, read_model
from burnish.runtime import engine_choice
from burnish.runtime.engine_choice import (
    EngineChoice,
    allowed_precisions,
    choose,
    engine_times,
    times_key,
)
from burnish.runtime.engines import usable_threads
from burnish.runtime.model import Model
from burnish.runtime.session import load_engine

WriteModel = Callable[..., Path]
# Other tests replace them.
measure, installed_engines = engine_choice.measure, engine_choice.installed_engines

needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="openvino is not installed"
)
ORT, ORT8 = EngineChoice("onnxruntime", "fp32"), EngineChoice("onnxruntime", "int8")
OV, OV16 = EngineChoice("openvino", "fp32"), EngineChoice("openvino", "bf16")


def row(psnr: float, precision: str = "fp32", guide: str | None = None, photos: str = "ten"):
    return Measurement(
        photos=photos,
        count=10,
        megapixels_mean=1,
        mse_mean=1e-4,
        psnr_mean=psnr,
        psnr_worst=30,
        ssim_mean=0.9,
        ssim_worst=0.8,
        identity_psnr_mean=20,
        guide=guide,
        precision=precision,
    )


@pytest.fixture
def with_rows(write_model: WriteModel) -> Callable[..., ModelFile]:
    """A function that returns a model with these rows on its card, and perhaps with ranges."""
    file = read_model(write_model())

    def build(*rows: Measurement, ranges: bool = False) -> ModelFile:
        changes = {"metrics": rows, "ranges": {"wide": ((0.0, 1.0),)} if ranges else {}}
        return ModelFile(file.card.model_copy(update=changes), file.graph, file.sha256)

    return build


@pytest.fixture
def use_times(monkeypatch) -> Callable[..., list[ModelFile]]:
    """A function that replaces the measurement; it returns the list of the measured models."""

    def use(times: dict[EngineChoice, float], *, has_bf16: bool = True) -> list[ModelFile]:
        measured: list[ModelFile] = []
        monkeypatch.setattr(engine_choice, "measure", lambda f: measured.append(f) or times)
        monkeypatch.setattr(engine_choice, "installed_engines", lambda: ["onnxruntime", "openvino"])
        names = ("fp32", "bf16", "int8") if has_bf16 else ("fp32", "int8")

        class Engine:
            precisions = staticmethod(lambda: names)

        monkeypatch.setattr(engine_choice, "load_engine", lambda name: Engine)
        return measured

    return use


@pytest.mark.parametrize(
    ("rows", "allowed"),
    [
        ([], ["fp32"]),
        ([row(40)], ["fp32"]),
        ([row(40), row(39.95, "bf16")], ["fp32", "bf16"]),
        ([row(40), row(39.94, "bf16")], ["fp32"]),
        ([row(40), row(41, "bf16"), row(40, "int8")], ["fp32", "bf16", "int8"]),
        ([row(40, guide="operator"), row(40, "bf16", "network")], ["fp32"]),
        ([row(40), row(40, "bf16", photos="others")], ["fp32"]),
        ([row(40), row(40, "bf16"), row(35, photos="b"), row(34, "bf16", photos="b")], ["fp32"]),
    ],
)
def test_card_allows_precisions_within_the_loss(with_rows, rows, allowed) -> None:
    assert allowed_precisions(with_rows(*rows).card) == allowed


QUICK = [row(40), row(40, "bf16"), row(40, "int8")]


@pytest.mark.parametrize(
    ("times", "eight_bits", "more_bits"),
    [
        ({ORT: 1, OV: 1.1, OV16: 0.5}, OV16, ORT),
        ({ORT: 1, OV: 0.95, OV16: 0.9}, ORT, ORT),  # not worth the time to load it
        ({ORT: 1, OV: 0.5, OV16: 0.6}, OV, OV),
        ({ORT: 1, ORT8: 0.3, OV16: 0.5}, ORT8, ORT),
        ({ORT: 1, ORT8: 2}, ORT, ORT),
    ],
)
def test_quickest_choice_depends_on_the_depth(
    with_rows, use_times, times, eight_bits, more_bits
) -> None:
    use_times(times)
    file = with_rows(*QUICK, ranges=True)
    assert choose(file, bits=8) == eight_bits
    for bits in (16, 32, None):
        assert choose(file, bits=bits) == more_bits


def test_the_time_to_load_an_engine_does_not_count_for_videos(with_rows, use_times) -> None:
    use_times({ORT: 1, OV: 0.95, OV16: 0.9})
    assert choose(with_rows(*QUICK), bits=8, video=True) == OV16


def test_card_without_scores_runs_in_fp32(with_rows, use_times) -> None:
    use_times({ORT: 1, OV: 1, OV16: 0.2})
    assert choose(with_rows(row(40)), bits=8) == ORT
    assert choose(with_rows(row(40)), precision="bf16") == OV16


def test_named_engine_and_precision_are_used(with_rows, use_times) -> None:
    measured = use_times({ORT: 1, OV: 3, OV16: 0.5})
    file = with_rows(*QUICK)
    assert choose(file, engine="openvino", precision="fp32", bits=8) == OV
    assert choose(file, engine="onnxruntime", bits=16) == ORT
    assert not measured
    assert choose(file, engine="onnxruntime", bits=8) == ORT
    assert choose(file, engine="openvino", bits=8) == OV16


def test_times_are_measured_once_and_kept(with_rows, use_times, cache: Path) -> None:
    measured = use_times({ORT: 1, OV16: 0.5})
    file = with_rows(*QUICK)
    assert choose(file, bits=8) == choose(file, bits=8) == OV16
    engine_choice._times.clear()  # as in another process
    assert choose(file, bits=8) == OV16
    assert len(measured) == 1
    times = json.loads((cache / "engine-speed.json").read_text())[times_key(file.card)]
    assert times == {"onnxruntime": {"fp32": 1}, "openvino": {"bf16": 0.5}}


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "7", '{"a": 1}', "\x00"),
        *('{"KEY": {}}', '{"KEY": 1}', '{"KEY": {"openvino": {"bf16": "quick"}}}'),
        *('{"KEY": {"openvino": {"bf16": -1}}}', '{"KEY": {"openvino": {"bf16": NaN}}}'),
        *('{"KEY": {"tensorrt": {"fp32": 1}}}', '{"KEY": {"openvino": 1}}'),
    ],
)
def test_broken_file_of_times_is_measured_again(with_rows, use_times, cache: Path, text) -> None:
    use_times({ORT: 1, OV16: 0.5})
    file = with_rows(*QUICK)
    engine_times(file)
    [key] = engine_choice._times
    engine_choice._times.clear()
    (cache / "engine-speed.json").write_text(text.replace("KEY", key))
    measured = use_times({ORT: 1, OV16: 0.7})
    assert engine_times(file)[OV16] == 0.7
    assert len(measured) == 1
    assert key in json.loads((cache / "engine-speed.json").read_text())


def test_cache_that_cannot_be_written_is_no_error(with_rows, use_times, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "file" / "folder"))
    use_times({ORT: 1, OV16: 0.5})
    assert choose(with_rows(*QUICK), bits=8) == OV16


def test_times_of_another_processor_are_measured_again(with_rows, use_times) -> None:
    file = with_rows(*QUICK)
    use_times({ORT: 1, OV16: 0.5})
    assert choose(file, bits=8) == OV16
    measured = use_times({ORT: 1, OV: 1}, has_bf16=False)
    assert choose(file, bits=8) == ORT
    assert len(measured) == 1


def test_precision_that_no_engine_has_raises(with_rows, use_times) -> None:
    use_times({ORT: 1, OV: 1}, has_bf16=False)
    with pytest.raises(PrecisionError, match="precision bf16: no engine here") as caught:
        choose(with_rows(*QUICK), precision="bf16")
    assert caught.value.exit_code == 3


def test_engines_that_cannot_run_a_model_report_it(with_rows, use_times) -> None:
    """The first one is chosen, and its session raises the error."""
    use_times({})
    assert choose(with_rows(*QUICK), bits=8) == ORT


def test_precision_on_a_gpu_raises(with_rows) -> None:
    with pytest.raises(PrecisionError, match="on cuda:1, networks run in fp32 only"):
        choose(with_rows(*QUICK), "cuda:1", precision="bf16")


def test_int8_needs_ranges(with_rows) -> None:
    with pytest.raises(PrecisionError, match="the card of blur has no ranges"):
        choose(with_rows(*QUICK), precision="int8")


def test_onnx_runtime_without_bf16_names_the_remedy(write_model: WriteModel) -> None:
    with pytest.raises(PrecisionError, match="install the extra 'openvino'"):
        Model.open(write_model(), engine="onnxruntime", precision="bf16")


@pytest.mark.parametrize("precision", ["fp64", "", "FP32"])
def test_unknown_precision_raises_usage_error(write_model: WriteModel, precision: str) -> None:
    with pytest.raises(UsageError, match="precision: expected auto, fp32, bf16 or int8"):
        Model.open(write_model(), precision=precision)


def test_measurement_times_every_engine_that_runs_the_model(write_model, monkeypatch) -> None:
    monkeypatch.setattr(engine_choice, "installed_engines", installed_engines)
    file = read_model(write_model())
    times = measure(file)
    expected = {
        EngineChoice(engine, precision)
        for engine in installed_engines()
        for precision in load_engine(engine).precisions()
        if precision != "int8"  # the card has no ranges
    }
    assert times.keys() == expected >= {ORT}
    assert all(0 < seconds < 60 for seconds in times.values())


@needs_openvino
def test_openvino_has_the_precisions_that_it_reports() -> None:
    import openvino

    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert ("bf16" in load_engine("openvino").precisions()) == ("BF16" in capabilities)


def test_model_for_bits_is_kept(with_rows, use_times) -> None:
    use_times({ORT: 1, OV: 3})
    model = Model(with_rows(*QUICK))
    assert (model.precision, model.chooses_precision) == ("fp32", True)
    chosen = model.for_bits(8)
    assert (chosen.engine, chosen.precision, chosen.chooses_precision) == (
        *vars(ORT).values(),
        False,
    )
    assert chosen is model.for_bits(16) is chosen.for_bits(8)


def test_threads_are_at_most_the_usable_cores() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert usable_threads(1) == 1
    assert usable_threads(1000) == cores
