"""Vivify's engine: sound in, frames out. It knows nothing of sockets or asyncio."""

import os

# ONNX Runtime 1.32 for Linux tells its maker of its use, from its first import on, unless this is said before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
