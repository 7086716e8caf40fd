#!/usr/bin/env bash
# ONNX Runtime's wheel for Linux tells its maker of its use, from the first import on: it writes a session's number into
# the temporary folder, and opens sockets to mobile.events.data.microsoft.com once networks are loaded.
#
# Versions: onnxruntime 1.32.0. Seen: 2026-11-28. Output:
#   guess: a library that runs networks asks nobody, and Linux builds have no telemetry (it was Windows's)
#   seen: as it comes: files ['.ses'], sockets opened: True
#   seen: disable_telemetry_events() first: files ['.ses'], sockets opened: True
#   seen: ORT_DISABLE_TELEMETRY=1: files [], sockets opened: False
#
# For builders: set ORT_DISABLE_TELEMETRY before anything imports onnxruntime, in the package's own __init__ if need be.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 numpy==2.3.5
cd "$dir"

cat > run.py <<'PY'
import os
import sys
import time

import onnxruntime
from onnxruntime.datasets import get_example

if "late" in sys.argv:
    onnxruntime.disable_telemetry_events()
session = onnxruntime.InferenceSession(get_example("sigmoid.onnx"), providers=["CPUExecutionProvider"])
opened, until = False, time.monotonic() + 15
while time.monotonic() < until and not opened:
    for number in os.listdir("/proc/self/fd"):
        try:
            opened |= os.readlink(f"/proc/self/fd/{number}").startswith("socket:")
        except OSError:
            pass
    time.sleep(0.001)
print(f"files {sorted(os.listdir(os.environ['TMPDIR']))}, sockets opened: {opened}")
PY
try() {
  mkdir "$dir/$1"
  TMPDIR="$dir/$1" venv/bin/python run.py "$1"
}
unset ORT_DISABLE_TELEMETRY
echo "guess: a library that runs networks asks nobody, and Linux builds have no telemetry (it was Windows's)"
plain=$(try plain)
late=$(try late)
off=$(ORT_DISABLE_TELEMETRY=1 try off)
echo "seen: as it comes: $plain"
echo "seen: disable_telemetry_events() first: $late"
echo "seen: ORT_DISABLE_TELEMETRY=1: $off"
if [ "$plain" != "files ['.ses'], sockets opened: True" ] || [ "${late%%,*}" != "files ['.ses']" ] ||
  [ "$off" != "files [], sockets opened: False" ]; then
  echo "CHANGED: this is no longer what was seen on 2026-11-28"
  exit 1
fi
echo "as seen on 2026-11-28"
