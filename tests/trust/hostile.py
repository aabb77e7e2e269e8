"""Damaged pickles, states and attributes."""

import copy
import pickle
import resource
from functools import cache

import numpy as np

from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from trust.common import data, is_of_the_core
from trust.harness import Row

ALLOWED = (ValueError, TypeError, AttributeError)
X, LABELS = data(30, 4)
SMALL = dict(hidden_layer_sizes=(5, 3), max_iter=2, random_state=0)
ROOM = 2**33  # bytes of the address space: a damaged size must not fill the machine


@cache
def models():
    """Fitted estimators of several kinds."""
    return [
        MLPClassifier(**SMALL).fit(X, LABELS),
        MLPRegressor(**SMALL).fit(X, X[:, :2]),
        MLPClassifier(**SMALL, early_stopping=True).fit(X, np.array(["a", "b"])[LABELS % 2]),
        MLPRegressor(**SMALL, activation=lambda z: z * fg.sigmoid(z)).fit(X, X[:, 0]),
        MLPClassifier(**SMALL, solver="lbfgs").fit(X, LABELS),
    ]


def limit_room():
    """Limit the address space of this process, if it is not limited yet."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (ROOM, most))


def use(model):
    """Everything that may be done with an estimator; errors of bad values are allowed."""
    refused = 0
    for call in (
        lambda: repr(model),
        lambda: model.predict(X),
        lambda: model.predict_proba(X),
        lambda: model.score(X, LABELS),
        lambda: model.partial_fit(X, LABELS),
        lambda: pickle.dumps(model),
        lambda: copy.deepcopy(model).fit(X, LABELS),
    ):
        try:
            call()
        except (*ALLOWED, MemoryError):
            refused += 1
        except SystemError as error:  # of NumPy, for a text of labels that is none
            if is_of_the_core(error):
                raise
            refused += 1
    return refused


# ---- pickles


def load(text):
    """The loaded estimator, or None if loading raised: unpickling may raise anything."""
    limit_room()
    try:
        return pickle.loads(text)
    except Exception:
        return None


def flipped(number, rng):
    """One bit of a pickle is another one."""
    text = bytearray(pickle.dumps(models()[number % 5]))
    text[rng.randint(len(text))] ^= 1 << rng.randint(8)
    model = load(bytes(text))
    if not isinstance(model, MLPClassifier | MLPRegressor):
        return {"not loaded": 1}
    return {"refused calls": use(model)}


def flipped_numbers(number, rng):
    """One bit of the weights, of the state of the optimizer or of a curve in a pickle."""
    model = models()[number % 4]
    parts = [*model.coefs_, *model.intercepts_, model._optimizer.to_plain()["state"]]
    part = parts[rng.randint(len(parts))].tobytes()
    text = bytearray(pickle.dumps(model))
    place = text.index(part) + rng.randint(len(part))
    text[place] ^= 1 << rng.randint(8)
    loaded = load(bytes(text))
    assert loaded is not None, "a change of a number keeps the pickle from being loaded"
    assert loaded.predict(X[:2]).shape == model.predict(X[:2]).shape
    return {"refused calls": use(loaded)}


def truncated(number, rng):
    """A pickle that ends too early."""
    text = pickle.dumps(models()[number % 5])
    assert load(text[: rng.randint(len(text))]) is None, "a part of a pickle was loaded"


# ---- states

WRONG = [
    None,
    "x",
    -1,
    0,
    10**30,
    np.nan,
    1.5,
    [],
    {},
    (),
    object(),
    np.array("x"),
    np.zeros((2, 2, 2)),
    np.full((4, 5), None),
    np.array([["1"] * 5] * 4),
    [None, None, None],
    [np.zeros((4, 5)), np.zeros((4, 3)), np.zeros((3, 3))],
    [np.zeros(3), np.zeros(3), np.zeros(3)],
    np.array([1j]),
    b"x",
    len,
    {"optimizer": "x"},
]


def damaged(state, rng):
    """The state with a wrong value somewhere, or with an entry less."""
    state = dict(state)
    name = sorted(state)[rng.randint(len(state))]
    kind = rng.randint(6)
    if kind == 0:
        del state[name]
    elif kind < 3 and isinstance(state[name], dict | list) and state[name]:
        if isinstance(state[name], dict):
            state[name] = damaged(state[name], rng)
        else:
            state[name] = list(state[name])
            state[name][rng.randint(len(state[name]))] = WRONG[rng.randint(len(WRONG))]
    else:
        state[name] = WRONG[rng.randint(len(WRONG))]
    return state


def states(number, rng):
    """A damaged state, given to __setstate__."""
    limit_room()
    model = models()[number % 5]
    state = pickle.loads(pickle.dumps(model.__getstate__()))
    twin = object.__new__(type(model))
    try:
        twin.__setstate__(damaged(state, rng))
    except ALLOWED as error:
        assert str(error)
        return {"refused": 1}
    return {"refused calls": use(twin)}


# ---- attributes

ARRAYS = [None, "x", 1, [], [1], {}, [None] * 3, [[["1"]]], object()]
NOT_ARRAYS = [
    np.full((4, 5), None),
    np.full((4, 5), "1"),
    np.zeros((4, 5), complex),
    np.zeros((5, 4)),
    np.zeros((4, 5, 1)),
    np.zeros(6),
    np.zeros((0, 5)),
    None,
    "x",
    {},
]
EDITS = {
    "coefs_": ARRAYS,
    "coefs_[0]": NOT_ARRAYS,
    "coefs_[-1]": NOT_ARRAYS,
    "coefs_[:]": [None],
    "intercepts_": ARRAYS,
    "intercepts_[0]": [*NOT_ARRAYS, np.full(5, None), np.full(5, "1")],
    "out_activation_": ["xx", None, 1, ["relu"], object()],
    "n_layers_": ["x", None, -1, 0, 99, 2.5],
    "n_features_in_": ["x", -1, 99],
    "classes_": [None, "x", np.array([0]), [], 1, np.zeros((2, 2)), {}],
    "_label_binarizer": [None, "x", 1, {}, object()],
    "_optimizer": ["x", {}, object(), 1],
    "loss_curve_": [None, "x", {}, 1],
    "t_": [None, "x", np.nan, -1.5],
    "n_iter_": [None, "x"],
    "_no_improvement_count": [None, "x"],
    "best_loss_": ["x", {}],
}
WRONG_EDITS = [(name, value) for name, values in EDITS.items() for value in values]
# Words of an error that tell as much as the attribute's name.
ALSO = {"n_features_in_": "features", "_label_binarizer": "classes", "coefs_": "intercepts"}
CALLED = ("predict", "predict_proba", "score", "partial_fit")


def edit(model, name, value):
    """Set an attribute, or an element of its list."""
    name, _, place = name.partition("[")
    if place == ":]":
        del getattr(model, name)[-1]
    elif place:
        getattr(model, name)[int(place[:-1])] = value
    else:
        setattr(model, name, value)


def attributes(number, _):
    """A wrong value of an attribute: an error that names it, or the result without the edit."""
    name, value = WRONG_EDITS[number // len(CALLED) % len(WRONG_EDITS)]
    call = CALLED[number % len(CALLED)]
    whole = models()[number // len(CALLED) // len(WRONG_EDITS) % 4]
    sound, model = (pickle.loads(pickle.dumps(whole)) for _ in range(2))
    attribute = name.partition("[")[0]
    if not hasattr(model, attribute) or not hasattr(model, call):
        return {"without this attribute": 1}
    model.set_params(early_stopping=False)  # partial_fit refuses it
    sound.set_params(early_stopping=False)
    edit(model, name, value)
    y = np.asarray(sound.predict(X))
    arguments = {"score": (X, y), "partial_fit": (X, y)}.get(call, (X,))
    expected = getattr(sound, call)(*arguments)
    try:
        found = getattr(model, call)(*arguments)
    except ALLOWED as error:
        words = attribute.strip("_"), ALSO.get(attribute, attribute)
        told = any(word in str(error) for word in words)
        assert told, f"{name} = {value!r}: {call} raised {error!r}"
        return {"refused": 1}
    if call == "partial_fit":
        found, expected = found.predict(X), expected.predict(X)
    same = np.array_equal(found, expected)
    assert same, f"{name} = {value!r}: {call} gave another result"
    return {"accepted": 1}


ROWS = [
    Row(
        "hostile",
        "flipped bits",
        "A pickle with a wrong bit raises an error when it is loaded or used, or works; it does "
        "not crash the process.",
        flipped,
        full=4_000,
        short=20,
        limit=30,
    ),
    Row(
        "hostile",
        "flipped numbers",
        "A pickle with a wrong bit in a number is loaded and predicts.",
        flipped_numbers,
        full=1_000,
        short=8,
        limit=30,
    ),
    Row(
        "hostile",
        "truncated",
        "A pickle that ends too early is not loaded.",
        truncated,
        full=500,
        short=10,
        limit=30,
    ),
    Row(
        "hostile",
        "states",
        "A damaged state is refused by ValueError, TypeError or AttributeError, when it is set or "
        "when it is used.",
        states,
        full=2_000,
        short=20,
        limit=30,
    ),
    Row(
        "hostile",
        "attributes",
        "A wrong value of a fitted attribute raises ValueError, TypeError or AttributeError with "
        "its name, or does not matter.",
        attributes,
        full=4 * len(CALLED) * len(WRONG_EDITS),
        short=40,
        limit=30,
    ),
]
