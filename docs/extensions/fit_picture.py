"""The picture of the page Architecture: one fit, from `fit(X, y)` to the kernels and back.

The tables below are its only source. Sphinx writes the SVG before it reads the pages. To look at
the picture without Sphinx: `python docs/extensions/fit_picture.py > fit.svg`.
"""

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

PICTURE = "generated/fit.svg"  # below docs/
WIDTH, HEIGHT = 944, 800
LINE = 17  # height of a line of text
FILES = re.compile(r"([a-z_]+/)?(\w+\.(?:pyx|pxd|py|h))\b")  # a line of a box that names files
COLUMN = 252  # width of a box
LEFT, MIDDLE, RIGHT = 100, 391, 682  # where the boxes of a column begin


@dataclass(frozen=True)
class Room:
    """A band of the picture."""

    name: str
    top: int
    bottom: int


@dataclass(frozen=True)
class Box:
    """A step of the fit: what it does, and in monospace the files below `fastbp/` that do it."""

    x: int
    y: int
    title: str
    lines: tuple = ()
    width: int = COLUMN
    kind: str = "step"  # or "value": data on their way from room to room

    @property
    def height(self):
        return LINE * (bool(self.title) + len(self.lines)) + 10

    @property
    def bottom(self):
        return self.y + self.height

    @property
    def center(self):
        return self.x + self.width // 2


ROOMS = (
    Room("estimators", 52, 152),
    Room("training", 228, 382),
    Room("threads", 390, 450),
    Room("kernels", 526, 796),
)

BOXES = {
    "fit": Box(LEFT, 8, "fit(X, y)"),
    "fitted": Box(RIGHT, 8, "the fitted estimator"),
    "job": Box(
        LEFT,
        60,
        "job = self._job(X, y)",
        (
            "checks parameters and data,",
            "draws the initial weights",
            "estimators/base.py, inputs.py",
        ),
    ),
    "adopt": Box(
        RIGHT,
        60,
        "self._adopt(course)",
        (
            "one assignment replaces the Model;",
            "then attributes and warnings",
            "estimators/base.py, model.py",
        ),
    ),
    "a job": Box(
        LEFT,
        168,
        "",
        ("Job: Samples, Objective, Rule,", "Course, limits"),
        kind="value",
    ),
    "a course": Box(
        RIGHT,
        168,
        "",
        ("Course: trained network,", "optimizer, list of Epochs"),
        kind="value",
    ),
    "run": Box(
        LEFT,
        236,
        "training.run(job, watches)",
        (
            "chooses the loop;",
            "knows no estimator",
            "training/running.py",
        ),
    ),
    "epoch": Box(
        MIDDLE,
        236,
        "one epoch",
        (
            "draws the order of the samples,",
            "computes the rate of the steps",
            "training/minibatch.py, schedules.py",
            "or one iteration of L-BFGS: SciPy",
            "asks for loss and gradient",
            "training/lbfgs.py, gradient.py",
        ),
    ),
    "watch": Box(
        RIGHT,
        236,
        "append an Epoch",
        (
            "watches print, validate, keep the",
            "best weights, decide when to stop",
            "training/course.py, watches.py",
        ),
    ),
    "team": Box(
        MIDDLE,
        398,
        "one thread for each rank",
        ("threads/team.py",),
    ),
    "a task": Box(
        LEFT,
        466,
        "",
        ("Program, params, state, Rank, Task:", "samples, objective, rule, order, rates"),
        kind="value",
    ),
    "a tally": Box(
        RIGHT,
        466,
        "",
        ("params and state, changed in place;", "tally: loss sum, samples, steps"),
        kind="value",
    ),
    "door": Box(
        LEFT,
        534,
        "core.train_epochs(...)",
        (
            "checks all arrays once; from here on",
            "no Python, no GIL, no allocation",
            "_core.pyx, kernels/binding_task.pxd",
        ),
    ),
    "done": Box(
        RIGHT,
        534,
        "return",
        (
            "after the last batch, or at the end",
            "of a batch if training has to stop",
            "_core.pyx, kernels/team.h",
        ),
    ),
    "row phase": Box(
        LEFT,
        650,
        "row phase: forward, loss, delta",
        (
            "rank 0: some rows of the batch",
            "rank 1: the other rows",
            "kernels/row_phase.pxd, affine.pxd,",
            "kernels/activations.pxd, losses.pxd",
        ),
        width=350,
    ),
    "column phase": Box(
        524,
        650,
        "column phase: gradient, optimizer step",
        (
            "rank 0: some slices of each weight matrix",
            "rank 1: the other slices",
            "kernels/column_phase.pxd, affine.pxd,",
            "kernels/optimizers.pxd",
        ),
        width=350,
    ),
}

BARRIERS = (487, 897)  # x
BARRIER_TOP, BARRIER_BOTTOM = 642, 756


def down(start, end):
    """From the bottom of a box to the top of one below it."""
    x = BOXES[end].center
    return ((x, BOXES[start].bottom), (x, BOXES[end].y))


def up(start, end):
    """From the top of a box to the bottom of one above it."""
    x = BOXES[start].center
    return ((x, BOXES[start].y), (x, BOXES[end].bottom))


