"""Damaged pickles, states and attributes."""

import copy
import io
import json
import pickle
import resource
from functools import cache

import numpy as np

import fastbp
from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from fastbp.files import container
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


# ---- model files


def described(value, rng):
    """JSON with a wrong value somewhere, or with an entry less."""
    places = list(value) if isinstance(value, dict) else list(range(len(value)))
    place = places[rng.randint(len(places))]
    inner = value[place]
    if isinstance(inner, dict | list) and inner and rng.randint(5):
        described(inner, rng)
    elif rng.randint(6) == 0:
        del value[place]
    else:
        value[place] = copy.deepcopy(OF_JSON[rng.randint(len(OF_JSON))])


def model_files(number, rng):
    """A model file that is damaged, or forged with a right checksum."""
    limit_room()
    file = io.BytesIO()
    models()[number % 5].save(file)
    data = bytearray(file.getvalue())
    kind = rng.randint(3)
    if kind == 0:
        data[rng.randint(len(data))] ^= 1 << rng.randint(8)
    elif kind == 1:
        del data[rng.randint(len(data)) :]
    else:
        data = forged(data, rng)
    try:
        model = fastbp.load(io.BytesIO(bytes(data)))
    except fastbp.ModelFileError:
        return {"refused files": 1}
    assert kind == 2, "a damaged file was loaded"
    return {"refused calls": use(model)}


def forged(data, rng):
    """A file with another value in its description, or another bit in a tensor."""
    size = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + size])
    if rng.randint(3):
        about = json.loads(head["__metadata__"]["fastbp"])
        described(about, rng)
        about = {"crc32": "00000000", **{k: v for k, v in about.items() if k != "crc32"}}
        head["__metadata__"]["fastbp"] = json.dumps(about, separators=(",", ":"))
        text = json.dumps(head, separators=(",", ":")).encode()
        data = len(text).to_bytes(8, "little") + text + bytes(data[8 + size :])
    else:
        data[8 + size + rng.randint(len(data) - 8 - size)] ^= 1 << rng.randint(8)
    at = container.DIGITS
    data = bytearray(data)
    data[at] = container._checksum(memoryview(data))
    return data


# ---- states

OF_JSON = [
    None,
    "x",
    "params",
    -1,
    0,
    3.0,
    10**30,
    True,
    [],
    {},
    [0] * 5,
    {"float": "nan"},
    {"tuple": [1]},
    {"array": "params"},
    {"array": "optimizer.state"},
    {"list": "params"},
    {"dict": []},
    {"strings": ["a"], "width": 10**9},
    {"record": "Cosine", "fields": {}},
    {"formula": [["input", [], 0]], "inputs": ["z"]},
]
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
        "model files",
        "A damaged model file is refused by ModelFileError; a forged one too, or its model works.",
        model_files,
        full=1_500,
        short=30,
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
