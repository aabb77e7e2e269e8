"""Threads of a fit: how many cores, single-threaded BLAS, the team of ranks."""
