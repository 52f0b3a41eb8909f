"""Tensors with gradients, and the functions that Transformers are made of.

Every op goes the same way: `functional` or `ops` -> `Tensor.from_op`, and back by `Tensor.backward`
(tensor.py). minibert/README.md lists the files in reading order.
"""
