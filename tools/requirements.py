"""Print requirements of pyproject.toml, one a line, for pip.

    python tools/requirements.py build test            # the lists of these names
    python tools/requirements.py build run --oldest    # the oldest versions allowed, pinned

The lists are the extras, `run` (what the package needs) and `build` (what its build needs).
"""

import argparse
import tomllib
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def read_lists() -> dict[str, list[str]]:
    """The lists of requirements by name."""
    table = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    extras = table["project"]["optional-dependencies"]
    return {
        **extras,
        "run": table["project"]["dependencies"],
        "build": table["build-system"]["requires"],
    }


def expand(name: str, lists: dict[str, list[str]]) -> Iterator[str]:
    """The requirements of a list; `fastbp[names]` in it stands for those of other lists."""
    for requirement in lists[name]:
        if requirement.startswith("fastbp["):
            for other in requirement.removeprefix("fastbp[").removesuffix("]").split(","):
                yield from expand(other, lists)
        else:
            yield requirement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    lists = read_lists()
    parser.add_argument("names", nargs="+", choices=lists, metavar="name", help=", ".join(lists))
    parser.add_argument("--oldest", action="store_true", help="turn lower bounds into pins")
    options = parser.parse_args()
    for name in options.names:
        for requirement in expand(name, lists):
            print(requirement.replace(">=", "==") if options.oldest else requirement)


if __name__ == "__main__":
    main()
