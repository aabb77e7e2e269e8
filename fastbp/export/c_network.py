"""A network in C: its tables of weights, its activations, and the function from inputs to outputs.

Names have the prefix NAME_, and types are those of `c_scalar.py`.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbp.export.c_text import literals, number, table
from fastbp.kernels import core
from fastbp.network import Network

# The value of an activation in C; {scale} and {least} are those of SELU.
ACTIVATIONS = {
    "logistic": "NAME_logistic(z)",
    "tanh": "NAME_tanh(z)",
    "relu": "z < 0 ? 0 : z",
    "leaky_relu": "z > 0 ? z : {little} * z",
    "elu": "z > 0 ? z : NAME_expm1_negative(z)",
    "selu": "z > 0 ? {scale} * z : {least} * NAME_expm1_negative(z)",
    "softplus": "NAME_softplus(z)",
    "step": "z > 0 ? 1 : z <= 0 ? 0 : z",
    "silu": "z * NAME_logistic(z)",
}
# Those that need more than one line.
LINES = {
    "hard_sigmoid": """
    z = (z + 3) / 6;
    return z < 0 ? 0 : z > 1 ? 1 : z;""",
    "gelu": """
    return z * ({half} + {half} * NAME_erf({root_half} * z));""",
    "gelu_tanh": """
    REAL square = z * z;
    square = {cubic} * (square > 10000 ? 10000 : square);
    return z * ({half} * (1 + NAME_tanh({root} * (square * z + z))));""",
    "mish": """
    const REAL e = NAME_exp(z > EXPM1_IS_EXP ? EXPM1_IS_EXP : z), m = e * (e + 2);
    return z * (m / (m + 2));""",
}
NUMBERS = {
    "little": 0.01,
    "half": 0.5,
    "root_half": 0.7071067811865476,
    "root": 0.7978845608028654,
    "cubic": 0.044715,
    "scale": 1.0507009873554805,
}
SELU_ALPHA = 1.6732632423543772

# The value of an instruction of a tape, of its arguments.
OPERATIONS = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "power": "NAME_power({0}, {1})",
    "maximum": "NAME_maximum({0}, {1})",
    "minimum": "NAME_minimum({0}, {1})",
    "less": "{0} < {1} ? 1 : 0",
    "less_equal": "{0} <= {1} ? 1 : 0",
    "equal": "{0} == {1} ? 1 : 0",
    "where": "{0} != 0 ? {1} : {2}",
    "negative": "-{0}",
    "abs": "NAME_abs({0})",
    "sign": "NAME_sign({0})",
    "relu": "{0} < 0 ? 0 : {0}",
    "sqrt": "NAME_sqrt({0})",
    "exp": "NAME_exp({0})",
    "expm1": "NAME_expm1({0})",
    "log": "NAME_log({0})",
    "log1p": "NAME_log1p({0})",
    "sin": "NAME_sin({0})",
    "cos": "NAME_cos({0})",
    "sinh": "NAME_sinh({0})",
    "cosh": "NAME_cosh({0})",
    "tanh": "NAME_tanh({0})",
    "sigmoid": "NAME_logistic({0})",
    "softplus": "NAME_softplus({0})",
    "erf": "NAME_erf({0})",
}
NAMES = {code: name for name, code in core.TAPE_OPERATIONS.items()}


class Stored(NamedTuple):
    """How the weights of a layer are stored."""

    kind: str  # the C type of a weight
    read: str  # the weight of w[j], as a number
    start: str  # of the sum of an output
    end: str  # what follows the sum of an output
    scale: str  # the declaration of a parameter for it


PLAIN = Stored("REAL", "{}", "b[j]", "", "")
STORED = {
    None: PLAIN,
    "float16": Stored(
        "uint16_t", "NAME_half({})", "0", "z[j] = b[j] + scale * z[j]", "REAL scale, "
    ),
    "int8": Stored(
        "int8_t", "(REAL){}", "0", "z[j] = b[j] + s[j] * z[j]", "const REAL *NAME_restrict s, "
    ),
}

AFFINE = """/* z = b + a w; w has a row of n_out weights for each of the n_in numbers of a. */
static inline void NAME_affine(REAL *NAME_restrict z, const REAL *NAME_restrict a,
                               const {kind} *NAME_restrict w, const REAL *NAME_restrict b,
                               {scale}int n_in, int n_out) {{
    const int fours = n_in - n_in % 4;
    int i, j;
    for (j = 0; j < n_out; j++) z[j] = {start};
    for (i = 0; i < fours; i += 4) {{ /* four rows at once: z is read and written less often */
        const REAL a0 = a[i], a1 = a[i + 1], a2 = a[i + 2], a3 = a[i + 3];
        const {kind} *const w1 = w + n_out, *const w2 = w1 + n_out, *const w3 = w2 + n_out;
        for (j = 0; j < n_out; j++)
            z[j] = z[j] + a0 * {r0} + a1 * {r1} + a2 * {r2} + a3 * {r3};
        w = w3 + n_out;
    }}
    for (i = fours; i < n_in; i++) {{
        const REAL a0 = a[i];
        for (j = 0; j < n_out; j++) z[j] += a0 * {r0};
        w += n_out;
    }}{end}
}}"""


def affine(weights: str | None) -> str:
    """The function of a layer before its activation, for weights that are stored in this way."""
    stored = STORED[weights]
    rows = {f"r{k}": stored.read.format(f"w{k or ''}[j]") for k in range(4)}
    end = f"\n    for (j = 0; j < n_out; j++) {stored.end};" if stored.end else ""
    return AFFINE.format(kind=stored.kind, scale=stored.scale, start=stored.start, end=end, **rows)


# ---- tables


def half_precision(w: NDArray[Any]) -> tuple[NDArray[np.float16], float]:
    """Weights in half precision, and the power of two that they are multiplied by.

    The power lets the largest weight use the whole range, so that no weight is too large and few
    are too small.
    """
    most = float(np.abs(w).max())
    exponent = int(np.frexp(most)[1]) - 15 if most else 0
    return np.ldexp(w.astype(np.float64), -exponent).astype(np.float16), float(2.0**exponent)


def eight_bits(w: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Weights as integers from -127 to 127, and the number that each column is multiplied by.

    These numbers have 16 bits, so that their products with the integers are exact in float32 too.
    """
    mantissa, exponent = np.frexp(np.abs(w).max(axis=0).astype(np.float64) / 127)
    scale = np.ldexp(np.ceil(np.ldexp(mantissa, 16)), exponent - 16)
    quotients = np.divide(w, scale, out=np.zeros(w.shape), where=scale > 0)
    return np.rint(quotients).astype(np.int8), scale


