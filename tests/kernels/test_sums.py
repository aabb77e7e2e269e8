"""The law of sums: their bits depend on the rows of all data, not on how these are cut or added."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import neural_network

import oracle
from fastbp import MLPClassifier
from fastbp.estimators.inputs import as_rows
from fastbp.kernels import Rank, Task, core
from fastbp.network import Network
from fastbp.training import GRADIENT_CHUNK, Gradient, Job, Objective, Samples
from fastbp.training.course import Course
from problems import DTYPES, Problem, in_team, sums_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
CHUNK = 8
over_dtypes = pytest.mark.parametrize("dtype", DTYPES)
over_forms = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
over_weights = pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])


def random_cuts(rng, end):
    """Borders of parts, from 0 to `end` chunks; some parts are empty."""
    inner = rng.randint(0, end + 1, rng.randint(0, min(end, 9) + 1))
    return [0, *sorted(inner), end]


def joined(parts, params, end):
    """The sums of all parts, joined from left to right."""
    whole = sums_of(params, end)
    for part in parts:
        core.join_sums(*part, whole)
    return whole


def as_bytes(sums):
    """The nodes of a run, which are as many as its chunks have."""
    rows = bin(sums.chunks[1]).count("1") if sums.chunks[0] == 0 else len(sums.grads)
    return sums.grads[:rows].tobytes() + sums.totals[:rows].tobytes() + sums.chunks.tobytes()


# ---- the tree alone


def leaf(k, dtype):
    """Sums of chunk k, of three parameters."""
    sums = sums_of(np.empty(3, dtype), k + 1, k)
    rng = np.random.RandomState(k)
    sums.grads[0], sums.totals[0] = 10 ** rng.uniform(-8, 8, 3), rng.rand(3)
    sums.chunks[1] += 1
    return sums


@over_dtypes
def test_a_run_has_the_bits_of_the_tree(dtype):
    """Whatever the number of chunks, with the fewest rows that most_sums gives."""
    leaves, whole = [leaf(k, dtype) for k in range(70)], sums_of(np.empty(3, dtype), 70)
    for k, one in enumerate(leaves):
        core.join_sums(*one, whole)
        rows = bin(k + 1).count("1")
        grads, totals = (list(a[rows - 1 :: -1]) for a in (whole.grads, whole.totals[:rows]))
        for found, of_leaf in ((grads, "grads"), (totals, "totals")):
            total = found[0]
            for node in found[1:]:
                total = node + total
            of_leaves = [getattr(one, of_leaf)[0] for one in leaves[: k + 1]]
            np.testing.assert_array_equal(total, oracle.tree_sum(of_leaves))


def nodes(first, end):
    """(l, k) of the largest nodes k of the level l within the chunks first..end."""
    found = []
    while first < end:
        level = 0
        while first % 2 ** (level + 1) == 0 and first + 2 ** (level + 1) <= end:
            level += 1
        found.append((level, first >> level))
        first += 2**level
    return found


def test_there_is_room_for_every_run():
    for first in range(70):
        for end in range(first, 140):
            most = max(len(nodes(first, stop)) for stop in range(first, max(end, first + 1)))
            needed = most + 1 if end > first else 1
            assert needed <= core.most_sums(first, end)
            assert core.n_sums(first, end) == len(nodes(first, end))
            if first == 0 and end > 0:
                assert core.most_sums(0, end) == end.bit_length() == needed


@over_dtypes
def test_the_tree_has_the_same_bits_for_all_cuts(dtype):
    """Sums of parts that begin anywhere, which are joined in any order of neighbours."""
    rng, params, end = np.random.RandomState(0), np.empty(3, dtype), 45
    leaves = [leaf(k, dtype) for k in range(end)]
    whole = as_bytes(joined(leaves, params, end))
    for _ in range(200):
        parts = []
        for first, stop in pairwise(random_cuts(rng, end)):
            parts.append(sums_of(params, stop, first))
            for one in leaves[first:stop]:
                core.join_sums(*one, parts[-1])
        while len(parts) > 1:  # any two neighbours
            k = rng.randint(len(parts) - 1)
            left, right = parts[k : k + 2]
            both = sums_of(params, right.chunks[1], left.chunks[0])
            core.join_sums(*left, both)
            core.join_sums(*right, both)
            parts[k : k + 2] = [both]
        assert as_bytes(parts[0]) == whole


# ---- loss and gradient


class Cut:
    """A problem of several chunks, and its sums in parts.

    CSR rows have columns that most chunks lack.
    """

    def __init__(self, dtype, sparse, weighted, n=CHUNK * 37 + 5, scale=1.0, alpha=0.1):
        form = dict(hidden=(40, 9), features=30, sparse=sparse, weighted=weighted, alpha=alpha)
        self.problem = problem = Problem("relu", "log_loss", dtype, n=n, **form)
        self.params = problem.network.params
        self.params.flags.writeable = False
        if sparse:
            rare = np.random.RandomState(1).rand(n, 15) < 0.02
            problem.X[:, ::2] = np.where(rare, problem.X[:, ::2], 0)
            problem.x = as_rows(csr_array(problem.X), dtype)
        self.samples = Samples(problem.x, problem.y, problem.weight if weighted else None)
        if weighted:
            problem.weight *= scale
        self.end = -(-n // CHUNK)

    def task(self, first, end):
        samples = self.samples[first * CHUNK : min(end * CHUNK, len(self.samples))]
        return Task(samples, self.problem.objective, batch=CHUNK)

    def scratch(self, size=1):
        return self.problem.network.scratch(CHUNK, size, "gradient")

    def whole(self, size=1):
        """Loss and gradient by the one door, in a team of that size."""
        sums, tally = sums_of(self.params, self.end), np.zeros(2)
        arguments = self.params, sums, self.scratch(size), tally, self.task(0, self.end)
        in_team(
            core.loss_gradient, self.problem.words(), size, self.problem.network.plan, *arguments
        )
        assert tally[1] == len(self.samples) and not sums.chunks.any()
        return sums.grads[0].tobytes() + tally.tobytes()

    def add(self, sums, first, end, size=1):
        """Add chunks to the sums of those before."""
        arguments = self.params, sums, self.scratch(size), self.task(first, end)
        in_team(core.chunk_sums, self.problem.words(), size, self.problem.network.plan, *arguments)
        assert sums.chunks[1] == end
        return sums

    def part(self, first, end, size=1):
        """The sums of a part of the chunks, read-only as they come from elsewhere."""
        if first == end:
            return sums_of(self.params, end, first)
        sums = self.add(sums_of(self.params, end, first), first, end, size)
        for array in sums:
            array.flags.writeable = False
        return sums

    def finished(self, sums):
        """Loss and gradient from the sums of all chunks."""
        tally, scratch = np.zeros(2), self.problem.network.scratch(1, 1, "gradient")
        plan, objective = self.problem.network.plan, self.problem.objective
        core.finish_sums(plan, self.params, sums, scratch, tally, objective)
        assert not sums.chunks.any()
        return sums.grads[0].tobytes() + tally.tobytes()


@over_weights
@over_forms
@over_dtypes
def test_loss_and_gradient_have_the_same_bits_for_200_cuts_and_1_to_3_threads(
    dtype, sparse, weighted
):
    cut, rng = Cut(dtype, sparse, weighted), np.random.RandomState(0)
    whole = cut.whole()
    assert cut.whole(2) == cut.whole(3) == whole
    for _ in range(200):
        borders = random_cuts(rng, cut.end)
        parts = [cut.part(first, end, 1 + (rng.rand() < 0.05)) for first, end in pairwise(borders)]
        assert cut.finished(joined(parts, cut.params, cut.end)) == whole


@over_forms
@over_dtypes
@pytest.mark.parametrize("scale", [1e-36, 1e-306])
def test_sums_that_underflow_have_the_same_bits(scale, dtype, sparse):
    """Small products become zeros of either sign."""
    cut, rng = Cut(dtype, sparse, True, scale=scale, alpha=0.0), np.random.RandomState(0)
    whole = cut.whole()
    for _ in range(30):
        parts = [cut.part(first, end) for first, end in pairwise(random_cuts(rng, cut.end))]
        assert cut.finished(joined(parts, cut.params, cut.end)) == whole


@over_weights
@over_forms
@over_dtypes
def test_blocks_one_after_another_have_the_bits_of_the_whole(dtype, sparse, weighted):
    cut = Cut(dtype, sparse, weighted)
    for borders in ([0, 1, 2, 20, 38], [0, 37, 38], [0, 16, 32, 38]):
        sums = sums_of(cut.params, cut.end)
        for first, end in pairwise(borders):
            cut.add(sums, first, end, size=2)
        assert cut.finished(sums) == cut.whole()


@over_forms
@over_dtypes
@pytest.mark.parametrize("n", [1, CHUNK, CHUNK + 1, 3 * CHUNK, 7 * CHUNK + 2])
def test_sums_are_those_of_the_oracle(n, dtype, sparse):
    """Each chunk by plain NumPy; and bit by bit, the tree over the core's own chunks."""
    cut = Cut(dtype, sparse, True, n)
    problem, parts = cut.problem, [cut.part(k, k + 1) for k in range(cut.end)]
    tolerance = 1e-12 if dtype == np.float64 else 3e-5
    for k, part in enumerate(parts):
        rows = slice(k * CHUNK, (k + 1) * CHUNK)
        weight = problem.weight[rows]
        loss, _, dcoefs, dintercepts = oracle.loss_gradient(
            problem.coefs,
            problem.intercepts,
            "relu",
            "log_loss",
            problem.X[rows].astype(float),
            problem.y[rows],
            weight,
            eps=np.finfo(dtype).eps,
        )
        grads, total = problem.pack(dcoefs, dintercepts), weight.sum()
        np.testing.assert_allclose(part.grads[0], grads * total, rtol=tolerance, atol=tolerance)
        expected = [loss * total, total, len(weight)]
        np.testing.assert_allclose(part.totals[0], expected, rtol=tolerance)
    sums = sums_of(cut.params, 1)
    sums.grads[0] = oracle.tree_sum([part.grads[0] for part in parts])
    sums.totals[0] = oracle.tree_sum([part.totals[0] for part in parts])
    sums.chunks[1] = 1
    assert cut.finished(sums) == cut.whole()