def across(start, end, height=20):
    """From a box to the next one in the same row."""
    start, end = BOXES[start], BOXES[end]
    y = start.y + height
    if start.x < end.x:
        return ((start.x + start.width, y), (end.x, y))
    return ((start.x, y), (end.x + end.width, y))


ARROWS = (  # points on the way, and a label
    (down("fit", "job"), ""),
    (down("job", "a job"), ""),
    (down("a job", "run"), ""),
    (across("run", "epoch"), ""),
    (down("epoch", "team"), ""),
    (((MIDDLE, 420), (BOXES["a task"].center, 420), (BOXES["a task"].center, 466)), ""),
    (down("a task", "door"), ""),
    (((BOXES["door"].center, BOXES["door"].bottom), (BOXES["door"].center, 650)), ""),
    (across("row phase", "column phase", 50), ""),
    (((874, 700), (918, 700), (918, 780), (80, 780), (80, 700), (LEFT, 700)), "next batch"),
    (((918, 700), (918, BOXES["done"].bottom)), ""),
    (up("done", "a tally"), ""),
    (up("a tally", "watch"), ""),
    (across("watch", "epoch"), "next"),
    (up("watch", "a course"), ""),
    (up("a course", "adopt"), ""),
    (up("adopt", "fitted"), ""),
)

STYLE = """
  .fit { width: 100%; height: auto; font: 13px sans-serif; }
  .fit text { fill: var(--pst-color-text-base, #222832); }
  .fit .band { fill: var(--pst-color-surface, #f3f4f5); }
  .fit .step { fill: var(--pst-color-background, #ffffff); }
  .fit .step { stroke: var(--pst-color-border, #c9c9c9); }
  .fit .value { fill: none; stroke: #1f77b4; stroke-dasharray: 4 3; }
  .fit .title { font-weight: bold; }
  .fit .file, .fit .label { fill: var(--pst-color-text-muted, #48566b); font-size: 11.5px; }
  .fit .file { font-family: monospace; }
  .fit .arrow { fill: none; stroke: var(--pst-color-text-muted, #48566b); stroke-width: 1.5; }
  .fit .head { fill: var(--pst-color-text-muted, #48566b); }
  .fit .barrier { stroke: #e07b28; stroke-width: 4; }
"""


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def draw_room(room):
    return [
        f'<rect class="band" x="0" y="{room.top}" width="{WIDTH}" '
        f'height="{room.bottom - room.top}" rx="6"/>',
        text(10, room.top + 20, room.name, "title"),
    ]


def draw_box(box):
    """The frame and the lines of text in it, from top to bottom."""
    rows = [(box.title, "title")] if box.title else []
    rows += [(line, "file" if FILES.findall(line) else "line") for line in box.lines]
    return [
        f'<rect class="{box.kind}" x="{box.x}" y="{box.y}" width="{box.width}" '
        f'height="{box.height}" rx="{4 if box.kind == "step" else 14}"/>',
        *(
            text(box.center, box.y + 17 + LINE * row, words, kind, "middle")
            for row, (words, kind) in enumerate(rows)
        ),
    ]


def draw_arrow(points, label):
    """A line through the points with a head at its end; the label is above its middle."""
    (x, y), (before_x, before_y) = points[-1], points[-2]
    dx, dy = (x > before_x) - (x < before_x), (y > before_y) - (y < before_y)
    head = [
        (x, y),
        (x - 8 * dx - 4 * dy, y - 8 * dy - 4 * dx),
        (x - 8 * dx + 4 * dy, y - 8 * dy + 4 * dx),
    ]
    middle = len(points) // 2
    (x1, y1), (x2, _) = points[middle - 1], points[middle]
    lines = [
        f'<polyline class="arrow" points="{" ".join(f"{px},{py}" for px, py in points)}"/>',
        f'<polygon class="head" points="{" ".join(f"{px},{py}" for px, py in head)}"/>',
    ]
    if label:
        lines.append(text((x1 + x2) // 2, y1 - 5, label, "label", "middle"))
    return lines


def draw():
    """The picture as SVG."""
    parts = [line for room in ROOMS for line in draw_room(room)]
    for x in BARRIERS:
        parts += [
            f'<line class="barrier" x1="{x}" y1="{BARRIER_TOP}" x2="{x}" y2="{BARRIER_BOTTOM}"/>',
            text(x + 2, BARRIER_TOP - 5, "barrier", "label", "end"),
        ]
    parts += [line for points, label in ARROWS for line in draw_arrow(points, label)]
    parts += [line for box in BOXES.values() for line in draw_box(box)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="fit" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'role="img">',
            "<title>One fit, from fit(X, y) to the kernels and back</title>",
            f"<style>{STYLE}</style>",
            *parts,
            "</svg>\n",
        ]
    )


def files():
    """The files that the picture names, as paths below `fastbp/`."""
    named = set()
    for line in (line for box in BOXES.values() for line in box.lines):
        room = ""
        for folder, file in FILES.findall(line):
            room = folder or room
            named.add(room + file)
    return named


def write(app):
    path = Path(app.srcdir, PICTURE)
    path.parent.mkdir(exist_ok=True)
    path.write_text(draw(), encoding="utf-8")


def setup(app):
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    print(draw(), end="")
