"""Learning-rate schedules: pure functions of how far training is -> rate."""


def invscaling(initial_rate, samples_seen, power_t):
    """initial_rate / (samples_seen + 1) ** power_t; it counts samples, as scikit-learn does."""
    return float(initial_rate) / (samples_seen + 1) ** power_t


def adaptive(rate):
    """The rate after training has stalled: a fifth, or None once it is too small to go on."""
    return None if rate <= 1e-6 else rate / 5.0
