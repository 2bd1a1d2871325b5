"""Options of the operator among a command's arguments: help, parsing and completion."""

import re
import sys

import pytest
import typer

from burnish.cli.app import app
from burnish.cli.options import param_help
from burnish.modelfile.reader import read_model
from burnish.operators.registry import OPERATORS
from burnish.runtime.model_registry import find_model, model_names


def help_text(burnish, *arguments):
    code, out, _ = burnish(*arguments, "--help")
    assert code == 0
    return " ".join(out.split())


def has_option(text, option):
    """Return whether a help text lists an option with a value."""
    return re.search(rf" {option} [A-Z]", text) is not None


@pytest.mark.parametrize("name", OPERATORS)
def test_help_of_an_operator_lists_its_parameters_only(burnish, name):
    text = help_text(burnish, "apply", "--slow", name)
    own = {param.option: param for param in OPERATORS[name].params}
    for param in own.values():
        assert has_option(text, param.option)
        assert " ".join(param_help(param).split()) in text
        assert not param.default_text or f"[default: {param.default_text}]" in text
    others = {param.option for operator in OPERATORS.values() for param in operator.params}
    assert not any(has_option(text, option) for option in others - own.keys())


@pytest.mark.parametrize("name", model_names())
def test_help_without_slow_shows_the_ranges_and_values_of_the_network(burnish, name):
    text = help_text(burnish, "apply", name)
    card = read_model(find_model(name)).card
    accepted, _, fixed = text.partition("Parameters that ")
    for param in card.params:
        if param.slider:
            assert f"{param.low:g} to {param.high:g}" in accepted
            assert f"[default: {param.value:g}]" in accepted
            assert has_option(accepted, f"--{param.name}")
        else:
            assert has_option(fixed, f"--{param.name}")
            assert f"[the network's value: {param.value:g}]" in fixed
    for param in card.fixed_params:
        assert has_option(fixed, f"--{param.name}")
    assert ("need --slow" in text) == (name in OPERATORS and "network's value" in fixed)


def test_help_of_pencil_drawing_shows_the_networks_texture_and_with_slow_the_operators(burnish):
    option = r"--texture NUMBER [^\[]*\[{}\]"
    network = help_text(burnish, "apply", "pencil-drawing")
    assert re.search(option.format("the network's value: 0"), network)
    operator = help_text(burnish, "apply", "pencil-drawing", "--slow")
    assert re.search(option.format("default: 1"), operator)


def test_help_of_an_operator_without_a_network_asks_for_slow(burnish):
    text = help_text(burnish, "apply", "bilateral")
    assert has_option(text.partition("Parameters that need --slow:")[2], "--sigma-range")


def test_short_help_option_shows_the_parameters(burnish):
    assert has_option(" ".join(burnish("apply", "l0-smoothing", "-h")[1].split()), "--lambda")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["apply", "l0-smothing"], "did you mean l0-smoothing?"),
        (["compare", "tv-l2"], "did you mean tv-l1?"),
        (["train", "l0-smothing"], "did you mean l0-smoothing?"),
        (["apply", "zzz"], "burnish operators list"),
        (["apply", "photo.jpg"], "burnish apply OPERATOR PHOTO"),
        (["apply", "splash"], "burnish regions splash"),
        (["apply", "no.onnx"], "no such file"),
    ],
)
def test_help_of_an_unknown_operator_fails(burnish, arguments, word):
    code, out, err = burnish(*arguments, "--help")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"burnish: {arguments[1]}: ")
    assert word in err


@pytest.mark.parametrize("command", ["apply", "compare", "evaluate", "train", "cube", "replay"])
def test_help_without_an_operator_lists_no_parameter(burnish, command):
    text = help_text(burnish, command)
    assert f"`burnish {command} " in text
    assert "Parameters of the operator" not in text
    assert "--lambda" not in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "tv-l1"],
        ["compare", "tv-l1"],
        ["evaluate", "tv-l1", "--photos", "photos"],
        ["cube", "tv-l1"],
        ["apply", "rudin-osher-fatemi-best"],
    ],
)
def test_help_of_each_command_lists_the_parameters(burnish, arguments):
    text = help_text(burnish, *arguments)
    assert has_option(text.partition("Parameters of the operator:")[2], "--lambda")


