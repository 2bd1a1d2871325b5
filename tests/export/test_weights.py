"""Folded normalisers, and weights rounded to 16 or 8 bits and stored in fewer bytes."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper

from burnish.export.weights import fold, round_weights_to_fp16
from burnish.modelfile.onnx_file import downcast_weights
from burnish.networks.can import CAN
from burnish.networks.conditioning import KernelDelta
from burnish.networks.unet import UNet
from burnish.params import Param


def random_can() -> CAN:
    """A CAN with random weights and statistics of its normalisers."""
    network = CAN(width=6, dilations=(1, 2, 4))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in network.norm_convs:
            layer.weight.add_(0.1 * torch.randn(layer.weight.shape, generator=generator))
            layer.w1.fill_(0.3)
            layer.bias.copy_(torch.randn(6, generator=generator))
            layer.norm.running_mean.copy_(torch.randn(6, generator=generator))
            layer.norm.running_var.copy_(0.2 + torch.rand(6, generator=generator))
    return network.set_norm_mode("frozen").eval()


def test_fold_keeps_the_function():
    network = random_can().double()
    x = torch.rand(2, 3, 17, 23, dtype=torch.float64)
    torch.testing.assert_close(fold(network).double()(x), network(x), rtol=0, atol=1e-6)


def test_folded_layers_are_plain_convolutions():
    assert {type(layer) for layer in fold(random_can()).layers} == {torch.nn.Conv2d}


def test_folded_network_states_the_same_numbers():
    network = random_can()
    folded = fold(network)
    for name in ("halo", "size_multiple", "macs_per_pixel", "peak_activations_per_pixel"):
        assert getattr(folded, name) == getattr(network, name)


def test_fold_does_not_change_the_network():
    network = random_can()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold(network)
    with torch.no_grad():
        folded.layers[0].weight.zero_()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("mode", ["batch", "instance"])
def test_fold_of_a_normaliser_that_is_not_frozen_raises(mode):
    with pytest.raises(ValueError, match="frozen"):
        fold(random_can().set_norm_mode(mode))


def random_unet() -> UNet:
    torch.manual_seed(0)
    network = UNet(widths=(8, 12), down=(1, 1), up=(1,))
    torch.nn.init.normal_(network.tail.weight, std=0.1)
    return network


def test_kernels_are_rounded_as_by_numpy_and_biases_stay():
    before = random_unet()
    torch.nn.init.normal_(before.head.bias)
    after = round_weights_to_fp16(before)
    for name, parameter in before.named_parameters():
        values, rounded = parameter.detach().numpy(), after.get_parameter(name).detach().numpy()
        expected = values.astype(np.float16).astype(np.float32) if values.ndim == 4 else values
        np.testing.assert_array_equal(rounded, expected)


def test_rounding_does_not_change_the_network():
    before = random_unet()
    state = {name: value.clone() for name, value in before.state_dict().items()}
    round_weights_to_fp16(before)
    assert all(torch.equal(value, state[name]) for name, value in before.state_dict().items())


def test_rounding_hardly_changes_the_output():
    before = random_unet()
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        difference = (before(image) - round_weights_to_fp16(before)(image)).abs().max()
    assert 0 < difference < 2e-3


def test_bases_of_kernel_deltas_become_integers_and_their_output_hardly_changes():
    torch.manual_seed(0)
    slider = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
    before = UNet(widths=(8, 12), down=(1, 1), up=(1,), sliders=[slider])
    deltas = [module for module in before.modules() if isinstance(module, KernelDelta)]
    for delta in deltas:
        torch.nn.init.normal_(delta.coefficients.weight)
    after = round_weights_to_fp16(before)
    embedding = torch.randn(1, 32, 1, 1)
    rounded = [module for module in after.modules() if isinstance(module, KernelDelta)]
    assert deltas
    for old, new in zip(deltas, rounded, strict=True):
        basis = new.basis.weight.detach()
        assert torch.equal(basis, basis.round())
        assert basis.abs().amax(dim=(0, 2, 3)).tolist() == [127, 127, 127]
        with torch.no_grad():
            expected, output = old(embedding), new(embedding)
        assert 0 < (output - expected).square().mean() < 1e-4 * expected.square().mean()


def model_with_weights(values: np.ndarray) -> onnx.ModelProto:
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["image", "weight"], ["result"])],
        "add",
        [onnx.helper.make_tensor_value_info("image", TensorProto.FLOAT, values.shape)],
        [onnx.helper.make_tensor_value_info("result", TensorProto.FLOAT, values.shape)],
        [numpy_helper.from_array(values, "weight")],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])


def test_weights_that_fit_16_bits_are_stored_in_half_the_bytes():
    values = np.linspace(-2, 2, 1025, dtype=np.float32)  # steps of 1/256
    smaller = model_with_weights(values)
    downcast_weights(smaller)
    onnx.checker.check_model(smaller)
    assert smaller.graph.initializer[0].data_type == TensorProto.FLOAT16
    assert smaller.ByteSize() < 0.6 * model_with_weights(values).ByteSize()
    data = smaller.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"image": np.zeros_like(values)})
    np.testing.assert_array_equal(output, values)


def test_weights_that_are_small_integers_are_stored_in_a_quarter_of_the_bytes():
    values = np.arange(-128, 128, dtype=np.float32).repeat(5)
    smaller = model_with_weights(values)
    downcast_weights(smaller)
    onnx.checker.check_model(smaller)
    assert smaller.graph.initializer[0].data_type == TensorProto.INT8
    session = onnxruntime.InferenceSession(
        smaller.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (output,) = session.run(None, {"image": np.zeros_like(values)})
    np.testing.assert_array_equal(output, values)


@pytest.mark.parametrize("largest", [128, -129, 1e6, np.inf])
def test_larger_integers_are_not_stored_in_8_bits(largest):
    values = np.zeros(300, np.float32)
    values[7] = largest
    model = model_with_weights(values)
    downcast_weights(model)
    assert model.graph.initializer[0].data_type != TensorProto.INT8


def test_weights_that_do_not_fit_16_bits_stay_float32():
    values = np.linspace(-2, 2, 1000, dtype=np.float32)
    model = model_with_weights(values)
    downcast_weights(model)
    assert model == model_with_weights(values)


def test_few_weights_stay_float32():
    model = model_with_weights(np.ones(16, np.float32))
    downcast_weights(model)
    assert model == model_with_weights(np.ones(16, np.float32))
