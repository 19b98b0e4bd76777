"""The compiled extension module `kernels` (start at `kernels.pyx`), its build and its callers."""
