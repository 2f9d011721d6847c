"""Secrets in types that cannot be printed.

pydantic's SecretStr leaks through another field's ValidationError, through pickle and through vars();
this class has slots, one `reveal()`, and refuses everything else.
"""

from typing import Final, NoReturn, final

MASK: Final = "postgresql://***"


@final
class ConnectionUri:
    """A PostgreSQL connection URI. `reveal()` is a door: docs/explanation/architecture.md names who may call it."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_ConnectionUri__value", value)

    def reveal(self) -> str:
        """The secret itself."""
        return self.__value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a ConnectionUri does not change")

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConnectionUri) and other.__value == self.__value

    def __hash__(self) -> int:
        return hash((ConnectionUri, self.__value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a ConnectionUri is not pickled")

    __reduce_ex__ = __reduce__  # pyright: ignore[reportAssignmentType]

    def __copy__(self) -> "ConnectionUri":
        return self

    def __deepcopy__(self, memo: object) -> "ConnectionUri":
        return self
