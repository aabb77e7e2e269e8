"""Tables: columns of numbers and categories, and the arrays that networks take of them.

It needs NumPy and the core alone. What the columns become is learned in `fastbp.tabular`.
"""

from fastbp.tables.codes import Numbers
from fastbp.tables.columns import ArrayColumns, Columns, NamedColumns, columns_of, frame_kind
from fastbp.tables.encoding import Encoding
from fastbp.tables.levels import Categories, Coded, code, is_missing
from fastbp.tables.model_file import array_of, encoding_node, read_encoding, read_limits
from fastbp.tables.scaling import Floats, Scale
from fastbp.tables.table import Table, check_not_infinite, read, refusal

__all__ = [
    "ArrayColumns",
    "Categories",
    "Coded",
    "Columns",
    "Encoding",
    "Floats",
    "NamedColumns",
    "Numbers",
    "Scale",
    "Table",
    "array_of",
    "check_not_infinite",
    "code",
    "columns_of",
    "encoding_node",
    "frame_kind",
    "is_missing",
    "read",
    "read_encoding",
    "read_limits",
    "refusal",
]
