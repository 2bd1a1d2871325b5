"""The base of all cards: a description as JSON text, for which types are strict and fields bounded.

A file may come from a stranger. Text holds no control characters that could steer a terminal.
"""

from typing import Annotated, Any, ClassVar, NoReturn, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from burnish.errors import ModelError

MAX_CARD_BYTES = 64 * 1024

PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"

Text = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=PRINTABLE)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


def reject(filename: str, problem: str, cause: Exception | None = None) -> NoReturn:
    """Raise the ModelError for a file that breaks a rule."""
    remedy = "get the file from its author again, or export it again with burnish"
    raise ModelError(filename, problem, remedy) from cause


class StrictModel(BaseModel):
    """A pydantic model that is immutable and takes no unknown field and no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BaseCard(StrictModel):
    """Base of the cards of models and of detectors."""

    # The key of the card in the metadata of an ONNX file.
    metadata_key: ClassVar[str]

    @classmethod
    def parse(cls, text: str, filename: str) -> Self:
        """Read a card from its JSON text. Types are strict: "1" is not a number.

        Raises
        ------
        ModelError : the text is too long or not JSON, or a field is missing, unknown or invalid
        """
        if (size := len(text.encode())) > MAX_CARD_BYTES:
            reject(filename, f"its card has {size} bytes, more than {MAX_CARD_BYTES}")
        try:
            return cls.model_validate_json(text, strict=True)
        except ValidationError as error:
            reject(filename, f"its card is not valid: {first_error(error)}", error)

    @classmethod
    def build(cls, **fields: Any) -> Self:
        """Make a card from its fields.

        Raises
        ------
        ModelError : a field is missing, unknown or invalid

        Examples
        --------
        >>> from burnish.modelfile.card import Card
        >>> Card.build(name="My Model")
        Traceback (most recent call last):
        burnish.errors.ModelError: card of My Model: name = My Model (String should match pattern \
'^[a-z0-9][a-z0-9._-]{0,63}$'); correct the field
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            name = _abbreviated(fields.get("name", "a model"))
            raise ModelError(f"card of {name}", first_error(error), "correct the field") from error


def first_error(error: ValidationError) -> str:
    """Return the first invalid field of a card, its value and the reason, on one line."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "the card"
    return f"{field} = {_abbreviated(first['input'])} ({_abbreviated(first['msg'])})"


def _abbreviated(value: object) -> str:
    # repr() escapes control characters in a stranger's text.
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
