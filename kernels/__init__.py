"""Tensor in, tensor out: the heavy operations of the picture, knowing nothing of faces or sessions."""

__version__ = "0.1.0"