@pytest.mark.parametrize("density", [0.02, 0.3])
def test_zeros_that_are_left_out_change_no_bits(density):
    """Whether they are is decided for each part from a sample of its rows."""
    rng = np.random.RandomState(0)
    n, chunk = 4 * 256, 256
    problem = Problem("relu", "log_loss", np.float32, n=n, hidden=(50,), features=90)
    problem.X[rng.rand(*problem.X.shape) > density] = 0
    problem.X[2 * chunk : 3 * chunk] = 1  # the other parts look otherwise
    samples, network = Samples(problem.X, problem.y), problem.network
    scratch, whole = network.scratch(chunk, 1, "gradient"), sums_of(network.params, 4)
    parts = []
    for first in range(0, n, chunk):
        task = Task(samples[first : first + chunk], problem.objective, batch=chunk)
        part = sums_of(network.params, first // chunk + 1, first // chunk)
        core.chunk_sums(network.plan, network.params, part, scratch, task, problem.alone())
        parts.append(part)
    task = Task(samples, problem.objective, batch=chunk)
    core.chunk_sums(network.plan, network.params, whole, scratch, task, problem.alone())
    assert as_bytes(joined(parts, network.params, 4)) == as_bytes(whole)


def test_the_gradient_of_a_job_has_the_bits_of_its_parts():
    """With the chunks that training has; the last part is shorter than one."""
    n = 2 * GRADIENT_CHUNK + 300
    problem = Problem("tanh", "squared_error", np.float32, n=n, hidden=(20,))
    network = Network([6, 20, 2], "tanh", np.float32)
    network.params[:] = problem.network.params
    samples = Samples(problem.x, problem.y, problem.weight)
    objective = Objective("squared_error", "identity", alpha=0.1)
    job = Job(samples, objective, Course(network, np.random.RandomState(0), n))
    gradient = Gradient(job).compute()
    program, lowered = objective.lower(network)
    scratch, parts, tally = network.scratch(GRADIENT_CHUNK, 1, "gradient"), [], np.zeros(2)
    for k in range(3):
        part = sums_of(network.params, k + 1, k)
        rows = slice(k * GRADIENT_CHUNK, (k + 1) * GRADIENT_CHUNK)
        task = Task(samples[rows], lowered, batch=GRADIENT_CHUNK)
        core.chunk_sums(program, network.params, part, scratch, task, problem.alone())
        parts.append(part)
    sums = joined(parts, network.params, 3)
    core.finish_sums(program, network.params, sums, scratch, tally, lowered)
    assert sums.grads[0].tobytes() == gradient.grads.tobytes()
    assert tally[0] == gradient.loss


@over_forms
def test_lbfgs_on_several_chunks_is_scikit_learns_for_any_number_of_threads(sparse):
    rng = np.random.RandomState(0)
    X = rng.randn(2 * GRADIENT_CHUNK + 300, 12) * (rng.rand(12) < 0.7 + 0.3 * (not sparse))
    y = rng.randint(0, 3, len(X))
    X[np.arange(len(X)), y] += 2
    parameters = dict(hidden_layer_sizes=(9,), solver="lbfgs", max_iter=15, random_state=0)
    fits = [
        MLPClassifier(**parameters, n_threads=size).fit(csr_array(X) if sparse else X, y)
        for size in (1, 2, 3)
    ]
    bits = {b"".join(a.tobytes() for a in fit.coefs_ + fit.intercepts_) for fit in fits}
    assert len(bits) == 1
    theirs = neural_network.MLPClassifier(**parameters).fit(X, y)
    assert fits[0].n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(fits[0].loss_, theirs.loss_, rtol=1e-5)
    np.testing.assert_allclose(
        fits[0].predict_proba(X[:300]), theirs.predict_proba(X[:300]), rtol=1e-5, atol=1e-8
    )


def test_a_large_sum_of_float32_is_as_accurate_as_one_of_few_rows():
    """One chain of additions would lose three digits here."""
    n = 200_000
    sums = []
    for dtype in DTYPES:
        problem = Problem("identity", "squared_error", dtype, n=n, hidden=(), outputs=1, alpha=0.0)
        problem.y[:] = 100  # all rows pull in one direction
        sums.append(problem.loss_gradient(chunk=GRADIENT_CHUNK, weight=None)[1])
    exact, rounded = sums
    assert abs(rounded - exact).max() < 1e-6 * abs(exact).max()


# ---- what is refused


def test_a_stop_leaves_the_chunks_as_they_were():
    cut = Cut(np.float64, False, False)
    sums, words = sums_of(cut.params, cut.end), cut.problem.words()
    words[core.TEAM_STOP] = 1
    arguments = cut.problem.network.plan, cut.params, sums, cut.scratch(), cut.task(0, cut.end)
    core.chunk_sums(*arguments, Rank(words, 0, 1))
    assert not sums.chunks.any()


def test_sums_that_do_not_fit_are_refused():
    cut = Cut(np.float64, False, False)
    plan, params, scratch = cut.problem.network.plan, cut.params, cut.scratch()
    task, rank, tally = cut.task(0, cut.end), cut.problem.alone(), np.zeros(2)
    fits = sums_of(params, cut.end)
    for wrong, text in (
        (fits._replace(grads=fits.grads[:-1]), "have 6 rows and 3 totals, not 5 and 3"),
        (fits._replace(totals=fits.totals[:-1]), "have 6 rows and 3 totals, not 5 and 3"),
        (fits._replace(totals=np.zeros((6, 2))), "3 totals, not"),
        (fits._replace(grads=np.zeros((6, 7))), "parameters and have 2 chunks, not of 7 and 2"),
        (fits._replace(chunks=np.zeros(3, np.int64)), "2 chunks, not of .* and 3"),
        (fits._replace(chunks=np.array([2, 1])), "no run has the chunks 2 to 1"),
        (fits._replace(chunks=np.array([-1, 0])), "no run has the chunks -1 to 0"),
        (fits._replace(chunks=np.array([0, 2**63 - 1])), "no run has the chunks 0 to"),
    ):
        with pytest.raises(ValueError, match=text):
            core.loss_gradient(plan, params, wrong, scratch, tally, task, rank)
        with pytest.raises(ValueError, match=text):
            core.chunk_sums(plan, params, wrong, scratch, task, rank)
    begun = fits._replace(chunks=np.array([0, 1]))
    for wrong in (begun, fits._replace(chunks=np.array([1, 1]))):
        with pytest.raises(ValueError, match="begin with chunk 0 and are empty"):
            core.loss_gradient(
                plan,
                params,
                wrong._replace(grads=np.zeros((12, params.size)), totals=np.zeros((12, 3))),
                scratch,
                tally,
                task,
                rank,
            )
    for wrong in (fits, fits._replace(chunks=np.array([1, 2]))):
        with pytest.raises(ValueError, match="not of all"):
            core.finish_sums(plan, params, wrong, scratch, tally, cut.problem.objective)
    with pytest.raises(ValueError, match="the tally has 2 numbers"):
        core.finish_sums(plan, params, begun, scratch, tally[:1], cut.problem.objective)
    with pytest.raises(ValueError, match="the tally has 2 numbers"):
        core.loss_gradient(plan, params, fits, scratch, tally[:1], task, rank)
    with pytest.raises(ValueError, match="rows in their own order"):
        core.chunk_sums(plan, params, fits, scratch, task._replace(order=np.arange(3)), rank)
    with pytest.raises(ValueError, match="chunk 2 does not follow on chunk 0"):
        core.join_sums(*cut.part(2, 3), begun)
    with pytest.raises(ValueError, match="no run has the chunks 2 to 1"):
        core.most_sums(2, 1)
    with pytest.raises(ValueError, match="no run has the chunks 2 to 1"):
        core.n_sums(2, 1)
