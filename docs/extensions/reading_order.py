"""The order of the examples in each section; examples not listed come last, by name."""

ORDER = (
    # 1_basics
    "logic_gates",
    "stacked_linear",
    "loss_not_accuracy",
    "stable_softmax",
    "lines_in_the_plane",
    # 2_backpropagation
    "by_hand",
    "graphs",
    "check_gradient",
    "local_minima",
    "quantile_bands",
    # 3_training
    "batch_sizes",
    "learning_rates",
    "schedules",
    "online_learning",
    "vanishing_gradient",
    "exploding_gradient",
    "depth_and_width",
    "overfitting",
    "imbalanced_classes",
    "resume",
    "ensembles",
    # 4_practice
    "digits",
    "regression",
    "conformal_intervals",
    "activations",
    "grid_search",
    "larger_than_window",
    # 5_tabular
    "house_prices",
    "imbalanced_table",
    "table_intervals",
    "against_trees",
)


class ReadingOrder:
    """The key by which Sphinx-Gallery sorts the scripts of a folder."""

    def __init__(self, folder):
        pass

    def __call__(self, script):
        name = script.removeprefix("plot_").removesuffix(".py")
        return (ORDER.index(name) if name in ORDER else len(ORDER)), name
