"""Model files: a description in JSON and tensors, in the format safetensors.

It needs NumPy and the package safetensors, and for a network the core; scikit-learn is not needed.

    Writer -> description, tensors -> write(path) ... read(path) -> Contents -> Reader -> values
"""

from fastbp.files.container import Contents, Source, read, read_description, version, write
from fastbp.files.errors import ModelFileError, refusing
from fastbp.files.network import (
    SavedLabels,
    SavedNetwork,
    check_names,
    network_node,
    read_network,
)
from fastbp.files.values import Reader, Record, Writer

__all__ = [
    "Contents",
    "ModelFileError",
    "Reader",
    "Record",
    "SavedLabels",
    "SavedNetwork",
    "Source",
    "Writer",
    "check_names",
    "network_node",
    "read",
    "read_description",
    "read_network",
    "refusing",
    "version",
    "write",
]
