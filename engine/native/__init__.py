"""Kernels in C for what a suggestion call spends its time on; NumPy does the same without them."""