def test_help_of_a_model_file_shows_the_values_of_its_card(burnish, slider_model):
    text = help_text(burnish, "apply", slider_model)
    assert has_option(text, "--lambda")
    assert has_option(text, "--kappa")


def test_help_of_replay_lists_the_parameters_of_the_history(burnish, photo_folder, tmp_path):
    edited = tmp_path / "edited.png"
    arguments = ["--lambda", "0.05", "-o", edited]
    assert burnish("apply", "l0-smoothing", photo_folder / "1.png", *arguments)[0] == 0
    text = help_text(burnish, "replay", edited)
    assert has_option(text, "--lambda")
    assert "[default: 0.05]" in text
    assert "[default: 0.02]" not in text


def test_help_of_replay_shows_the_recorded_values_of_a_region_edit(burnish, photo_folder, tmp_path):
    edited = tmp_path / "edited.png"
    arguments = ["--box", "1,1,9,9", "--colour", "#123456", "-o", edited]
    assert burnish("regions", "fill", photo_folder / "1.png", *arguments)[0] == 0
    assert "[default: #123456]" in help_text(burnish, "replay", edited)


@pytest.mark.parametrize(
    "order",
    [
        ["l0-smoothing", "{photo}", "--lambda", "0.05", "-o", "{target}"],
        ["--lambda", "0.05", "l0-smoothing", "-o", "{target}", "{photo}"],
        ["-o", "{target}", "l0-smoothing", "--lambda=0.05", "{photo}"],
        ["--lambda=0.05", "-q", "-o", "{target}", "--", "l0-smoothing", "{photo}"],
    ],
)
def test_options_and_arguments_come_in_any_order(burnish, photo_folder, tmp_path, order):
    photo, target, expected = photo_folder / "1.png", tmp_path / "x.png", tmp_path / "expected.png"
    code, _, err = burnish("apply", *(a.format(photo=photo, target=target) for a in order))
    assert code == 0, err
    assert burnish("apply", "l0-smoothing", photo, "--lambda", "0.05", "-o", expected)[0] == 0
    assert target.read_bytes() == expected.read_bytes()
    assert burnish("apply", "l0-smoothing", photo, "-o", expected, "--overwrite")[0] == 0
    assert target.read_bytes() != expected.read_bytes()


