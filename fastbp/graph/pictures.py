"""Pictures of computational graphs: Mermaid, Graphviz, and SVG for notebooks.

Each edge shows the value that it passes forward. After `backward` it also shows the derivative of
the result that it passes back.

All functions take nodes and edges. A node is (label, whether it is an operation); inputs come
before results, and the result is last. An edge is (from, to, value, derivative or None); `to` is
None for the edge that leaves the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, TypeAlias

import numpy as np

Node: TypeAlias = tuple[str, bool]
Edge: TypeAlias = tuple[int, int | None, Any, Any]
Point: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[float, float, float, float]  # its middle, half its width and height

SYMBOLS = {  # by operation; all others are shown by name
    "add": "+",
    "subtract": "-",
    "multiply": "×",
    "divide": "÷",
    "power": "^",
    "negative": "-",
    "less": "<",
    "less_equal": "≤",
    "equal": "=",
}
GAP, LINE, MARGIN = 130, 64, 30  # in pixels of the SVG
CHARACTER = 7  # approximate width of a letter, in pixels
LONGEST = 18  # most characters of a value
MOST_NODES = 300  # in a picture of a notebook: more take long, and cannot be read


def shown(value: Any) -> str:
    """A number with few digits; a short array, or the shape of a long one."""
    if value is None:
        return ""
    if np.ndim(value) == 0:
        return f"{value:.4g}"
    text = np.array2string(np.asarray(value), precision=3, separator=" ").replace("\n", "")
    return text if len(text) <= LONGEST else f"array {'×'.join(map(str, np.shape(value)))}"


def both(value: Any, grad: Any) -> str:
    """The label of an edge."""
    forward = [] if value is None else [f"{shown(value)} →"]
    back = [] if grad is None else [f"← {shown(grad)}"]
    return " / ".join(forward + back)


def mermaid(nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """Mermaid text."""

    def quoted(what: str) -> str:
        return escape(" ".join(what.split()))

    body = [
        f'  n{k}(("{quoted(label)}"))' if operates else f'  n{k}["{quoted(label)}"]'
        for k, (label, operates) in enumerate(nodes)
    ]
    for start, end, value, grad in edges:
        what = escape(both(value, grad))
        to = "result[ ]" if end is None else f"n{end}"
        body.append(f'  n{start} -- "{what}" --> {to}' if what else f"  n{start} --> {to}")
    return "\n".join(["graph LR", *body]) + "\n"


def dot(nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """Graphviz text."""

    def quoted(what: str) -> str:
        return '"' + what.replace("\\", "\\\\").replace('"', '\\"') + '"'

    body = [
        f"  n{k} [label={quoted(label)}, shape={'circle' if operates else 'box'}]"
        for k, (label, operates) in enumerate(nodes)
    ]
    for start, end, value, grad in edges:
        to = "result" if end is None else f"n{end}"
        body.append(f"  n{start} -> {to} [label={quoted(both(value, grad))}]")
    return "\n".join(["digraph {", "  rankdir=LR", '  result [label="", shape=none]', *body, "}\n"])


def columns(nodes: Sequence[Node], edges: Sequence[Edge]) -> list[list[int]]:
    """The nodes of each column: results right of their inputs, inputs next to their first use."""
    depth = [0] * len(nodes)
    users: list[list[int]] = [[] for _ in nodes]
    for start, end, _, _ in edges:
        if end is not None:
            depth[end] = max(depth[end], depth[start] + 1)  # inputs come before results
            users[start].append(end)
    for k, after in enumerate(users):
        if after and not nodes[k][1]:
            depth[k] = min(depth[i] for i in after) - 1
    return [[k for k in range(len(nodes)) if depth[k] == d] for d in range(max(depth) + 1)]


def half_width(label: str) -> float:
    return max(18, CHARACTER * len(label) / 2 + 6)


def placed(nodes: Sequence[Node], edges: Sequence[Edge]) -> tuple[dict[int, Point], Point]:
    """The position of each node, and the size of the picture."""
    members_of = columns(nodes, edges)
    tallest = max(map(len, members_of))
    points: dict[int, Point] = {}
    right: float = MARGIN
    for d, members in enumerate(members_of):
        half = max(half_width(nodes[k][0]) for k in members)
        for row, k in enumerate(members):
            # Every other column is a little lower, so that edges do not cross nodes between them.
            y = MARGIN + (row + (tallest - len(members)) / 2) * 2 * LINE + d % 2 * LINE / 3
            points[k] = right + half, y
        right += 2 * half + GAP
    return points, (right, 2 * MARGIN + (2 * tallest - 2) * LINE + LINE / 3)


def free_point(start: Point, end: Point, half: float, taken: list[Box]) -> Point:
    """The point of an edge where its text overlaps the fewest nodes and other texts."""

    def crowd(point: Point) -> int:
        return sum(
            abs(point[0] - x) < half + its and abs(point[1] - y) < 15 + height
            for x, y, its, height in taken
        )

    parts = (0.5, 0.6, 0.4, 0.7, 0.3, 0.8, 0.2)
    (x, y), (to_x, to_y) = start, end
    points = [(x + part * (to_x - x), y + part * (to_y - y)) for part in parts]
    point = min(points, key=crowd)
    taken.append((*point, half, 15))
    return point


def text(x: float, y: float, what: str, color: str) -> str:
    """Text with a white outline, readable on lines."""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" fill="{color}" stroke="#fff" stroke-width="4" '
        f'paint-order="stroke" text-anchor="middle">{escape(what)}</text>'
    )


def svg(nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """SVG, values in blue and derivatives in red."""
    points, (width, height) = placed(nodes, edges)
    lines, texts, boxes = [], [], []
    taken: list[Box] = [(x, y, half_width(nodes[k][0]), 16) for k, (x, y) in points.items()]
    for start, end, value, grad in edges:
        x, y = points[start]
        to_x, to_y = (x + half_width(nodes[start][0]) + GAP, y) if end is None else points[end]
        lines.append(
            f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{to_x:.0f}" y2="{to_y:.0f}" stroke="#888"/>'
        )
        forward, back = f"{shown(value)} →", f"← {shown(grad)}" if grad is not None else ""
        half = CHARACTER * max(len(forward), len(back)) / 2
        x, y = free_point((x, y), (to_x, to_y), half, taken)
        if value is not None:
            texts.append(text(x, y - 5, forward, "#1f4e9c"))
        if back:
            texts.append(text(x, y + 13, back, "#b3261e"))
    for k, (label, operates) in enumerate(nodes):
        (x, y), half = points[k], half_width(label)
        boxes.append(
            f'<rect x="{x - half:.0f}" y="{y - 16:.0f}" width="{2 * half:.0f}" height="32" '
            f'rx="{16 if operates else 3}" fill="#fff" stroke="#444"/>'
            + text(x, y + 4, label, "#000")
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="12" '
        'style="background: #fff">' + "".join([*lines, *texts, *boxes]) + "</svg>"
    )
