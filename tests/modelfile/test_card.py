import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from burnish.errors import ModelError
from burnish.modelfile.card import Card

SCHEMA = Path(__file__).parents[2] / "docs" / "card.schema.json"


def json_with(card: Card, **changes: Any) -> str:
    return json.dumps(json.loads(card.model_dump_json()) | changes)


def test_card_round_trips_through_json(card: Card) -> None:
    assert Card.parse(card.model_dump_json(), "soft.onnx") == card


def test_measurement_needs_no_cast_grain_guide_and_params(card: Card) -> None:
    measurement = json.loads(card.model_dump_json())["metrics"][0]
    for field in ("cast_mean", "cast_worst", "grain_mean", "guide", "params"):
        del measurement[field]
    parsed = Card.parse(json_with(card, metrics=[measurement]), "older.onnx").metrics[0]
    assert (parsed.cast_mean, parsed.grain_mean, parsed.guide, parsed.params) == (
        None,
        None,
        None,
        {},
    )


def test_schema_in_docs_is_current() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == Card.model_json_schema()


def test_schema_accepts_a_card_and_rejects_an_invalid_one(card: Card) -> None:
    schema = Card.model_json_schema()
    jsonschema.validate(json.loads(card.model_dump_json()), schema)
    with pytest.raises(jsonschema.ValidationError, match="-1 is less"):
        jsonschema.validate(json.loads(json_with(card, halo=-1)), schema)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"halo": "1"}, "halo"),
        ({"halo": 1.5}, "halo"),
        ({"halo": 10**6}, "halo"),
        ({"size_multiple": 0}, "size_multiple"),
        ({"peak_activations_per_pixel": 10**6}, "peak_activations_per_pixel"),
        ({"normalisation": "instance"}, "normalisation"),
        ({"name": "../soft"}, "name"),
        ({"title": "soft\x1b[2J"}, "title"),
        ({"licence": "x" * 2000}, "licence"),
        ({"surprise": 1}, "surprise"),
        ({"paper": {"title": "a", "doi": "no doi"}}, "paper.doi"),
        ({"metrics": [{"photos": "some"}]}, "metrics.0.count"),
        ({"params": [{"name": "l", "effect": "e", "value": 9, "low": 0, "high": 1}]}, "params.0"),
        ({"training": {str(i): i for i in range(100)}}, "training"),
    ],
)
def test_invalid_field_is_named_in_one_line(
    card: Card, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(ModelError) as caught:
        Card.parse(json_with(card, **changes), "soft.onnx")
    assert caught.value.where == "soft.onnx"
    assert f"not valid: {field}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_build_returns_the_card_and_names_an_invalid_field(card: Card) -> None:
    fields = card.model_dump()
    assert Card.build(**fields) == card
    with pytest.raises(ModelError) as caught:
        Card.build(**fields | {"licence": "two\nlines"})
    assert caught.value.where == "card of soft"
    assert "licence = 'two\\nlines'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["name", "halo", "licence"])
def test_missing_field_is_named(card: Card, missing: str) -> None:
    fields = {name: value for name, value in card.model_dump().items() if name != missing}
    with pytest.raises(ModelError, match=f"{missing} = .*Field required"):
        Card.build(**fields)


def test_value_outside_its_range_is_rejected(card: Card) -> None:
    param = json.loads(card.model_dump_json())["params"][0] | {"value": 2}
    with pytest.raises(ModelError, match=r"value lies outside 0\.01 to 1"):
        Card.parse(json_with(card, params=[param]), "soft.onnx")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "NaN", "[" * 10_000])
def test_text_that_is_not_a_card_is_rejected(text: str) -> None:
    with pytest.raises(ModelError, match="card is not valid"):
        Card.parse(text, "soft.onnx")


def test_nan_is_rejected(card: Card) -> None:
    text = card.model_dump_json().replace('"psnr_mean":40.5', '"psnr_mean":NaN')
    with pytest.raises(ModelError, match="card is not valid"):
        Card.parse(text, "soft.onnx")


def test_huge_card_is_rejected_unread(card: Card) -> None:
    with pytest.raises(ModelError, match="more than 65536"):
        Card.parse(json_with(card, training={"log": "x" * 70_000}), "soft.onnx")
