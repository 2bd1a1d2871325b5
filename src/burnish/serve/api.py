"""The description of the service, made from the cards of the networks and the options."""

from collections.abc import Mapping, Sequence
from typing import Any

import burnish
from burnish.errors import UsageError, did_you_mean
from burnish.modelfile.card import Card
from burnish.modelfile.reader import read_card
from burnish.operators.registry import OPERATORS
from burnish.photo.formats import FORMATS
from burnish.runtime.model_registry import find_model, model_names
from burnish.serve.query import QueryOption, slider_options

_DESCRIPTION = "Edits photos by networks. All errors have the same form."
_ERRORS = {
    "401": "The token is missing or wrong.",
    "403": "A web page of another site sent the request.",
    "408": "The file did not arrive in time.",
    "411": "The request states no length.",
    "413": "The file or the photo is too large, or the edit takes too much memory.",
    "415": "The file is not an image that burnish reads.",
    "421": "The header Host is not a name of the service.",
    "422": "The photo is damaged or not accepted, or an option is wrong.",
    "500": "The edit failed.",
    "501": "The edit needs a library that is not installed.",
    "503": "Too many requests wait already; the header Retry-After states when to come again.",
    "504": "The edit took too long.",
}
_RESULT_HEADERS = {
    "Burnish-History": "The records of the edit, which the file holds, too, as JSON.",
    "Burnish-Warning": "A warning; there may be several.",
    "Content-Disposition": "A name for the file.",
}


def read_cards() -> dict[str, Card]:
    """Return the cards of the bundled networks, by name."""
    return {name: read_card(find_model(name)) for name in model_names()}


def find_card(cards: Mapping[str, Card], name: str) -> Card:
    """Return the card of a network. The name is only compared, and never opened as a file.

    Raises
    ------
    UsageError : there is no network of that name
    """
    if name in cards:
        return cards[name]
    if name in OPERATORS:
        raise UsageError(name, "this operator has no network", "choose one of /v1/operators")
    remedy = did_you_mean(name, cards, "choose one of /v1/operators")
    raise UsageError("operator", "there is no such operator", remedy)


def describe_operators(cards: Mapping[str, Card]) -> list[dict[str, Any]]:
    """Return the answer to `GET /v1/operators`."""
    records = []
    for name, card in cards.items():
        operator = OPERATORS.get(card.operator)
        records.append(
            {
                "name": name,
                "title": card.title,
                "about": operator.summary if operator else "",
                "keywords": list(operator.keywords) if operator else [],
                "qualities": card.qualities,
                "sliders": [
                    slider.model_dump(include={"name", "effect", "low", "high", "scale"})
                    | slider.model_dump(include={"unit", "integer"})
                    | {"default": slider.value}
                    for slider in card.sliders
                ],
            }
        )
    return records


def openapi(
    cards: Mapping[str, Card], shared: Sequence[QueryOption], *, has_token: bool
) -> dict[str, Any]:
    """Return the answer to `GET /openapi.json`: a description by OpenAPI 3.1."""
    get = _answer("An object.", {"application/json": {"schema": {"type": "object"}}})
    operators = {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}}
    paths: dict[str, Any] = {
        f"/v1/apply/{name}": {"post": _apply_operation(card, shared)}
        for name, card in cards.items()
    }
    paths["/v1/operators"] = {
        "get": _operation("operators", "List the operators and their sliders.")
        | {"responses": {"200": _answer("The operators.", operators)}}
    }
    for path, summary in {
        "/v1/health": "Version, queue, finished photos and memory.",
        "/openapi.json": "This description.",
    }.items():
        name = path.rpartition("/")[2].removesuffix(".json")
        paths[path] = {"get": _operation(name, summary) | {"responses": {"200": get}}}
    fields = {name: {"type": "string"} for name in ("where", "problem", "remedy")}
    error_schema = {"type": "object", "properties": fields, "required": list(fields)}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "burnish", "version": burnish.__version__, "description": _DESCRIPTION},
        "paths": paths,
        "components": {"schemas": {"Error": error_schema}},
    }
    if has_token:
        scheme = {"type": "http", "scheme": "bearer"}
        document["components"]["securitySchemes"] = {"token": scheme}
        document["security"] = [{"token": []}]
    return document


def _operation(name: str, summary: str) -> dict[str, Any]:
    return {"operationId": name, "summary": summary}


def _answer(description: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": content}


def _apply_operation(card: Card, shared: Sequence[QueryOption]) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    images: dict[str, Any] = {
        media_type(name): {} for name, format in FORMATS.items() if format.depths
    }
    text = {"type": "string"}
    result = _answer("The edited photo.", images) | {
        "headers": {
            name: {"description": description, "schema": text}
            for name, description in _RESULT_HEADERS.items()
        }
    }
    errors = {status: _answer(description, error) for status, description in _ERRORS.items()}
    return _operation(f"apply-{card.name}", f"{card.title}.") | {
        "parameters": [
            {
                "name": option.name,
                "in": "query",
                "description": option.description,
                "schema": option.schema,
            }
            for option in (*slider_options(card, shared), *shared)
        ],
        "requestBody": {"required": True, "content": {"image/*": {}}},
        "responses": {"200": result} | errors,
    }


def media_type(format: str) -> str:
    """Return the media type of a format that burnish writes.

    Examples
    --------
    >>> media_type("jpeg")
    'image/jpeg'
    """
    return f"image/{format}"
