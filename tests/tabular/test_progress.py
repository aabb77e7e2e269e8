"""How members share a limit of time, and the lines that are printed."""

import pytest
from tables import small

from fastbp.callbacks import StopWhen
from fastbp.tabular import progress
from fastbp.tabular.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [0.0]
    monkeypatch.setattr(progress, "perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("n_members", [1, 2, 5, 6, 12])
def test_rounds_have_equal_shares_of_the_time(clock, threads, n_members):
    """All members of a round begin together, and each uses up its share."""
    its = Progress(n_members, min(threads, n_members), 60.0, False)
    n_rounds = -(-n_members // threads)
    for first in range(0, n_members, threads):
        shares = [its.seconds_of_next() for _ in range(min(threads, n_members - first))]
        assert shares == pytest.approx([60 / n_rounds] * len(shares))
        clock[0] += shares[0]
    assert clock[0] == pytest.approx(60)


def test_members_that_end_early_leave_their_time_to_others(clock):
    its = Progress(3, 1, 30.0, False)
    assert its.seconds_of_next() == pytest.approx(10)
    clock[0] = 2
    assert its.seconds_of_next() == pytest.approx(14)
    clock[0] = 40
    assert 0 < its.seconds_of_next() < 0.01
    assert Progress(3, 1, None, False).seconds_of_next() is None


def test_with_callbacks_there_is_a_round_for_each_member(monkeypatch, clock):
    limits = []
    original = Progress.seconds_of_next

    def noted(self):
        limits.append(original(self))
        clock[0] += limits[-1]
        return None

    monkeypatch.setattr(Progress, "seconds_of_next", noted)
    model, X, y = small("numbers", max_iter=2, max_seconds=50.0, n_threads=4)
    model.set_callbacks(StopWhen(lambda _: False)).fit(X, y)
    assert limits == pytest.approx([10.0] * 5)


def test_the_time_that_is_left(clock, capsys):
    """Three seconds for each epoch, of which there are 2 * 2."""
    model, X, y = small("numbers", n_members=2, max_iter=2, verbose=2, n_threads=1)
    original = Progress.end_epoch

    def later(self, course):
        clock[0] += 3
        original(self, course)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "end_epoch", later)
        model.fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line[-8:] for line in lines] == [f"{left} s left" for left in (9, 6, 6, 3, 0, 0)]
    assert [line.split()[0] for line in lines] == 2 * ["epoch", "epoch", "member"]
    losses = [f"loss {loss:.6g}, " for curve in model.loss_curves_ for loss in curve]
    scores = [f"score {score:.4g}, " for curve in model.validation_curves_ for score in curve]
    epochs = [line for line in lines if line.startswith("epoch")]
    for number, line in enumerate(epochs):
        assert line.startswith(f"epoch {number + 1} of 4, {losses[number]}{scores[number]}")
