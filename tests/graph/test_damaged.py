"""Damaged expressions: refused where they come in, with the reason; never a wrong number."""

import copy
import os
import pickle
from functools import partial

import numpy as np
import pytest
from formulas import Formula
from test_expression import ACTIVATIONS, LOSSES
from test_tape import in_core

from fastbp import graph as fg
from fastbp.graph.expression import ACTIVATION, LOSS, Expression
from fastbp.graph.operations import OPERATIONS, operation_named
from fastbp.graph.step_checks import check_steps
from fastbp.graph.tape import compile_tape
from fastbp.kernels import core
from forks import failures

Z = ("input", (), 0)
RAW, Y = ("input", (), 0), ("input", (), 1)
TWO = ("constant", (), 2.0)


def from_pickle(steps, inputs):
    """An expression, as loading a pickle makes it."""
    expression = object.__new__(Expression)
    expression.__setstate__({"steps": steps, "inputs": inputs})
    return expression


@pytest.mark.parametrize("make", [Expression, from_pickle])
@pytest.mark.parametrize(
    "steps, inputs, message",
    [
        ((), ACTIVATION, "must be a tuple of one at least, got ()"),
        (None, ACTIVATION, "must be a tuple of one at least, got None"),
        ([Z], ACTIVATION, "must be a tuple of one at least, got ["),
        ((Z,), (), "must be a tuple of different names, got ()"),
        ((Z,), None, "must be a tuple of different names, got None"),
        ((Z,), "z", "must be a tuple of different names, got 'z'"),
        ((Z,), ["z"], "must be a tuple of different names"),
        ((Z,), ("z", "z"), "must be a tuple of different names"),
        ((Z,), (1,), "must be a tuple of different names"),
        ((Z,), (["z"],), "must be a tuple of different names"),
        ((Z,), ("z z",), "must be a tuple of different names"),
        ((Z, None), ACTIVATION, "step 1 of the expression, None, is none: a step is"),
        ((Z, ["tanh", (0,), None]), ACTIVATION, "step 1 .* a step is"),
        ((Z, ("tanh", (0,))), ACTIVATION, "step 1 .* a step is"),
        ((Z, ("tanh", (0,), None, 1)), ACTIVATION, "step 1 .* a step is"),
        ((Z, ("tanhh", (0,), None)), ACTIVATION, "'tanhh'.* no such operation"),
        ((Z, (None, (0,), None)), ACTIVATION, "no such operation"),
        ((Z, (["tanh"], (0,), None)), ACTIVATION, "no such operation"),
        ((Z, ("tanh", (1,), None)), ACTIVATION, "earlier steps have the numbers 0 to 0"),
        ((Z, TWO, ("tanh", (5,), None)), ACTIVATION, "earlier steps have the numbers 0 to 1"),
        ((Z, ("tanh", (-1,), None)), ACTIVATION, "earlier steps have the numbers"),
        ((Z, ("tanh", ("0",), None)), ACTIVATION, "earlier steps have the numbers"),
        ((Z, ("tanh", (0.0,), None)), ACTIVATION, "earlier steps have the numbers"),
        ((Z, ("tanh", (False,), None)), ACTIVATION, "earlier steps have the numbers"),
        ((Z, ("tanh", (10**30,), None)), ACTIVATION, "earlier steps have the numbers"),
        ((Z, ("tanh", [0], None)), ACTIVATION, "earlier steps are a tuple"),
        ((Z, ("tanh", None, None)), ACTIVATION, "earlier steps are a tuple"),
        ((Z, ("tanh", (), None)), ACTIVATION, "tanh takes 1 arguments"),
        ((Z, ("add", (0,), None)), ACTIVATION, "add takes 2 arguments"),
        ((Z, ("where", (0, 0), None)), ACTIVATION, "where takes 3 arguments"),
        ((Z, ("input", (0,), 0)), ACTIVATION, "input takes 0 arguments"),
        ((Z, ("tanh", (0,), 1)), ACTIVATION, "the option of tanh is None"),
        ((("input", (), 1),), ACTIVATION, "the option of input is the number of an input"),
        ((("input", (), -1),), ACTIVATION, "the option of input is the number of an input"),
        ((RAW, ("input", (), 2)), LOSS, "the option of input is the number of an input"),
        ((("input", (), "z"),), ACTIVATION, "the option of input is the number of an input"),
        ((("input", (), None),), ACTIVATION, "the option of input is the number of an input"),
        ((("constant", (), None),), ACTIVATION, "the option of constant is a float"),
        ((("constant", (), "1"),), ACTIVATION, "the option of constant is a float"),
        ((("constant", (), 1j),), ACTIVATION, "the option of constant is a float"),
        ((("constant", (), ()),), ACTIVATION, "the option of constant is a float"),
        ((("constant", (), (1.0, None)),), LOSS, "the option of constant is a float"),
        ((("constant", (), ((1.0,), (2.0,))),), LOSS, "the option of constant is a float"),
        ((("constant", (), [1.0]),), LOSS, "the option of constant is a float"),
        ((RAW, ("item", (0,), None)), LOSS, "the option of item is the number of a column"),
        ((RAW, ("item", (0,), 0.0)), LOSS, "the option of item is the number of a column"),
        ((RAW, ("item", (0,), True)), LOSS, "the option of item is the number of a column"),
        ((RAW, ("sum", (0,), 0)), LOSS, "the option of sum is None"),
        ((Z, ("sum", (0,), None)), ACTIVATION, "sum is of a row"),
        ((Z, ("item", (0,), 0)), ACTIVATION, "item is of a row"),
        ((RAW, ("sum", (0,), None), ("mean", (1,), None)), LOSS, "mean is of a row"),
        ((RAW, ("place", (0,), 0)), LOSS, "place is of a single number"),
        ((RAW, ("spread", (0,), None)), LOSS, "spread is of a single number"),
        ((RAW, ("count", (0,), None)), LOSS, "count takes 0 arguments"),
    ],
    ids=str,
)
def test_damaged_steps_are_refused_with_the_reason(make, steps, inputs, message):
    message = message.replace("()", r"\(\)").replace("[", r"\[")
    with pytest.raises(ValueError, match=message) as caught:
        make(steps, inputs)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "state",
    [
        None,
        (),
        {},
        {"steps": (Z,)},
        {"inputs": ACTIVATION},
        {"steps": (Z,), "inputs": ACTIVATION, "more": 1},
        (None, {"steps": (Z,), "inputs": ACTIVATION}),
    ],
    ids=str,
)
def test_a_state_has_steps_and_inputs_and_nothing_else(state):
    with pytest.raises(
        ValueError, match="the state of an Expression is a dict of steps and inputs"
    ):
        object.__new__(Expression).__setstate__(state)


