"""A few cases of every row of the scorecard; the harness finds what it has to find."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest

if not hasattr(os, "fork"):
    pytest.skip("the cases run in forks", allow_module_level=True)

from trust import harness, memory, table
from trust.rows import ROWS, prepare


@pytest.fixture(scope="module", autouse=True)
def prepared():
    """What the forks have in common."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepare()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_promise(row):
    """In forks, as `make trust` does with all cases."""
    result = harness.Result(row)
    for number, verdict in harness.run(row, row.numbers(row.short), jobs=2):
        result.add(number, verdict)
    if result.reason:
        pytest.skip(result.reason)
    assert result.cases == row.short
    if result.failures:
        number, verdict = result.failures[0]
        pytest.fail(f"case {number}: {verdict.kind}\n{verdict.detail}", pytrace=False)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_that_lacked_memory_and_has_changed_is_seen():
    attempt = memory.Attempt(0)
    attempt.model.coefs_[0][0, 0] += 1
    with pytest.raises(AssertionError, match="the estimator has changed"):
        attempt.check(None)


# ---- the harness


def fail(number, _):
    """A case of each kind."""
    if number == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    elif number == 2:
        time.sleep(60)
    elif number == 3:
        raise KeyError("a")
    elif number == 4:
        raise AssertionError("not kept")
    elif number == 5:
        raise harness.Skipped("no such thing")
    elif number == 6:
        os._exit(3)
    elif number == 7:
        os._exit(0)
    elif number == 8:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    return {"things": 2}


def test_every_failure_is_seen():
    row = harness.Row("a", "b", "A promise.", fail, full=9, short=9, limit=2)
    result = harness.Result(row)
    verdicts = dict(harness.run(row, range(9), jobs=3))
    for number, verdict in verdicts.items():
        result.add(number, verdict)
    kinds = [verdicts[number].kind for number in range(9)]
    assert kinds == ["held", "crash", "hang", "exception", "broken", "skipped", "crash"] + [
        "exception",
        "held",
    ]
    assert "SIGSEGV" in verdicts[1].detail and "test_trust.py" in verdicts[1].detail
    assert "in fail" in verdicts[2].detail  # the stack of the hang
    assert "KeyError: 'a'" in verdicts[3].detail and "not kept" in verdicts[4].detail
    plain = result.to_plain()
    assert plain["cases"] == 8 and plain["tried"] == {"things": 4}
    assert [plain[kind] for kind in harness.FAILURES] == [2, 1, 2, 1]


def test_cases_are_reproducible_and_stop_at_the_deadline():
    row = harness.Row("a", "b", "", lambda _, rng: {"sum": int(rng.randint(10**6))}, 50, 5)
    first, again = (dict(harness.run(row, row.numbers(5), jobs=jobs)) for jobs in (1, 2))
    assert first == again and len({verdict.tried["sum"] for verdict in first.values()}) == 5
    assert dict(harness.run(row, [1], seed=1)) != dict(harness.run(row, [1]))
    assert first[row.numbers(5)[0]] == harness.attempt(row, row.numbers(5)[0], 0)
    assert not list(harness.run(row, range(50), deadline=time.monotonic()))
    assert row.numbers(50) == row.numbers(99) == list(range(50))


# ---- the scorecard


def stored():
    """A scorecard with two rows."""
    row = harness.Row("races", "steps", "Nothing is lost.", fail, 1, 1)
    result = harness.Result(row)
    result.add(0, harness.Verdict("held", tried={"predictions": 12_000}))
    first = {**result.to_plain(), "date": "2026-01-01", "revision": "abc"}
    other = {**first, "name": "none", "cases": 0, "skipped": "no such thing"}
    versions = {"fastbp": "1", "numpy": "2"}
    machine = {"cpu": "a CPU", "cores": 2, "system": "Linux", "python": "3.11"}
    return {"machine": {**machine, "versions": versions}, "rows": [first, other]}


def test_table():
    text = table.section(stored())
    assert (
        "| **races, steps.** Nothing is lost. | 1 cases: 12,000 predictions | 0 | 0 | 0 | 0 |"
        in text
    )
    assert "| not tried: no such thing | - | - | - | - |" in text
    assert "Python 3.11, fastbp 1, numpy 2; commit abc, 2026-01-01." in " ".join(text.split())


def test_sums_of_a_subject():
    first, other = stored()["rows"]
    text = table.sums({"rows": [first, {**other, "cases": 1234, "crash": 2}]})
    assert "| **races**: steps, none | 1,235 cases | 2 | 0 | 0 | 0 |" in text


def test_rows_take_the_place_of_their_names():
    before = stored()
    new = {**before["rows"][1], "cases": 3, "revision": "def"}
    after = table.merged(before, [new], before["machine"])
    assert after["rows"] == [before["rows"][0], new]
    assert "abc, 2026-01-01 (races, none: commit def" in " ".join(table.caption(after).split())
    assert table.merged(None, [new], {})["rows"] == [new]


@pytest.mark.skipif(not table.PAGE.exists(), reason="no docs beside the tests")
def test_page_shows_the_stored_scorecard():
    """`make trust` writes both; no figure is typed by hand."""
    known = table.read()
    assert table.shown(table.PAGE) == (table.section(known) if known else "")
    assert table.shown(table.README) == (table.sums(known) if known else "")
    if known:
        titles = {f"{row['subject']}/{row['name']}" for row in known["rows"]}
        assert {row.title for row in ROWS} <= titles
        assert json.dumps(known)
