"""Every door of the core refuses every code that it does not know."""

import numpy as np
import pytest

from fastbp.graph.expression import ACTIVATION, LOSS, Expression
from fastbp.graph.tape import compile_tape
from fastbp.kernels import Program, Rank, core
from fastbp.network import Network, assemble, make_plan
from problems import Problem, rule_of, state_of, sums_of

SILU = Expression.trace(lambda z: z * 2, ACTIVATION)


class Doors:
    """All doors that take a plan, called with one problem, in which a test changes one thing."""

    def __init__(self):
        self.problem = Problem("tanh", "squared_error", outputs=3)
        self.network = self.problem.network
        self.program = self.network.plan.copy()
        self.objective, self.rule, self.link = self.problem.objective, rule_of("sgd"), 0

    def task(self):
        return self.problem.task(objective=self.objective, rule=self.rule)

    def scratch(self, use):
        return np.zeros(core.scratch_size(self.network.plan, self.problem.n, 1, use) + 10_000)

    def room(self):
        return np.zeros(self.problem.n * sum(self.network.units[1:]))

    def scratch_size(self):
        core.scratch_size(self.program, self.problem.n, 1, "epoch")

    def train_epochs(self):
        state, scratch = state_of(self.network, "sgd"), self.scratch("epoch")
        core.train_epochs(
            self.program,
            self.network.params,
            state,
            scratch,
            np.zeros(3),
            self.task(),
            self.problem.alone(),
        )

    def loss_gradient(self):
        core.loss_gradient(
            self.program,
            self.network.params,
            sums_of(self.network.params, 1),
            self.scratch("gradient"),
            np.zeros(2),
            self.task(),
            self.problem.alone(),
        )

    def predict(self):
        out = np.zeros((self.problem.n, 3))
        scratch = self.scratch("predict")
        core.predict(self.program, self.network.params, scratch, self.problem.x, out, self.link)

    def predict_arrays(self):
        out, scratch = np.zeros((self.problem.n, 3)), self.scratch("predict_arrays")
        arrays = tuple(self.network.coefs), tuple(self.network.intercepts)
        core.predict_arrays(self.program, *arrays, scratch, self.problem.x, out, self.link)

    def look(self):
        scratch = self.scratch("examine")
        core.look(self.program, self.network.params, scratch, self.problem.x, self.room(), None)

    def deltas(self):
        scratch = self.scratch("examine")
        core.deltas(self.program, self.network.params, scratch, self.task(), self.room())

    def pull_back(self):
        scratch, dx = self.scratch("examine"), np.zeros(self.problem.X.size)
        core.pull_back(self.program, self.network.params, scratch, self.problem.x, self.room(), dx)

    def kernel_losses(self):
        z = np.zeros_like(self.problem.y)
        core.kernel_losses(
            self.program,
            z,
            self.problem.y,
            self.objective,
            z.copy(),
            np.zeros(len(z)),
            self.scratch("validate"),
        )

    def kernel_link(self):
        core.kernel_link(self.link, np.zeros((3, 2)))

    def kernel_rate(self):
        core.kernel_rate(self.rule, 0.1, 1)

    def kernel_step(self):
        state = state_of(self.network, "sgd")
        core.kernel_step(np.zeros(state.size), np.zeros(state.size), state, self.rule, 1, 0, 1)


OF_OBJECTIVES = ("train_epochs", "loss_gradient", "deltas", "kernel_losses")
OF_LINKS = (*OF_OBJECTIVES, "predict", "predict_arrays", "kernel_link")
OF_PLANS = (*OF_OBJECTIVES, "scratch_size", "predict", "predict_arrays", "look", "pull_back")
OF_RULES = ("train_epochs", "kernel_rate", "kernel_step")


def program_of(network, *expressions):
    """The network's plan with the tapes of expressions, of (expression, outputs)."""
    tapes = [compile_tape(*expression, core.TAPE_OPERATIONS) for expression in expressions]
    return assemble(network.plan.copy(), tapes)


@pytest.mark.parametrize("name", sorted({*OF_PLANS, *OF_RULES, "kernel_link"}))
def test_the_doors_take_known_codes(name):
    getattr(Doors(), name)()


@pytest.mark.parametrize("name", OF_PLANS)
@pytest.mark.parametrize("code", [-1, -(2**40), 14, 20, 63, 64, 2**32, 2**40])
def test_no_door_takes_an_unknown_activation(name, code):
    doors = Doors()
    for layer in range(3):
        doors.program = doors.network.plan.copy()
        doors.program["activation"][layer] = code
        with pytest.raises(ValueError, match=f"layer {layer}: no activation has the code {code}"):
            getattr(doors, name)()


@pytest.mark.parametrize("name", OF_PLANS)
def test_no_door_takes_a_tape_of_rows_as_an_activation(name):
    doors = Doors()
    loss = Expression.trace(lambda raw, y: (raw - y) ** 2, LOSS)
    doors.program = program_of(doors.network, (loss, 3))
    getattr(doors, name)()
    doors.program.plan["activation"][0] = core.TAPES
    with pytest.raises(ValueError, match=f"layer 0: no activation has the code {core.TAPES}"):
        getattr(doors, name)()


@pytest.mark.parametrize("name", OF_OBJECTIVES)
@pytest.mark.parametrize("code", [-1, 13, 63, 64, 2**32, 2**40])
def test_no_door_takes_an_unknown_loss(name, code):
    doors = Doors()
    doors.objective = doors.objective._replace(loss=code)
    with pytest.raises(ValueError, match=f"no loss has the code {code}"):
        getattr(doors, name)()
    doors.program = program_of(doors.network, (SILU, 1))  # a tape, but not of 3 outputs
    doors.objective = doors.objective._replace(loss=core.TAPES)
    with pytest.raises(ValueError, match=f"no loss has the code {core.TAPES}"):
        getattr(doors, name)()


