"""What tools answer, taken apart."""

import re


def block(text: str, *, after: int = 1) -> list[str]:
    """The lines between the marks, which must be a pair and the only ones; behind them stand at most `after` more."""
    pattern = rf"(?s)[^\n]*\n<data ([0-9a-f]{{6}})>\n(.*)\n</data \1>(\n[^\n]*){{0,{after}}}"
    matched = re.fullmatch(pattern, text)
    assert matched is not None, text
    return matched[2].split("\n")
