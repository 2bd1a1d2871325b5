"""The built-in operators by name; the command line, API, cards and docs derive from them."""

from burnish.operators.extra import EXTRA_OPERATORS
from burnish.operators.operator import Operator
from burnish.operators.paper import PAPER_OPERATORS

OPERATORS: dict[str, Operator] = {**PAPER_OPERATORS, **EXTRA_OPERATORS}
