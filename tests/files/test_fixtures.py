"""Files of every format are loaded for ever, and the models predict with the same bits."""

import json
import re
from pathlib import Path

import make_fixtures
import numpy as np
import pytest

import fastbp
from fastbp.files.container import FORMAT

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("format_*/*.safetensors"))


def numbers(texts):
    """Arrays of what `make_fixtures.predictions` wrote."""
    pairs = [text.split(":") for text in texts]
    return [np.frombuffer(bytes.fromhex(digits), dtype) for dtype, digits in pairs]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name} {path.stem}")
@pytest.mark.parametrize("mmap", [False, True])
def test_file_of_a_released_format(path, mmap):
    known = json.loads(path.with_suffix(".json").read_text())
    assert known.keys() == {"fused", "not fused"}
    found = make_fixtures.predictions(fastbp.load(path, mmap=mmap))
    kind = make_fixtures.arithmetic()
    if kind is None:  # SciPy's BLAS decides the last bits
        for one, other in zip(numbers(found), numbers(known["fused"]), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)
    else:
        assert found == known[kind]
    number = int(re.search(r"\d+", path.parent.name)[0])
    assert fastbp.read_metadata(path)["format"] == number


def test_every_format_and_every_kind_of_model_has_a_file():
    for number in range(1, FORMAT + 1):
        names = {path.stem for path in FILES if path.parent.name == f"format_{number}"}
        assert names == make_fixtures.MODELS.keys()
    kinds = {fastbp.read_metadata(path)["class"] for path in FILES}
    assert len(kinds) == 6


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_training_goes_on_from_a_file():
    path = FOLDER / "format_1" / "regressor.safetensors"
    model = fastbp.load(path)
    before = model.loss_curve_[-1]
    x = make_fixtures.X.astype(np.float32)
    model.set_params(max_iter=30, tol=0).resume(x, make_fixtures.T)
    assert model.n_iter_ > 3 and model.loss_curve_[-1] < before
