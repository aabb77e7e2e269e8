"""Names and numbers as text, as tables, messages and pictures have them."""

from collections.abc import Sequence

NAME_WIDTH = 24  # of an activation in the table: a formula may be long


def shortened(name: str) -> str:
    return name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 1] + "…"


def layers_in_words(numbers: Sequence[int]) -> str:
    """The layers in words: 'layer 3', 'layers 1 to 4', 'layers 1, 2 and 5'."""
    if len(numbers) == 1:
        return f"layer {numbers[0]}"
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"layers {numbers[0]} to {numbers[-1]}"
    return f"layers {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
