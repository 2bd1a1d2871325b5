"""Kernels rounded to 16 bits, sliders' to 8: close, exactly representable, and stored so."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

from burnish.export.quantise import round_weights_to_fp16
from burnish.modelfile.weights import downcast_weights
from burnish.networks.conditioning import KernelDelta
from burnish.networks.unet import UNet
from burnish.params import Param


def network() -> UNet:
    torch.manual_seed(0)
    student = UNet(widths=(8, 12), down=(1, 1), up=(1,))
    torch.nn.init.normal_(student.tail.weight, std=0.1)
    return student


def test_kernels_are_numpys_nearest_halves_and_biases_stay():
    before = network()
    torch.nn.init.normal_(before.head.bias)
    after = round_weights_to_fp16(before)
    for name, parameter in before.named_parameters():
        values, rounded = parameter.detach().numpy(), after.get_parameter(name).detach().numpy()
        expected = values.astype(np.float16).astype(np.float32) if values.ndim == 4 else values
        np.testing.assert_array_equal(rounded, expected)


def test_the_network_itself_is_left_alone():
    before = network()
    kept = {name: value.clone() for name, value in before.state_dict().items()}
    round_weights_to_fp16(before)
    assert all(torch.equal(value, kept[name]) for name, value in before.state_dict().items())


def test_the_result_hardly_changes():
    before = network()
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        difference = (before(image) - round_weights_to_fp16(before)(image)).abs().max()
    assert 0 < difference < 2e-3


def test_what_sliders_add_becomes_whole_numbers_and_hardly_changes():
    torch.manual_seed(0)
    slider = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
    before = UNet(widths=(8, 12), down=(1, 1), up=(1,), sliders=[slider])
    for bend in before.modules():
        if isinstance(bend, KernelDelta):
            torch.nn.init.normal_(bend.coefficients.weight)
    after = round_weights_to_fp16(before)
    code = torch.randn(1, 32, 1, 1)
    bends = [part for part in before.modules() if isinstance(part, KernelDelta)]
    rounded = [part for part in after.modules() if isinstance(part, KernelDelta)]
    assert bends
    for old, new in zip(bends, rounded, strict=True):
        whole = new.basis.weight.detach()
        assert torch.equal(whole, whole.round())
        assert whole.abs().amax(dim=(0, 2, 3)).tolist() == [127, 127, 127]
        with torch.no_grad():
            wanted, got = old(code), new(code)
        assert 0 < (got - wanted).square().mean() < 1e-4 * wanted.square().mean()


def model(values: np.ndarray) -> onnx.ModelProto:
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["image", "weight"], ["result"])],
        "add",
        [onnx.helper.make_tensor_value_info("image", TensorProto.FLOAT, values.shape)],
        [onnx.helper.make_tensor_value_info("result", TensorProto.FLOAT, values.shape)],
        [numpy_helper.from_array(values, "weight")],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])


def test_what_half_precision_holds_is_stored_in_half_the_bytes_and_read_as_it_was():
    import onnxruntime

    values = np.linspace(-2, 2, 1025, dtype=np.float32)  # steps of 1/256
    halved = model(values)
    downcast_weights(halved)
    onnx.checker.check_model(halved)
    assert halved.graph.initializer[0].data_type == TensorProto.FLOAT16
    assert halved.ByteSize() < 0.6 * model(values).ByteSize()
    data = halved.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (read,) = session.run(None, {"image": np.zeros_like(values)})
    np.testing.assert_array_equal(read, values)


def test_whole_numbers_are_stored_in_a_quarter_of_the_bytes_and_read_as_they_were():
    import onnxruntime

    values = np.arange(-128, 128, dtype=np.float32).repeat(5)
    small = model(values)
    downcast_weights(small)
    onnx.checker.check_model(small)
    assert small.graph.initializer[0].data_type == TensorProto.INT8
    session = onnxruntime.InferenceSession(
        small.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (read,) = session.run(None, {"image": np.zeros_like(values)})
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize("max_size", [128, -129, 1e6, np.inf])
def test_larger_whole_numbers_are_not_stored_in_8_bits(largest):
    values = np.zeros(300, np.float32)
    values[7] = largest
    large = model(values)
    downcast_weights(large)
    assert large.graph.initializer[0].data_type != TensorProto.INT8


def test_what_it_does_not_hold_stays_as_it_is():
    values = np.linspace(-2, 2, 1000, dtype=np.float32)
    whole = model(values)
    downcast_weights(whole)
    assert whole == model(values)


def test_a_few_numbers_are_not_worth_a_node():
    few = model(np.ones(16, np.float32))
    downcast_weights(few)
    assert few == model(np.ones(16, np.float32))