@pytest.mark.parametrize("name", OF_LINKS)
@pytest.mark.parametrize("code", [-1, 8, 99])
def test_no_door_takes_an_unknown_link(name, code):
    doors = Doors()
    doors.objective, doors.link = doors.objective._replace(link=code), code
    with pytest.raises(ValueError, match=f"no link has the code {code}"):
        getattr(doors, name)()


@pytest.mark.parametrize("name", OF_OBJECTIVES)
@pytest.mark.parametrize("link", ["relu", "tanh", "grouped_softmax"])
def test_no_loss_has_a_link_of_predictions_alone(name, link):
    doors = Doors()
    losses = [core.LOSSES["squared_error"], core.LOSSES["poisson"], core.TAPES]
    expression = Expression.trace(lambda raw, y: (raw - y) ** 2, LOSS)
    for loss in losses:
        doors.objective = doors.objective._replace(loss=loss, link=core.LINKS[link])
        doors.program = program_of(doors.network, (expression, 3))
        with pytest.raises(ValueError, match=f"no loss has the link {core.LINKS[link]}"):
            getattr(doors, name)()


@pytest.mark.parametrize("name", OF_RULES)
@pytest.mark.parametrize("code", [-1, 2, 99])
def test_no_door_takes_an_unknown_optimizer(name, code):
    doors = Doors()
    doors.rule = {**doors.rule, "optimizer": code}
    with pytest.raises(ValueError, match=f"no optimizer has the code {code}"):
        getattr(doors, name)()


@pytest.mark.parametrize("code", [-1, len(core.TAPE_OPERATIONS), 99, 2**30])
def test_no_door_takes_an_unknown_operation(code):
    doors = Doors()
    doors.program = program_of(doors.network, (SILU, 1))
    doors.program.code[0, 0] = code
    for name in OF_PLANS:
        with pytest.raises(ValueError, match=f"tape 0: no operation has the code {code}"):
            getattr(doors, name)()
    numbers = np.zeros((1, 5))
    with pytest.raises(ValueError, match=f"tape 0: no operation has the code {code}"):
        core.kernel_run_tape(doors.program, 0, numbers, numbers[0], numbers.T, np.zeros(10_000))


@pytest.mark.parametrize("column, value", [(0, -1), (1, -1), (1, 99), (2, 99), (3, -1), (4, 99)])
def test_a_tape_stays_within_its_arrays(column, value):
    program = program_of(Network((2, 3, 1), "tanh", float), (SILU, 1))
    program.tapes[0, column] = value
    with pytest.raises(ValueError, match="tape 0 is longer than"):
        core.scratch_size(program, 1, 1, "predict")


def test_tapes_have_the_core_s_layout():
    program = program_of(Network((2, 3, 1), "tanh", float), (SILU, 1))
    for wrong in (dict(tapes=program.tapes[:, :-1]), dict(code=program.code[:, :-1])):
        copies = {name: array.copy() for name, array in wrong.items()}
        with pytest.raises(ValueError, match="another length"):
            core.scratch_size(program._replace(**copies), 1, 1, "predict")
    assert core.scratch_size(Program(make_plan([2, 1], []), *program[1:]), 1, 1, "predict") > 0


@pytest.mark.parametrize("code", [-1, 14, 63, 64])
def test_the_doors_of_activations_take_known_codes_alone(code):
    a = np.zeros(3)
    with pytest.raises(ValueError, match=f"no activation has the code {code}"):
        core.kernel_activate(code, a, a.copy())
    with pytest.raises(ValueError, match=f"no activation has the code {code}"):
        core.kernel_activate_gradient(code, a, a.copy(), a.copy())


def test_other_doors_take_known_names_alone():
    a = np.zeros((2, 2))
    with pytest.raises(ValueError, match="no product has the form 'tt'"):
        core.kernel_matmul(a, a, a.copy(), "tt", a[0])
    for name in ("add", "where", "sum", "nothing"):
        with pytest.raises(ValueError, match="no operation of one number"):
            core.kernel_elementary(name, a[0])
    with pytest.raises(ValueError, match="no tape 1 "):
        program = program_of(Network((2, 3, 1), "tanh", float), (SILU, 1))
        core.kernel_run_tape(program, 1, a[:1], a[0], a[:1], np.zeros(10_000))
    for ranks in (0, -1):
        with pytest.raises(ValueError, match=f"at least 1 rank, not {ranks}"):
            core.scratch_size(make_plan([2, 1], []), 1, ranks, "epoch")
    for rank, size in ((0, 0), (-1, 2), (2, 2), (10**9, 2)):
        problem = Problem()
        scratch = problem.network.scratch(problem.n, 1, "gradient")
        with pytest.raises(ValueError, match=f"a team of {size} has no rank {rank}"):
            core.loss_gradient(
                problem.network.plan,
                problem.network.params,
                sums_of(problem.network.params, 1),
                scratch,
                np.zeros(2),
                problem.task(),
                Rank(problem.words(), rank, size),
            )
    with pytest.raises(ValueError, match="no backend 'fast'"):
        core.use_backend("fast")
    with pytest.raises(ValueError, match="no scratch for the use 'all'"):
        core.scratch_size(make_plan([2, 1], []), 1, 1, "all")


@pytest.mark.parametrize("optimizer", core.OPTIMIZERS)
def test_tables_of_optimizers_agree(optimizer):
    assert set(core.RULE_CONSTANTS[optimizer]) <= set(core.ALL_CONSTANTS)
