"""The errors of the service, and the HTTP status of every error."""

from http import HTTPStatus

from burnish.errors import BurnishError

# Exit code of the command line -> HTTP status.
STATUS = {
    1: HTTPStatus.UNPROCESSABLE_ENTITY,
    2: HTTPStatus.UNPROCESSABLE_ENTITY,
    3: HTTPStatus.NOT_IMPLEMENTED,
}


class ServiceError(BurnishError):
    """An error that only a service has.

    Parameters
    ----------
    status : HTTP status of the answer
    """

    def __init__(self, status: HTTPStatus, where: str, problem: str, remedy: str) -> None:
        super().__init__(where, problem, remedy)
        self.status = status


def status_of(error: BurnishError) -> HTTPStatus:
    """Return the HTTP status of the answer to a request that ends with an error."""
    return error.status if isinstance(error, ServiceError) else STATUS[error.exit_code]


def as_json(error: BurnishError) -> dict[str, str]:
    """Return the body of that answer. The place is named as in the query."""
    return {
        "where": error.where.removeprefix("--"),
        "problem": error.problem,
        "remedy": error.remedy,
    }
