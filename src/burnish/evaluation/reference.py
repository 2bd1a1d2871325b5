"""The reference operator that a model imitates, for its evaluation."""

from collections.abc import Callable, Mapping

from burnish.editing.edit import operator_params
from burnish.errors import UsageError
from burnish.modelfile.card import Card
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.params import Value
from burnish.types import Pixels


def reference_operator(card: Card) -> Operator:
    """Return the reference operator that a card names.

    Raises
    ------
    UsageError : the operator does not come with burnish. A card from elsewhere must not name
        code to run
    """
    operator = OPERATORS.get(card.operator)
    if operator is None:
        raise UsageError(
            f"model {card.name}",
            f"its operator {card.operator!r} does not come with burnish",
            "name the operator with --operator",
        )
    return operator


def reference_function(card: Card, params: Mapping[str, Value]) -> Callable[[Pixels], Pixels]:
    """Return the reference operator that a model imitates, with its parameters set.

    Parameters
    ----------
    params : values of the model's sliders, by name or keyword

    Raises
    ------
    UsageError : as in `reference_operator`; or the operator had a file as a parameter, which a
        card does not hold
    """
    operator = reference_operator(card)
    values = operator_params(card, params)
    for fixed in card.fixed_params:
        if fixed.sha256:
            raise UsageError(
                f"model {card.name}",
                f"its operator used the file {fixed.value}, which the card does not hold",
                f"run the operator: burnish apply --slow {card.operator} --{fixed.name} FILE",
            )
    return lambda pixels: operator.run(pixels, **values)
