"""The operators burnish knows; CLI, API, cards and docs derive from them."""

from burnish.operators.extra import MORE
from burnish.operators.operator import Operator
from burnish.operators.paper import TEN

OPERATORS: dict[str, Operator] = {**TEN, **MORE}
