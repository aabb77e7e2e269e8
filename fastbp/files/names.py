"""Names in the descriptions of models.

A reader without scikit-learn cannot ask the classes for them. A file with another name was written
by a newer version, whose predictions may depend on it.
"""

HEAD = frozenset({"crc32", "format", "fastbp", "numpy", "scikit-learn"})  # not the model's
CURVES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")
FITTED = (  # attributes of a network, besides the curves
    "n_iter_",
    "t_",
    "loss_",
    "best_loss_",
    "best_validation_score_",
    "stop_reason_",
    "_no_improvement_count",
    "feature_names_in_",
)
PARTS = frozenset({"params", "network", "fitted"})
PARTS_FOR_TRAINING = frozenset({"optimizer", "resume"})
PARTS_OF_ENSEMBLE = frozenset({"params", "fitted", "members"})
PARTS_OF_TABULAR = frozenset({"params", "fitted", "transformer", "members"})
PARTS_OF_TRANSFORMER = frozenset({"class", "params", "fitted", "output", "dtype", "tables"})
FITTED_TABULAR = frozenset({"best_epochs_", "n_iter_", "oof_prediction_", "oof_score_"})
FITTED_OF_CLASS = {
    "TabularMLPClassifier": FITTED_TABULAR | {"temperature_"},
    "TabularMLPRegressor": FITTED_TABULAR | {"limits", "errors"},
}
_NETWORK = """
    activation alpha batch_size beta_1 beta_2 clip_norm dropout early_stopping ema_decay epsilon
    hidden_layer_sizes init input_dropout learning_rate learning_rate_init loss max_fun max_iter
    max_seconds momentum n_iter_no_change n_threads nesterovs_momentum power_t random_state scoring
    shuffle solver tol validation_fraction verbose warm_start weight_decay
"""
_ENSEMBLE = "bootstrap estimator n_members n_threads random_state"
_TABULAR = """
    activation batch_size categorical_features hidden_layer_sizes learning_rate_init loss max_iter
    max_seconds n_bins n_members n_threads random_state scoring verbose weight_decay
"""
PARAMETERS = {
    name: frozenset(names.split())
    for name, names in {
        "MLPClassifier": f"{_NETWORK} class_weight label_smoothing",
        "MLPRegressor": f"{_NETWORK} huber_threshold out_activation quantile tweedie_power",
        "MLPEnsembleClassifier": _ENSEMBLE,
        "MLPEnsembleRegressor": _ENSEMBLE,
        "TabularMLPClassifier": f"{_TABULAR} calibrate class_weight label_smoothing",
        "TabularMLPRegressor": f"{_TABULAR} huber_threshold quantile tweedie_power",
        "TabularPreprocessor": "categorical_features dtype max_categories n_bins sparse_output",
    }.items()
}