def test_damaged_pickles_are_refused():
    data = pickle.dumps(Expression.trace(ACTIVATIONS["swish"], ACTIVATION))
    for right, wrong, message in (
        (b"sigmoid", b"sigmoix", "'sigmoix'.* no such operation"),
        (b"steps", b"stepz", "a dict of steps and inputs, got {'inputs'"),
    ):
        assert data.count(right) == 1
        with pytest.raises(ValueError, match=message):
            pickle.loads(data.replace(right, wrong))
    with pytest.raises(ValueError, match="there is no operation 'sigmoix'"):
        operation_named("sigmoix")


def test_an_expression_cannot_be_changed():
    expression = Expression.trace(ACTIVATIONS["swish"], ACTIVATION)
    for name in ("steps", "inputs", "more"):
        with pytest.raises(TypeError, match="an Expression cannot be changed"):
            setattr(expression, name, ())
    for twin in (copy.copy(expression), copy.deepcopy(expression)):
        assert twin == expression and twin(0.5) == expression(0.5)


def test_an_expression_that_ignores_an_input_is_not_for_estimators():
    expression = Expression((RAW, Y, ("exp", (0,), None)), LOSS)
    assert expression(0.0, 1.0) == 1
    with pytest.raises(ValueError, match="does not depend on 'y'"):
        Expression.trace(expression, LOSS)
    for fixed in (TWO, ("constant", (), (1.0, 2.0, -0.5))):
        steps, (value, derivative) = Expression((RAW, fixed), LOSS).with_derivative()
        assert steps[value][2] == np.sum(fixed[2]) and steps[derivative][2] == 0


@pytest.mark.parametrize("values", [(0.5, 1.0), ([0.5], [1.0]), (fg.Variable([0.5]), [1.0])])
def test_a_column_that_a_row_does_not_have(values):
    expression = Expression.trace(lambda raw, y: raw[1] - y[0], LOSS)
    with pytest.raises(
        ValueError, match=r"asks for column \d, but was called with values of shape"
    ):
        expression(*values)


