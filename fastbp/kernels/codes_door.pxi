"""The door of the numbers of tables; included by _core.pyx."""


def code_numbers(const double[:, ::1] x, const double[:, ::1] columns,
                 const Py_ssize_t[::1] counts, const double[:, ::1] bins,
                 const Py_ssize_t[::1] marked, floating[:, :] out):
    """out := of each row of x the scaled numbers, their codes, and 1 where a number is missing.

    `columns` has rows of units, medians and scales, `bins` of left edges and widths; `counts` are
    the bins of each column, and `marked` the columns whose missing numbers are marked.
    """
    cdef Py_ssize_t n = x.shape[1], n_bins = bins.shape[1], i, j, first = n + n_bins, total = 0
    for j in range(counts.shape[0]):
        if counts[j] < 0:
            raise ValueError("a column has no bins or some")
        total += counts[j]
    for j in range(marked.shape[0]):
        if not 0 <= marked[j] < n:
            raise ValueError(f"no column {marked[j]} of {n}")
    if columns.shape[0] != 3 or columns.shape[1] != n or counts.shape[0] != n:
        raise ValueError("each column has a unit, a median, a scale and a number of bins")
    if bins.shape[0] != 2 or total != n_bins:
        raise ValueError("each bin has a left edge and a width")
    if out.shape[0] != x.shape[0] or out.shape[1] != first + marked.shape[0]:
        raise ValueError("out has a row for each of x, and a column for each number, bin and mark")
    if x.shape[0] == 0 or out.shape[1] == 0:
        return
    if out.strides[1] != sizeof(floating):
        raise ValueError("the columns of out lie side by side")
    with nogil:
        for i in range(x.shape[0]):
            code_row(&x[i, 0], &columns[0, 0], &counts[0], &bins[0, 0] if n_bins else NULL, n,
                     n_bins, &out[i, 0])
            for j in range(marked.shape[0]):
                out[i, first + j] = x[i, marked[j]] != x[i, marked[j]]
