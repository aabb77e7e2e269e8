"""Names and numbers of layers as text, for tables, messages and pictures."""

from collections.abc import Sequence

NAME_WIDTH = 24  # most characters of an activation, which may be a long formula


def shortened(name: str) -> str:
    return name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 1] + "…"


def layers_in_words(numbers: Sequence[int]) -> str:
    """The numbers of layers in words: 'layer 3', 'layers 1 to 4', 'layers 1, 2 and 5'."""
    if len(numbers) == 1:
        return f"layer {numbers[0]}"
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"layers {numbers[0]} to {numbers[-1]}"
    return f"layers {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
