"""How Neon says no."""


class Refused(Exception):
    """An answer of 4xx or 5xx with Neon's JSON body."""

    def __init__(self, status: int, message: str, code: str = "", **headers: str) -> None:
        super().__init__(message)
        self.headers = headers
        self.status = status
        self.message = message
        self.code = code


def locked() -> Refused:
    """While an operation of the project is under way."""
    return Refused(
        423, "project already has running conflicting operations, scheduling of new ones is prohibited"
    )


def not_found(what: str) -> Refused:
    """A thing that is not there, or not this key's."""
    return Refused(404, f"{what} not found")


def invalid(detail: str) -> Refused:
    """A request that cannot be read."""
    return Refused(400, f"invalid request: {detail}")