@pytest.mark.parametrize(
    "operator",
    ["l0-smoothing", "{model}", "python:mine.py:negative", "command:cp {input} {output}"],
)
def test_option_of_another_operator_names_its_operators(
    burnish, photo_folder, slider_model, tmp_path, monkeypatch, operator
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def negative(rgb):\n    return 1 - rgb\n")
    name = operator.replace("{model}", str(slider_model))
    code, out, err = burnish("apply", "--slow", name, photo_folder / "1.png", "--sigma-range", "3")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("burnish: --sigma-range: ")
    assert "bilateral, rolling-guidance" in err


@pytest.mark.parametrize(("name", "expected"), [("l0-smothing", 2), ("no.onnx", 3)])
def test_unknown_operator_with_an_option_is_reported_by_name(burnish, photo_folder, name, expected):
    code, out, err = burnish("apply", name, photo_folder / "1.png", "--lambda", "0.05")
    assert (code, out, err.count("\n")) == (expected, "", 1)
    assert err.startswith(f"burnish: {name}: ")


@pytest.mark.parametrize(
    ("line", "offered", "absent"),
    [
        ("burnish ap", "apply", "replay"),
        ("burnish apply l0", "l0-smoothing", "tv-l1"),
        ("burnish cube lu", "lut", "l0-smoothing"),
        ("burnish apply l0-smoothing --", "--kappa", "--sigma"),
        ("burnish apply l0-smoothing --", "--feather", "--sigma"),
        ("burnish apply bilateral photo.jpg --sig", "--sigma-range", "--kappa"),
        ("burnish apply --", "--overwrite", "--kappa"),
        ("burnish train tv-l1 --photos p --la", "--lambda", "--kappa"),
        ("burnish compare l0-smoothing --ka", "--kappa", "--sigma"),
        ("burnish evaluate l0-smoothing --ka", "--kappa", "--sigma"),
        ("burnish cube lut --l", "--lut", "--kappa"),
    ],
)
def test_bash_completion_offers_the_options_of_the_operator(
    monkeypatch, capfd, line, offered, absent
):
    monkeypatch.setenv("_BURNISH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    monkeypatch.setattr(sys, "argv", ["burnish"])
    with pytest.raises(SystemExit):
        typer.main.get_command(app).main(args=[], prog_name="burnish")
    words = capfd.readouterr().out.split()
    assert offered in words
    assert absent not in words


def walk(command):
    """Yield the commands of a group and of its subgroups."""
    for name in getattr(command, "list_commands", lambda _: ())(None):
        child = command.get_command(None, name)
        yield from walk(child) if hasattr(child, "list_commands") else [child]


def test_help_names_values_in_capitals_instead_of_python_types():
    commands = list(walk(typer.main.get_command(app)))
    assert len(commands) > 20
    for command in commands:
        context = typer.Context(command, info_name=command.name)
        text = command.get_help(context)
        assert "{" not in text.partition("\n")[0]
        assert not re.search(r"<[a-z]|\b(INTEGER|FLOAT|DIR|PATH)\b|<=x|x>=", text), command.name


def test_completion_can_be_installed(burnish):
    assert "--install-completion" in help_text(burnish)


@pytest.mark.parametrize(
    "arguments",
    [
        ["apply", "dehase", "{photo}"],
        ["apply", "--slow", "dehase", "{photo}"],
        ["apply", "dehase", "--help"],
        ["apply", "tv-l1,dehase", "{photo}"],
        ["compare", "dehase", "{photo}"],
        ["cube", "dehase", "-o", "x.cube"],
        ["operators", "show", "dehase"],
        ["models", "show", "dehase"],
        ["models", "path", "dehase"],
    ],
    ids=" ".join,
)
def test_unknown_name_is_wrong_usage_in_every_command(burnish, photo_folder, arguments):
    photo = str(photo_folder / "1.png")
    code, out, err = burnish(*(text.replace("{photo}", photo) for text in arguments))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("burnish: dehase: ")
    assert "dark-channel-dehazing" in err


def test_several_operators_take_parameters_by_name_or_with_the_operators_name(burnish):
    text = help_text(burnish, "apply", "tv-l1,l0-smoothing,multiscale-tone")
    assert has_option(text, "--tv-l1.lambda")
    assert has_option(text, "--l0-smoothing.lambda")
    assert has_option(text, "--fine")
    assert not has_option(text, "--lambda")
    assert not has_option(text, "--multiscale-tone.fine")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lambda", "0.4"], "--lambda: tv-l1 and l0-smoothing have this parameter"),
        (["--tv-l1.lambda", "7"], "--tv-l1.lambda: expected 0.1 to 2, got 7"),
        (["--fine", "1"], "--fine: tv-l1 and l0-smoothing has no such parameter"),
        (["--tv-l2.lambda=7"], "there is no option --tv-l2.lambda"),
        (["--strength", "7"], "--strength: expected a number, 0 to 1, got 7"),
    ],
)
def test_wrong_value_for_several_operators_is_reported(burnish, photo_folder, arguments, message):
    photo = photo_folder / "1.png"
    code, out, err = burnish("apply", "tv-l1,l0-smoothing", photo, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f": {message}" in err
