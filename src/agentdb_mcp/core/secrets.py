"""Secrets in types that cannot be printed.

pydantic's SecretStr leaks through another field's ValidationError, through pickle and through vars();
these classes have slots, one `reveal()`, and refuse everything else.
"""

from typing import ClassVar, Final, NoReturn, Self, final

MASK: Final = "postgresql://***"


class Masked:
    """A text that only `reveal()` gives back: a door, see docs/explanation/architecture.md."""

    __slots__ = ("__value",)

    mask: ClassVar[str] = "***"

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_Masked__value", value)

    def reveal(self) -> str:
        """The secret itself."""
        return self.__value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} does not change")

    def __repr__(self) -> str:
        return self.mask

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return self.mask

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Masked) and type(other) is type(self) and other.__value == self.__value

    def __hash__(self) -> int:
        return hash((type(self), self.__value))

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not pickled")

    __reduce_ex__ = __reduce__  # pyright: ignore[reportAssignmentType]

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


@final
class ConnectionUri(Masked):
    """A PostgreSQL connection URI."""

    __slots__ = ()

    mask = MASK


@final
class KeyText(Masked):
    """An encryption key as its operator wrote it: 64 hexadecimal digits, if all is well."""

    __slots__ = ()


@final
class ApiKey(Masked):
    """A provider's API key. Neon's equals every database's password (NEON_API_KEY)."""

    __slots__ = ()
