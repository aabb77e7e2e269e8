"""Ids of parametrized tests."""

import re


def plain(value):
    """The value as text, without addresses: processes that share the tests must agree on names."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(value))
