"""The stored scorecard, the table of the page Reliability that shows it, and README's sums."""

import json
from pathlib import Path
from textwrap import fill

ROOT = Path(__file__).parents[2]
STORED = Path(__file__).with_name("scorecard.json")
PAGE = ROOT / "docs" / "guide" / "reliability.md"
README = ROOT / "README.md"
MARK = "<!-- trust -->"
HEADER = "| promise | tried | crashes | hangs | unexpected exceptions | broken promises |"
HEADER_OF_SUMS = HEADER.replace("promise ", "promises ", 1)
RULE = "|---|---|---:|---:|---:|---:|"
FOUND = ("crash", "hang", "exception", "broken")


def number(value):
    """An integer with its thousands separated."""
    return f"{value:,}"


def tried(row):
    """How many cases there were, and what they did."""
    if not row["cases"]:
        return f"not tried: {row['skipped']}"
    more = ", ".join(f"{number(count)} {what}" for what, count in row["tried"].items() if count)
    return f"{number(row['cases'])} {row['unit']}" + f": {more}" * bool(more)


def line(row):
    """The row as a line of the table."""
    cells = [number(row[kind]) if row["cases"] else "-" for kind in FOUND]
    title = f"**{row['subject']}, {row['name']}.** {row['promise']}"
    return f"| {title} | {tried(row)} | {' | '.join(cells)} |"


def revisions(rows):
    """The commits that were tried, of most rows first."""
    names = {}
    for row in rows:
        where = f"commit {row['revision']}, {row['date']}"
        names.setdefault(where, []).append(f"{row['subject']}, {row['name']}")
    most = max(names, key=lambda where: len(names[where]))
    rest = [f"{'; '.join(names[where])}: {where}" for where in names if where != most]
    return most + (f" ({'; '.join(rest)})" if rest else "")


def caption(stored):
    """Where and when the scorecard was made."""
    machine = stored["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['cores']} cores of {machine['cpu']}; {machine['system']}; Python "
        f"{machine['python']}, {versions}; {revisions(stored['rows'])}."
    )


def section(stored):
    """The text between the marks: the table and its caption."""
    lines = "\n".join([HEADER, RULE, *map(line, stored["rows"])])
    return f"{lines}\n\n{fill(caption(stored), 99)}"


def sums(stored):
    """The same of README.md, shorter: a row for each subject, with the sums of its promises."""
    subjects = {}
    for row in stored["rows"]:
        subjects.setdefault(row["subject"], []).append(row)
    lines = [HEADER_OF_SUMS, RULE]
    for subject, rows in subjects.items():
        names = f"**{subject}**: {', '.join(row['name'] for row in rows)}"
        cases = f"{number(sum(row['cases'] for row in rows))} {rows[0]['unit']}"
        cells = [number(sum(row[kind] for row in rows)) for kind in FOUND]
        lines.append(f"| {names} | {cases} | {' | '.join(cells)} |")
    return "\n".join(lines)


def read():
    """The stored scorecard, or None."""
    return json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else None


def shown(path):
    """The present text between the marks of a file."""
    return path.read_text(encoding="utf-8").split(MARK)[1].strip("\n")


def merged(stored, rows, facts):
    """The scorecard with these rows in place of those of the same name; new ones come last."""
    known = stored["rows"] if stored else []
    found = {(row["subject"], row["name"]): row for row in [*known, *rows]}
    return {"machine": facts, "rows": list(found.values())}


def show(path, text):
    """Put the text between the marks of a file."""
    before, _, after = path.read_text(encoding="utf-8").split(MARK)
    path.write_text(f"{before}{MARK}\n{text}\n{MARK}{after}", encoding="utf-8")


def store(stored):
    """Write the scorecard, and its tables into the page and README.md."""
    STORED.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    show(PAGE, section(stored))
    show(README, sums(stored))
