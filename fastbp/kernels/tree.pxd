"""Sums over chunks of rows, added in a tree that is fixed by the rows of all data.

Their bits do not depend on how the data is cut into parts, and errors of rounding grow with the
depth of the tree instead of the number of rows.

Chunks are counted from the first row of all data. A node is the sum of 2^l chunks, of which the
first one has a number that 2^l divides: two chunks, or two nodes that are neighbours, left + right.
A run of chunks is held as the largest nodes within it, from left to right. If it begins with the
first chunk of all, they are as many as its number of chunks has binary ones, and a chunk that is
added carries like a one that is counted. At the end the nodes that are left are added from right to
left.
"""

from cython cimport floating
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

cdef enum:                  # the totals of a node, besides its gradient
    LOSS                    # the sum of row losses
    WEIGHT                  # of sample weights
    ROWS
    TOTALS_END

cdef struct Run:
    Py_ssize_t first, end   # its chunks
    void* grads             # a row of size_params for each node
    double* totals          # a row of TOTALS_END, the same


cdef inline Py_ssize_t node_size(Py_ssize_t first, Py_ssize_t end) noexcept nogil:
    """Chunks of the largest node that begins with `first`, within the chunks first..end."""
    cdef Py_ssize_t size = 1
    while size <= (end - first) // 2 and first & size == 0:
        size *= 2
    return size


cdef inline Py_ssize_t n_nodes(Py_ssize_t first, Py_ssize_t end) noexcept nogil:
    """How many nodes hold the chunks first..end."""
    cdef Py_ssize_t count = 0
    while first < end:
        first += node_size(first, end)
        count += 1
    return count


cdef inline Py_ssize_t most_nodes(Py_ssize_t first, Py_ssize_t end) noexcept nogil:
    """How many nodes there are at most while the chunks first..end are added one by one."""
    cdef Py_ssize_t bits = 0
    while (end - first) >> bits:
        bits += 1
    return max(bits if first == 0 else 2 * bits, 1)


cdef inline Py_ssize_t n_joins(Py_ssize_t first, Py_ssize_t end,
                               Py_ssize_t size) noexcept nogil:
    """How many nodes before it a new node of `size` chunks joins, one after another.

    It is the last one of the chunks first..end.
    """
    cdef Py_ssize_t begin = end - size, count = 0
    while begin & size and begin - size >= first:
        begin -= size
        size *= 2
        count += 1
    return count


cdef inline void join(floating* node, const floating* numbers, Py_ssize_t n, Py_ssize_t stride,
                      Py_ssize_t times) noexcept nogil:
    """left := left + node, for n numbers of a node and the one before; then on to the left.

    The numbers of the first node may lie elsewhere.
    """
    cdef Py_ssize_t i, _
    for _ in range(times):
        node -= stride
        for i in range(n):
            node[i] += numbers[i]
        numbers = node


cdef inline void join_held(floating* node, Py_ssize_t n, Py_ssize_t stride, Py_ssize_t times,
                           uint64_t* held) noexcept nogil:
    """The same where nodes hold nothing yet for what is 0: bit k tells of the k-th one before."""
    cdef Py_ssize_t _
    for _ in range(times):
        if held[0] & 3 == 3:
            join(node, node, n, stride, 1)
        elif held[0] & 1:
            memcpy(node - stride, node, n * sizeof(floating))
        held[0] = held[0] >> 1 | held[0] & 1
        node -= stride


cdef inline void whole_totals(const Run* run, double* totals) noexcept nogil:
    """The totals of all nodes, which stay as they are."""
    cdef Py_ssize_t node, last = n_nodes(run.first, run.end) - 1
    cdef int t
    for t in range(TOTALS_END):
        totals[t] = run.totals[last * TOTALS_END + t]
        for node in range(last - 1, -1, -1):
            totals[t] = run.totals[node * TOTALS_END + t] + totals[t]
