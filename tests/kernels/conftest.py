"""Triton's kernels run in its interpreter here; the variable counts when a kernel module is first imported."""

import os

os.environ.setdefault("TRITON_INTERPRET", "1")
