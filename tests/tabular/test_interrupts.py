"""Ctrl-C in a fit of members: all threads end, and the model is the old one or the new one."""

import _thread
import sys
import threading
import time

import numpy as np
import pytest
from tables import output, small

import fastbp.estimators
import fastbp.tabular
from fastbp.threads import cores
from interrupts import THREADS, InterruptAt, files_of, ranks_alive, wait_for_ranks

pytestmark = pytest.mark.usefixtures("nothing_remains")

OWN = ("base.py", "members.py", "progress.py")
FILES = (
    *(path for path in files_of(fastbp.tabular) if path.endswith(OWN)),
    *(path for path in files_of(fastbp.estimators) if path.endswith("side_by_side.py")),
)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to oneself")
@pytest.mark.usefixtures("heeds_sigint")
@pytest.mark.parametrize("n_threads", [1, 2, None])
@pytest.mark.parametrize(("kind", "n_members"), [("binary", 1), ("numbers", 5)])
def test_ctrl_c_ends_all_threads_and_changes_nothing(kind, n_members, n_threads):
    model, X, y = small(kind, n_members=n_members, n_threads=n_threads)
    before = output(model.fit(X, y), X)
    members = model.members_
    sent = []

    def interrupt():
        time.sleep(0.2)
        sent.append(time.monotonic())
        _thread.interrupt_main()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            model.set_params(max_iter=10**7).fit(X, y)
        assert time.monotonic() - sent[0] < 5
    finally:
        thread.join()
    assert model.members_ is members
    np.testing.assert_array_equal(output(model, X), before)


def test_an_interrupt_at_any_line_leaves_no_thread_and_no_half_of_a_model():
    model, X, y = small("numbers", n_members=2, n_threads=2, max_iter=1, hidden_layer_sizes=(4,))
    files = (*THREADS, *FILES)
    expected = output(model.fit(X, y), X)
    n, tracer = 0, None
    while n == 0 or tracer.raised:
        n += 5
        before = model.members_
        with InterruptAt(n, files) as tracer:
            try:
                model.fit(X, y)
            except KeyboardInterrupt:
                whole = model.members_ is before or len(model.members_) == 2
                assert whole, tracer.raised
        np.testing.assert_array_equal(output(model, X), expected)
        wait_for_ranks()
        assert not ranks_alive() and not cores._cores_taken, tracer.raised
    assert n > 100