def c_type(dtype: np.dtype[Any]) -> str:
    """The type of numbers of a dtype."""
    return "float" if dtype == np.float32 else "double"


class Tables(NamedTuple):
    """The tables of a layer as C text, the arguments that name them, and their bytes."""

    text: str
    arguments: str
    n_bytes: int


def tables(w: NDArray[Any], b: NDArray[Any], mark: str, weights: str | None) -> Tables:
    """The tables of a layer. `mark` is the part of their names that says which layer it is."""
    real = f"static const {c_type(b.dtype)} NAME_{{}}{mark}"
    biases = table(real.format("b"), literals(b))
    names = f"NAME_w{mark}, NAME_b{mark}"
    if weights is None:
        text = table(real.format("w"), literals(w))
        return Tables(f"{text}\n{biases}", f"{names}, ", w.nbytes + b.nbytes)
    if weights == "float16":
        halves, scale = half_precision(w)
        text = table(f"static const uint16_t NAME_w{mark}", literals(halves.view(np.uint16)))
        return Tables(
            f"{text}\n{biases}", f"{names}, {number(scale, b.dtype)}, ", halves.nbytes + b.nbytes
        )
    integers, scales = eight_bits(w)
    text = table(f"static const int8_t NAME_w{mark}", literals(integers))
    scale_table = table(real.format("s"), literals(scales.astype(b.dtype)))
    return Tables(
        f"{text}\n{scale_table}\n{biases}",
        f"{names}, NAME_s{mark}, ",
        integers.nbytes + scales.size * b.itemsize + b.nbytes,
    )


def stored_weights(w: NDArray[Any], weights: str | None) -> NDArray[Any]:
    """The weights that the C code computes with: those that are stored, in the dtype of w."""
    if weights is None:
        return w
    small, scale = half_precision(w) if weights == "float16" else eight_bits(w)
    return (small * np.asarray(scale).astype(w.dtype)).astype(w.dtype)


# ---- activations