@pytest.mark.parametrize("seed", range(40))
def test_what_a_writer_writes_is_sound(seed):
    expression = Expression.trace(Formula(seed), LOSS)
    steps, _ = expression.with_derivative()
    check_steps(steps, LOSS, fg.operations.ROW)


@pytest.mark.parametrize("values", [(), (1.0,), (1.0, 2.0, 3.0), (fg.Variable(1.0),)], ids=len)
def test_a_call_has_a_value_for_each_input(values):
    expression = Expression.trace(LOSSES["squared"], LOSS)
    with pytest.raises(TypeError, match=rf"of \(raw, y\) was called with {len(values)} values"):
        expression(*values)


# ---- damage at random

ODD = (
    *(None, True, "0", "z", b"z", (), (0,), [0], (0.5, -0.5, 2.0), (1.0, None), {}, {"z"}),
    *(-1, 0, 1, 3, 7, 10**30, 0.5, np.nan, np.inf, 1j, np.float32(1), np.array([0, 1]), object()),
)
NAMES = (*OPERATIONS, "input", "constant", "unheard", "", *ODD)


def choice(random, values):
    return values[random.randint(len(values))]


def damaged_step(random, step, n_steps):
    """The step with one thing changed."""
    name, args, option = step
    where = random.randint(7)
    if where == 0:
        return choice(random, ODD)
    if where == 1:
        return choice(random, [step[:2], (*step, None), [*step], step[::-1]])
    if where == 2:
        return choice(random, NAMES), args, option
    if where == 3:
        return name, args, choice(random, ODD)
    if where == 4:
        return name, choice(random, [*ODD, [*args], (*args, 0), args[1:], args[::-1]]), option
    if not args:
        return name, args, choice(random, [*range(-3, 4), -0.0, 40.0, (1.0, 2.0, 3.0)])
    args = [*args]
    args[random.randint(len(args))] = choice(random, [*range(-2, n_steps + 2), *ODD])
    return name, tuple(args), option


def damaged_state(random, expression):
    """The state of an expression with one thing changed."""
    steps, state = [*expression.steps], expression.__getstate__()
    where, k = random.randint(12), random.randint(len(steps))
    if where == 0:
        return choice(random, ODD)
    if where == 1:
        return {choice(random, ["steps", "inputs", "step", 0]): choice(random, ODD), **state}
    if where == 2:
        return {**state, "inputs": choice(random, [*ODD, LOSS, ACTIVATION, ("raw", "raw")])}
    if where == 3:
        return {name: state[name] for name in state if random.randint(2)}
    if where == 4:
        steps = choice(random, [*ODD, steps, dict(enumerate(steps))])
    elif where == 5:
        del steps[k]
    elif where == 6:
        steps[k], steps[-1] = steps[-1], steps[k]
    else:
        steps[k] = damaged_step(random, steps[k], len(steps))
    return {**state, "steps": tuple(steps) if isinstance(steps, list) and where > 4 else steps}


def run_both_ways(expression, random):
    """Compare the core and Python, if the expression can be compiled."""
    n_outputs = 3 if expression.inputs == LOSS else 1
    rows = random.uniform(0.1, 2, (len(expression.inputs), 4, n_outputs))
    with np.errstate(all="ignore"):
        try:
            tape = compile_tape(expression, n_outputs, core.TAPE_OPERATIONS)
        except ValueError:  # of columns or constants that do not fit the outputs
            return
        value, _ = in_core(tape, *rows)
        expected = [np.sum(expression(*row)) for row in rows.transpose(1, 0, 2)]
    np.testing.assert_allclose(value.reshape(4, -1).sum(axis=1), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_random_damage_is_refused_or_harmless():
    random = np.random.RandomState(0)
    originals = [
        *(Expression.trace(function, LOSS) for function in LOSSES.values()),
        *(Expression.trace(Formula(seed, size=4), LOSS) for seed in range(4)),
        *(Expression.trace(function, ACTIVATION) for function in ACTIVATIONS.values()),
    ]
    accepted, refused = [], 0
    for case in range(2_000):
        state = damaged_state(random, originals[case % len(originals)])
        expression = object.__new__(Expression)
        try:
            expression.__setstate__(state)
        except ValueError as error:
            assert len(str(error)) > 20
            refused += 1
        else:
            accepted.append(expression)
    assert refused > 1_000 and len(accepted) > 200

    def check(expression):
        assert str(expression)
        run_both_ways(expression, random)

    assert not failures([(str(one.steps), partial(check, one)) for one in accepted])
