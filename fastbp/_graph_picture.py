"""Pictures of computational graphs: Mermaid, Graphviz, and SVG for notebooks.

Each edge shows the value that goes forward over it and, once `backward` ran, the derivative of the
result by it, which comes back.

All take nodes, (label, whether it is an operation), inputs before results, the result last; and
edges, (from, to, value, derivative or None). `to` is None behind the result.
"""

from html import escape

import numpy as np

COLUMN, LINE, MARGIN = 170, 64, 60  # pixels of the SVG
LONGEST = 18  # characters of a value


def shown(value):
    """A number in few digits; of an array its shape, unless it is short."""
    if value is None:
        return ""
    if np.ndim(value) == 0:
        return f"{value:.4g}"
    text = np.array2string(np.asarray(value), precision=3, separator=" ").replace("\n", "")
    return text if len(text) <= LONGEST else f"array {'×'.join(map(str, np.shape(value)))}"


def both(value, grad):
    """What stands on an edge."""
    return " / ".join(filter(None, [
        value is not None and f"{shown(value)} →", grad is not None and f"← {shown(grad)}"
    ]))  # fmt: skip


def mermaid(nodes, edges):
    """Mermaid text."""
    body = [
        f'  n{k}(("{escape(label)}"))' if operates else f'  n{k}["{escape(label)}"]'
        for k, (label, operates) in enumerate(nodes)
    ]
    for start, end, value, grad in edges:
        what = escape(both(value, grad))
        end = "result[ ]" if end is None else f"n{end}"
        body.append(f'  n{start} -- "{what}" --> {end}' if what else f"  n{start} --> {end}")
    return "\n".join(["graph LR", *body]) + "\n"


def dot(nodes, edges):
    """Graphviz text."""

    def quoted(what):
        return '"' + what.replace("\\", "\\\\").replace('"', '\\"') + '"'

    body = [
        f"  n{k} [label={quoted(label)}, shape={'circle' if operates else 'box'}]"
        for k, (label, operates) in enumerate(nodes)
    ]
    for start, end, value, grad in edges:
        end = "result" if end is None else f"n{end}"
        body.append(f"  n{start} -> {end} [label={quoted(both(value, grad))}]")
    return "\n".join(["digraph {", "  rankdir=LR", '  result [label="", shape=none]', *body, "}\n"])


def placed(nodes, edges):
    """x and y of each node: results right of all their inputs, inputs just left of their use."""
    depth, users = [0] * len(nodes), [[] for _ in nodes]
    for start, end, _, _ in edges:
        if end is not None:
            depth[end] = max(depth[end], depth[start] + 1)  # inputs come before results
            users[start].append(end)
    for k, after in enumerate(users):
        if after and not nodes[k][1]:
            depth[k] = min(depth[i] for i in after) - 1
    columns = [[k for k in range(len(nodes)) if depth[k] == d] for d in range(max(depth) + 1)]
    tallest = max(map(len, columns))
    places = {}
    for d, members in enumerate(columns):
        for row, k in enumerate(members):
            # Every other column a little lower: an edge does not run through a node between.
            y = MARGIN + (row + (tallest - len(members)) / 2) * 2 * LINE + d % 2 * LINE / 3
            places[k] = MARGIN + d * COLUMN, y
    size = 2 * MARGIN + len(columns) * COLUMN, 2 * MARGIN + (2 * tallest - 1) * LINE
    return places, size


def svg(nodes, edges):
    """SVG, forward values in blue and derivatives in red."""
    places, (width, height) = placed(nodes, edges)
    parts = []
    for start, end, value, grad in edges:
        x, y = places[start]
        to_x, to_y = (x + COLUMN, y) if end is None else places[end]
        parts.append(
            f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{to_x:.0f}" y2="{to_y:.0f}" stroke="#888"/>'
        )
        for line, color, rise in (
            (shown(value) and f"{shown(value)} →", "#1f4e9c", -5),
            (shown(grad) and f"← {shown(grad)}", "#b3261e", 13),
        ):
            parts.append(
                f'<text x="{(x + to_x) / 2:.0f}" y="{(y + to_y) / 2 + rise:.0f}" fill="{color}" '
                f'text-anchor="middle">{escape(line)}</text>'
            )
    for k, (label, operates) in enumerate(nodes):
        (x, y), half = places[k], max(18, 4 * len(label) + 8)
        parts.append(
            f'<rect x="{x - half:.0f}" y="{y - 16:.0f}" width="{2 * half}" height="32" '
            f'rx="{16 if operates else 3}" fill="#fff" stroke="#444"/>'
            f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle">{escape(label)}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="12">'
        + "".join(parts)
        + "</svg>"
    )
