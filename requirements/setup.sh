#!/bin/sh
# Makes .venv from a full lock file: setup.sh PYTHON LOCK. Every failure says what to do.
set -eu
python=$1 lock=$2

fail() {
    echo "setup: $1" >&2
    exit 1
}

"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' ||
    fail "Python 3.11 or 3.12 is needed and '$python' is not: install one, or run 'make setup PYTHON=/path/to/python3.11'"
[ -x .venv/bin/python ] || "$python" -m venv .venv ||
    fail "cannot make .venv: install Python's venv module (Debian: apt-get install python3-venv) and try again"
pip=".venv/bin/python -m pip --disable-pip-version-check"

# The lock is complete, and --no-deps keeps packages out that vLLM names and a text pipeline does not use:
# torchvision, torchaudio and torchcodec, whose registry builds break `import transformers` beside a CPU torch.
echo "setup: installing $(grep -c == "$lock") packages from $lock (some minutes, about 3 GB)"
grep -v '^torch==' "$lock" >.venv/rest.lock
torch=$(grep '^torch==' "$lock")
# uv knows where PyTorch keeps its CPU builds; pip's own sources come first, where a mirror may have them.
$pip install -q --no-deps "$torch" 2>.venv/torch.log ||
    { $pip install -q uv==0.13.8 && .venv/bin/uv pip install -q --python .venv/bin/python --no-deps --torch-backend cpu "$torch"; } ||
    fail "cannot install $torch: check the network, or put its wheel where pip looks (PIP_FIND_LINKS), and run 'make setup' again"
$pip install -q --no-deps -r .venv/rest.lock ||
    fail "cannot install from $lock: check the network and free disk space, and run 'make setup' again"
$pip install -q --no-deps -e . || fail "cannot install orchard itself: run 'make setup' again"
.venv/bin/python -c 'import torch, transformers, dagster, vllm' 2>.venv/import.log ||
    fail "the environment does not import ($(tail -1 .venv/import.log)): delete .venv and run 'make setup' again"
echo "setup: done"
