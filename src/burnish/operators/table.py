"""The operators burnish knows, as one literal; CLI, API, cards and docs derive from it."""

from burnish.operators.operator import Operator, Paper
from burnish.params import Param

OPERATORS: dict[str, Operator] = {
    "l0-smoothing": Operator(
        name="l0-smoothing",
        title="L0 smoothing",
        about="Flattens texture and noise, keeps the strongest edges sharp",
        call="burnish.operators.l0_smoothing:l0_smoothing",
        params=(
            Param(
                "lambda",
                effect="leaves fewer edges and larger flat areas",
                default=0.02,
                low=0.002,
                high=0.2,
                scale="log",
            ),
            Param(
                "kappa",
                effect="makes the reference faster and coarser",
                default=2.0,
                low=1.05,
                high=8.0,
                scale="log",
            ),
        ),
        paper=Paper(
            title="Image Smoothing via L0 Gradient Minimization",
            authors="Li Xu, Cewu Lu, Yi Xu, Jiaya Jia",
            venue="ACM Transactions on Graphics 30(6), 2011",
            doi="10.1145/2070781.2024208",
        ),
    ),
}
