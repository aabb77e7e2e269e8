"""scikit-learn's own tests of its MLP, run with the classes of fastbp.

The source of the installed test module is read, and its import of the two classes is replaced. The
result is loaded as a module, and pytest collects its tests here. Tests that use private names of
scikit-learn's implementation are listed and must fail. All others must pass.
"""

import importlib.util
import inspect
import re
import sys
import types
from pathlib import Path

import pytest

import fastbp

# Warnings are shown and are no errors, as in scikit-learn's own configuration.
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

# test: the private name of scikit-learn that it uses
PRIVATE = {"test_gradient": "_loss_grad_lbfgs"}

ORIGINAL = "sklearn.neural_network.tests.test_mlp"
IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"


def _load():
    spec = importlib.util.find_spec(ORIGINAL)
    if spec is None:
        pytest.skip("scikit-learn is installed without its tests", allow_module_level=True)
    source = Path(spec.origin).read_text(encoding="utf-8")
    assert source.count(IMPORT) == 1
    source = source.replace(IMPORT, "from fastbp import MLPClassifier, MLPRegressor\n")
    module = types.ModuleType("sklearn_test_mlp_with_fastbp")
    module.__file__ = spec.origin
    sys.modules[module.__name__] = module
    exec(compile(source, spec.origin, "exec"), module.__dict__)
    return module


SUITE = _load()

for _name, _test in vars(SUITE).items():
    if _name.startswith("test_"):
        if _name in PRIVATE:
            _reason = f"touches the private name {PRIVATE[_name]}"
            _test = pytest.mark.xfail(reason=_reason, raises=AttributeError, strict=True)(_test)
        globals()[_name] = _test


@pytest.fixture
def global_random_seed():
    """The fixture of scikit-learn's conftest.py, with its default."""
    return 42


def test_suite_runs_our_classes():
    assert SUITE.MLPClassifier is fastbp.MLPClassifier
    assert SUITE.MLPRegressor is fastbp.MLPRegressor
    collected = [name for name in vars(SUITE) if name.startswith("test_")]
    assert len(collected) >= 30
    # No other line imports scikit-learn's estimators.
    assert not re.search(r"sklearn\.neural_network[. ]", _source_of(SUITE))


def test_listed_tests_touch_the_private_name():
    """Each test of the list uses its private name."""
    for name, private in PRIVATE.items():
        if hasattr(SUITE, name):  # an older scikit-learn may lack the test
            assert re.search(rf"\.{private}\b", inspect.getsource(getattr(SUITE, name)))


def _source_of(module):
    source = Path(module.__file__).read_text(encoding="utf-8").replace(IMPORT, "")
    return source.split('"""', 2)[2]  # without the docstring, which names the package
