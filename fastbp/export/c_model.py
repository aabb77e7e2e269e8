"""A model in C: the comment at the top, the declarations, and the functions that users call."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import sklearn
from numpy.typing import DTypeLike

import fastbp
from fastbp.export.c_network import (
    STORED,
    Written,
    activation_functions,
    affine,
    c_type,
    write_network,
)
from fastbp.export.c_scalar import for_type, functions
from fastbp.export.c_text import comment, labels, table
from fastbp.export.facts import Block, Facts, facts_of

LINKS = {
    "identity": "{}",
    "exp": "NAME_exp({})",
    "logistic": "NAME_logistic({})",
    "softplus": "NAME_softplus({})",
    "relu": "{0} < 0 ? 0 : {0}",
    "tanh": "NAME_tanh({})",
}
STORED_IN_WORDS = {
    None: "",
    "float16": ", with weights in half precision",
    "int8": ", with weights of 8 bits",
}

INCLUDES = "#include <float.h>\n#include <stdint.h>\n#include <string.h>"
START = """#ifndef NAME_is_declared
#define NAME_is_declared
#ifdef __cplusplus
extern "C" {
#endif"""
END = """#ifdef __cplusplus
}
#endif
#endif

#ifndef NAME_declarations_only"""

GUARDS = """#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(_M_FP_FAST)
#error "not with -ffast-math or -fassociative-math: the order of operations matters"
#endif
#if defined(__clang__) && __clang_major__ >= 14
#pragma clang fp reassociate(off) /* -fassociative-math defines no macro there */
#endif
#if {digits}
#error "float and double have to be those of IEEE 754"
#endif
#if defined(FLT_EVAL_METHOD) && ({wide})
#error "sums have to be rounded to their own type: on 32-bit x86, -msse2 -mfpmath=sse"
#endif"""

RESTRICT = """#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 199901L
#define NAME_restrict restrict
#elif defined(__GNUC__) || defined(_MSC_VER)
#define NAME_restrict __restrict
#else
#define NAME_restrict
#endif"""

PREDICT = """void NAME_predict(const REAL *x, REAL *out) {{
    REAL z[{outputs}];
    NAME_network(x, z);
    NAME_link(z, out);
}}"""

PREDICT_GAUSSIAN = """void NAME_predict_std(const REAL *x, REAL *out, REAL *std) {{
    REAL z[{outputs}];
    int j;
    NAME_network(x, z);
    NAME_link(z, out);
    for (j = 0; j < {columns}; j++) std[j] = NAME_exp(z[{columns} + j] / 2);
}}"""

PREDICT_MEAN = """void NAME_predict(const REAL *x, REAL *out) {{
    REAL z[{outputs}], one[{columns}];
    int j, k;
    for (j = 0; j < {columns}; j++) out[j] = 0;
    for (k = 0; k < {n}; k++) {{
        NAME_networks[k](x, z);
        NAME_link(z, one);
        for (j = 0; j < {columns}; j++) out[j] += one[j];
    }}
    for (j = 0; j < {columns}; j++) out[j] /= {n};
}}"""

PREDICT_SPREAD = """void NAME_predict_std(const REAL *x, REAL *out, REAL *std) {{
    REAL z[{outputs}], one[{columns}], parts[{columns}][{parts}];
    int j, k;
    for (j = 0; j < {columns}; j++) out[j] = 0;
    for (k = 0; k < {n}; k++) {{
        NAME_networks[k](x, z);
        NAME_link(z, one);
        for (j = 0; j < {columns}; j++) {{
            out[j] += one[j];
            parts[j][k] = one[j];{noise}
        }}
    }}
    for (j = 0; j < {columns}; j++) {{
        out[j] /= {n};
        for (k = 0; k < {n}; k++) parts[j][k] -= out[j];
        std[j] = NAME_root_of_squares(parts[j], {parts}, {n});
    }}
}}"""

NOISE = """
            parts[j][{n} + k] = NAME_exp(z[{columns} + j] / 2);"""

CLASS = """int NAME_class(const REAL *x) {{
    REAL p[{columns}];
    NAME_predict(x, p);
    return NAME_largest(p, {columns});
}}"""

MULTILABEL = """void NAME_labels(const REAL *x, int *out) {{
    REAL p[{columns}];
    int j;
    NAME_predict(x, p);
    for (j = 0; j < {columns}; j++) out[j] = 2 * p[j] > 1;
}}"""

SEVERAL = """void NAME_labels(const REAL *x, int *out) {{
    REAL p[{columns}];
    NAME_predict(x, p);{lines}
}}"""


def to_c(
    model: Any, name: str = "model", *, dtype: DTypeLike | None = None, weights: str | None = None
) -> str:
    """The prediction of a fitted model as a file in C.

    The file is complete: C99, which is C++ too, with ``<float.h>``, ``<stdint.h>`` and
    ``<string.h>``, and nothing else. It allocates no memory and keeps nothing between calls, so
    that any number of threads can call it. The comment at its top describes the inputs and outputs.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor, MLPEnsembleClassifier or MLPEnsembleRegressor
        Fitted.
    name : str, default='model'
        Prefix of all names in the file, an identifier of C.
    dtype : {'float32', 'float64'} or None, default=None
        Type of all numbers: ``float`` or ``double``. None is that of the weights.
    weights : {'float16', 'int8'} or None, default=None
        How the weights are stored. None: as numbers of `dtype`. 'float16': in half precision, two
        bytes each. 'int8': as integers from -127 to 127, of which each column of a weight matrix
        has its own scale. Sums and activations are numbers of `dtype` in any case.

    Returns
    -------
    text : str
        The file, in ASCII. Its functions, for ``name='model'``:

        - ``void model_predict(const float *x, float *out)``: the predictions for a row `x`; of a
          classifier the probabilities, as `predict_proba` gives them, targets side by side.
        - ``int model_class(const float *x)``: the index of the most probable class, in
          ``model_classes``; of a classifier with one target.
        - ``void model_labels(const float *x, int *out)``: 0 or 1 for each label of multilabel
          targets; of several targets the index of the class of each, in ``model_classes_0``,
          ``model_classes_1``, ...
        - ``void model_predict_std(const float *x, float *out, float *std)``: predictions and
          standard deviations; of a regressor with ``loss='gaussian'``, and of an ensemble of
          regressors.

        ``model_n_features`` and ``model_n_outputs`` are the lengths of `x` and `out`, which must
        not overlap.

    Raises
    ------
    TypeError
        If `model` is no such estimator, or one of a subclass with another `predict` or
        `predict_proba`, or if its classes are of a kind that C has no type for.
    NotFittedError
        If `model` is not fitted.
    ValueError
        If `name` is no identifier, if `dtype` or `weights` is another value, or if a weight is not
        finite in `dtype`.

    Notes
    -----
    Numbers are those of `predict` up to their last few bits. In the tests they differ by at most 16
    units in the last place of the row's largest probability, or of a regressor's usual prediction.
    They are not the same bits, since compilers choose whether to fuse a product with a sum. NaN in
    `x` gives NaN, not an error.

    The file may be compiled by itself. Another file that includes it after
    ``#define model_declarations_only`` gets the declarations alone.

    Examples
    --------
    >>> from fastbp import MLPRegressor
    >>> from fastbp.export import to_c
    >>> line = MLPRegressor.from_weights([[[2.0]]], [[1.0]], activation="identity")
    >>> text = to_c(line, "line")
    >>> "void line_predict(const double *x, double *out)" in text
    True
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"name must be an identifier of C, got {name!r}")
    if weights not in STORED:
        raise ValueError(f"weights must be None, 'float16' or 'int8', got {weights!r}")
    facts = facts_of(model, dtype)
    texts, names = activation_functions(facts.networks)
    networks = [
        write_network(network, names, f"_{k}" if facts.is_ensemble else "", weights)
        for k, network in enumerate(facts.networks)
    ]
    outer = [*_links(facts), *_predictions(facts), *_choices(facts)]
    body = "\n\n".join([*texts, affine(weights), *(one.function for one in networks), *outer])
    real = c_type(facts.dtype)

    def finished(text: str) -> str:
        return for_type(text, real).replace("NAME_", f"{name}_")

    parts = [  # names of features and classes are the user's words, in which nothing is replaced
        _comment(facts, name, networks, weights),
        finished(f"{INCLUDES}\n\n{START}"),
        finished("\n".join(_declarations(facts))),
        finished(END),
        finished(_guards(facts.dtype, body)),
        finished(RESTRICT),
        *_classes(facts, name),
        *(one.tables.replace("NAME_", f"{name}_") for one in networks),
        finished(functions(body, real)),
        finished(body),
        finished("#undef NAME_restrict\n#endif"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


# ---- the top


def _comment(facts: Facts, name: str, networks: list[Written], weights: str | None) -> str:
    """The comment at the top of the file."""
    lines = [
        f"{name}: {_described(facts)},",
        f"written by fastbp {fastbp.__version__} (scikit-learn {sklearn.__version__}, NumPy "
        f"{np.__version__}).",
        "",
        "C99 or C++, without -ffast-math. Nothing is allocated, and nothing is kept between calls.",
        "A file that defines "
        f"{name}_declarations_only before it includes this one gets the declarations.",
        "",
        f"Tables: {sum(one.n_bytes for one in networks)} bytes{STORED_IN_WORDS[weights]}. "
        f"Stack: about {_stack(facts, networks)} bytes.",
        *_activations_in_words(facts),
        "",
        f"Inputs: x has {facts.units[0]} numbers, as they were in X when the model was fitted.",
        *_inputs_in_words(facts),
        "",
        *_outputs_in_words(facts, name),
    ]
    return "\n".join(["/* " + lines[0], *(f"   {line}".rstrip() for line in lines[1:])]) + " */"


def _described(facts: Facts) -> str:
    """The class of the model and its widths."""
    members = f" of {len(facts.networks)} networks" if facts.is_ensemble else ""
    return comment(f"{facts.title}{members} {'-'.join(map(str, facts.units))}")


def _activations_in_words(facts: Facts) -> Iterable[str]:
    """The activations of the hidden layers, and the functions of the outputs."""
    if facts.networks[0].activations:
        words = ", ".join(map(str, dict.fromkeys(facts.networks[0].activations)))
        yield f"Hidden layers: {comment(words)}."
    yield f"Outputs: the function {', '.join(dict.fromkeys(block.link for block in facts.blocks))}."


def _inputs_in_words(facts: Facts) -> Iterable[str]:
    """A line for each named feature."""
    for k, name in enumerate(facts.names or ()):
        yield f"    x[{k}]  {comment(name)}"


def _outputs_in_words(facts: Facts, name: str) -> Iterable[str]:
    """What the outputs are, and where the classes stand."""
    head = f"Outputs: {name}_predict writes {facts.n_outputs} numbers,"
    if not facts.is_classifier:
        yield f"{head} the columns of predict."
        if facts.has_std:
            yield f"{name}_predict_std writes as many standard deviations, too."
    elif len(facts.blocks) == 1:
        yield f"{head} the probability of each of {name}_classes."
        if facts.is_multilabel:
            yield f"{name}_labels writes 1 for each that is more probable than not, else 0."
        else:
            yield f"{name}_class returns the index of the most probable one."
    else:
        yield f"{head} the probabilities of the classes of each target."
        yield f"{name}_labels writes the index of the most probable class of each target."
        first = 0
        for k, block in enumerate(facts.blocks):
            yield f"    out[{first}] to out[{first + block.columns - 1}]  {name}_classes_{k}"
            first += block.columns


def _stack(facts: Facts, networks: list[Written]) -> int:
    """The bytes of all arrays that are on the stack at once."""
    outputs, columns = facts.units[-1], facts.n_outputs
    own = outputs + columns * (2 if facts.is_classifier else 1) * (1 + facts.is_ensemble)
    if facts.is_ensemble and facts.has_std:
        own = max(own, outputs + columns * (1 + _parts(facts)))
    return max(one.stack for one in networks) + own * facts.dtype.itemsize


def _parts(facts: Facts) -> int:
    """The numbers that a deviation of an ensemble is made of: differences, and deviations."""
    return len(facts.networks) * (1 + facts.is_gaussian)


def _declarations(facts: Facts) -> Iterable[str]:
    """The constants, and the functions that users call."""
    numbers = {"n_features": facts.units[0], "n_outputs": facts.n_outputs}
    blocks = list(_marked_blocks(facts))
    if len(blocks) > 1:
        numbers["n_targets"] = len(blocks)
    numbers |= {f"n_classes{mark}": len(block.classes) for mark, block in blocks}
    yield f"enum {{ {', '.join(f'NAME_{key} = {value}' for key, value in numbers.items())} }};"
    for mark, block in blocks:
        kind, _ = labels(block.classes)
        yield f"extern {kind}NAME_classes{mark}[{len(block.classes)}];"
    yield "void NAME_predict(const REAL *x, REAL *out);"
    if facts.has_std:
        yield "void NAME_predict_std(const REAL *x, REAL *out, REAL *std);"
    if facts.is_classifier:
        one = len(blocks) == 1 and not facts.is_multilabel
        head = "int NAME_class(const REAL *x);"
        yield head if one else "void NAME_labels(const REAL *x, int *out);"


def _marked_blocks(facts: Facts) -> Iterable[tuple[str, Any]]:
    """The blocks of a classifier, each with what its names end with."""
    if facts.is_classifier:
        for k, block in enumerate(facts.blocks):
            yield f"_{k}" if len(facts.blocks) > 1 else "", block


def _classes(facts: Facts, name: str) -> Iterable[str]:
    """The tables of the labels of each target."""
    for mark, block in _marked_blocks(facts):
        kind, items = labels(block.classes)
        yield table(f"{kind}{name}_classes{mark}", items)


def _guards(dtype: np.dtype[Any], body: str) -> str:
    """The check that the compiler computes as IEEE 754 says."""
    needs_double = dtype == np.float64 or "NAME_sin" in body or "NAME_cos(" in body
    digits = "FLT_RADIX != 2 || FLT_MANT_DIG != 24" + " || DBL_MANT_DIG != 53" * needs_double
    wide = "FLT_EVAL_METHOD == 2" + " || FLT_EVAL_METHOD == 1" * (dtype == np.float32)
    return GUARDS.format(digits=digits, wide=wide)


# ---- the functions


def _links(facts: Facts) -> Iterable[str]:
    """NAME_link, from the outputs of a network to predictions."""
    lines, source, to = [], 0, 0
    for block in facts.blocks:
        lines += _link_lines(block, _at("z", source), _at("out", to))
        source, to = source + block.width, to + block.columns
    if any("(j = " in line for line in lines):
        lines.insert(0, "int j;")
    if not any("z" in line for line in lines):
        lines.append("(void)z;")
    body = "\n".join(f"    {line}" for line in lines)
    yield f"static void NAME_link(const REAL *z, REAL *out) {{\n{body}\n}}"


def _at(name: str, first: int) -> str:
    return f"{name} + {first}" if first else name


def _link_lines(block: Block, z: str, out: str) -> Iterable[str]:
    """The statements of a block of outputs."""
    if block.classes is not None and len(block.classes) == 1:
        return [f"*({out}) = 1;"]
    if block.link == "softmax":
        return [f"NAME_softmax({z}, {out}, {block.width});"]
    value = LINKS[block.link]
    if block.width == 1 and block.columns == 2:
        second = value.format(f"(*({z}))")
        return [f"({out})[1] = {second};", f"({out})[0] = 1 - ({out})[1];"]
    number = f"({z})[j]" if "+" in z else f"{z}[j]"
    to = f"({out})[j]" if "+" in out else f"{out}[j]"
    return [f"for (j = 0; j < {block.columns}; j++) {to} = {value.format(number)};"]


def _predictions(facts: Facts) -> Iterable[str]:
    """NAME_predict, and NAME_predict_std of models that have it."""
    sizes = {"outputs": facts.units[-1], "columns": facts.n_outputs, "n": len(facts.networks)}
    if not facts.is_ensemble:
        yield PREDICT.format(**sizes)
        if facts.has_std:
            yield PREDICT_GAUSSIAN.format(**sizes)
        return
    names = ", ".join(f"NAME_network_{k}" for k in range(len(facts.networks)))
    yield f"static void (*const NAME_networks[{sizes['n']}])(const REAL *, REAL *) = {{{names}}};"
    yield PREDICT_MEAN.format(**sizes)
    if facts.has_std:
        noise = NOISE.format(**sizes) * facts.is_gaussian
        yield PREDICT_SPREAD.format(**sizes, parts=_parts(facts), noise=noise)


def _choices(facts: Facts) -> Iterable[str]:
    """NAME_class or NAME_labels of a classifier."""
    columns = facts.n_outputs
    if not facts.is_classifier:
        return
    if facts.is_multilabel:
        yield MULTILABEL.format(columns=columns)
    elif len(facts.blocks) == 1:
        yield CLASS.format(columns=columns)
    else:
        lines, first = [], 0
        for k, block in enumerate(facts.blocks):
            lines.append(f"\n    out[{k}] = NAME_largest({_at('p', first)}, {block.columns});")
            first += block.columns
        yield SEVERAL.format(columns=columns, lines="".join(lines))
