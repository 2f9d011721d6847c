"""What the SDK asks of a stream beside its messages."""

from types import TracebackType
from typing import Self


class Stream:
    """One end of a connection that is closed where it was opened, and not by the SDK."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Nothing."""
