"""Searches, bagging and ensembles of scikit-learn on the backends of joblib: the bits of one core.

They need nothing of fastbp.dask: each fit is local, in a process of the backend.
"""

import contextlib
import os

import joblib
import numpy as np
import pytest
from clusters import labelled
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.model_selection import GridSearchCV

from fastbp import MLPClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
X, Y = labelled(400)
NET = MLPClassifier((8,), max_iter=5, random_state=0)


@pytest.fixture(scope="module", params=["dask", "ray"])
def backend(request, tmp_path_factory):
    """The name of a backend that can be used."""
    if request.param == "dask":
        request.getfixturevalue("client")
        yield "dask"
        return
    ray = pytest.importorskip("ray")
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # or it warns of what will change
    with contextlib.chdir(tmp_path_factory.mktemp("ray")):  # else workers import the checkout
        ray.init(
            num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False
        )
    from ray.util.joblib import register_ray

    register_ray()
    yield "ray"
    ray.shutdown()


@pytest.mark.parametrize(
    "model",
    [
        GridSearchCV(NET, {"alpha": [1e-4, 1.0]}, cv=2, n_jobs=2),
        BaggingClassifier(NET, n_estimators=3, random_state=0, n_jobs=2),
        VotingClassifier(
            [("relu", NET), ("tanh", MLPClassifier((5,), "tanh", max_iter=3, random_state=1))],
            voting="soft",
            n_jobs=2,
        ),
    ],
    ids=["search", "bagging", "ensemble"],
)
def test_fits_elsewhere_have_the_bits_of_fits_here(backend, model):
    model.set_params(n_jobs=2)  # the same number: the mean of members is added up in as many groups
    found = []
    for one in ("threading", backend):
        with joblib.parallel_config(backend=one):
            model.fit(X, Y)
        with joblib.parallel_config(backend="threading"):
            found.append(model.predict_proba(X))
    assert (found[0] == found[1]).all()
    if isinstance(model, GridSearchCV):
        assert np.isfinite(model.cv_results_["mean_test_score"]).all()