def activation_functions(networks: Sequence[Network]) -> tuple[list[str], dict[Any, str | None]]:
    """The C functions of all activations, and the name of the function of each; None: identity."""
    texts: list[str] = []
    names: dict[Any, str | None] = {"identity": None}
    for network in networks:
        tapes = dict(zip(_own_activations(network), network.tapes, strict=True))
        for one in network.activations:
            if one not in names:
                dtype = network.params.dtype
                if isinstance(one, str):
                    label, body = f"NAME_{one}_activation", _named(one, dtype)
                else:
                    label, body = f"NAME_own_{len(names)}", _traced(tapes[one], dtype)
                texts.append(f"static REAL {label}(REAL z) {{{body}\n}}")
                names[one] = label
    return texts, names


def _own_activations(network: Network) -> list[Any]:
    """The activations that are traced functions, each once, as the network's tapes."""
    return [one for one in dict.fromkeys(network.activations) if not isinstance(one, str)]


def _named(name: str, dtype: np.dtype[Any]) -> str:
    """The body of an activation that has a name."""
    body = LINES[name] if name in LINES else f"\n    return {ACTIVATIONS[name]};"
    scale, alpha = (dtype.type(value) for value in (NUMBERS["scale"], SELU_ALPHA))
    numbers = {**NUMBERS, "least": float(scale * alpha)}  # in this dtype, as the core
    return body.format(**{key: number(value, dtype) for key, value in numbers.items()})


def _traced(tape: Any, dtype: np.dtype[Any]) -> str:
    """The body of an activation that is a tape: its instructions, one line for each."""
    n_constants = len(tape.constants)
    values = {k: number(float(row[0]), dtype) for k, row in enumerate(tape.constants)}
    values[n_constants] = "z"
    lines: list[tuple[str, str, set[str]]] = []
    for code in tape.code[: tape.head].tolist():
        operation, to, *registers = code[:5]
        arguments = [values[one] for one in registers if one >= 0]
        name = f"v{len(lines)}"
        lines.append((name, OPERATIONS[NAMES[operation]].format(*arguments), {*arguments}))
        values[to] = name
    result = values[tape.value]
    needed, kept = {result}, []
    for name, text, arguments_of in reversed(lines):  # the others belong to the derivative
        if name in needed:
            needed |= arguments_of
            kept.append(f"\n    const REAL {name} = {text};")
    return f"{''.join(reversed(kept))}\n    return {result};"


# ---- the network


class Written(NamedTuple):
    """A network as C text: its tables and its function; bytes of the tables, and of the stack."""

    tables: str
    function: str
    n_bytes: int
    stack: int


def write_network(
    network: Network, names: dict[Any, str | None], mark: str, weights: str | None
) -> Written:
    """The tables of a network and the function NAME_network from inputs to outputs.

    `names` are those of its activations. `mark` is what its own names end with, before the number
    of a layer.
    """
    units, depth = network.units, len(network.activations)
    activations = [names[one] for one in network.activations]
    layers = [
        tables(w, b, f"{mark}_{k}", weights)
        for k, (w, b) in enumerate(zip(network.coefs, network.intercepts, strict=True))
    ]
    buffers = {f"a{k}": max(units[k + 1 : -1 : 2]) for k in range(min(depth, 2))}
    declared = []
    if buffers:
        declared.append(f"REAL {', '.join(f'{one}[{size}]' for one, size in buffers.items())};")
    if any(activations):
        declared.append("int j;")
    lines = [*declared, *_layer_lines(units, activations, layers)]
    body = "\n".join(f"    {line}" for line in lines)
    head = f"static void NAME_network{mark}(const REAL *x, REAL *z) {{"
    return Written(
        "\n\n".join(layer.text for layer in layers),
        f"{head}\n{body}\n}}",
        sum(layer.n_bytes for layer in layers),
        sum(buffers.values()) * network.params.itemsize,
    )


def _layer_lines(
    units: tuple[int, ...], activations: list[str | None], layers: list[Tables]
) -> Iterable[str]:
    """The statements of all layers."""
    source = "x"
    for k, layer in enumerate(layers):
        to = f"a{k % 2}" if k < len(activations) else "z"
        yield f"NAME_affine({to}, {source}, {layer.arguments}{units[k]}, {units[k + 1]});"
        if k < len(activations) and activations[k]:
            yield f"for (j = 0; j < {units[k + 1]}; j++) {to}[j] = {activations[k]}({to}[j]);"
        source = to
