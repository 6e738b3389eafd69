#!/bin/sh
# Makes .venv from a full lock file: setup.sh PYTHON LOCK. Every failure says what to do.
set -eu
python=$1 lock=$2

fail() {
    echo "setup: $1" >&2
    exit 1
}

# A package's lines of the lock: its pin, and the hashes below it.
pinned() {
    sed -n "/^$1==/,/[^\\\\]\$/p" "$lock"
}

command -v "$python" >/dev/null ||
    fail "no Python '$python' is here: install 3.11 or run 'make setup PYTHON=/path/to/python3.11'"
"$python" -I pipeline/machine.py "$lock" || exit 1
[ -x .venv/bin/python ] || "$python" -m venv .venv ||
    fail "cannot make .venv: install Python's venv module (Debian: apt-get install python3-venv)"

# Only files whose hash stands in the lock are installed, what builds packages among them.
# The lock is complete, and --no-deps keeps out what vLLM names and a text pipeline does not use:
# torchvision, torchaudio and torchcodec, whose registry builds break `import transformers` beside
# a CPU torch.
pip=".venv/bin/python -m pip --disable-pip-version-check"
install="$pip install -q --no-deps --no-build-isolation --require-hashes"
echo "setup: installing $(grep -c '^[^ #]*==' "$lock") packages from $lock (some minutes, 3 GB)"
for name in setuptools uv torch; do
    pinned $name >.venv/$name.lock
done
$install -r .venv/setuptools.lock ||
    fail "cannot install setuptools: check the network, and run 'make setup' again"
# uv knows where PyTorch keeps its CPU builds. pip's own sources come first: a mirror may have them.
torch_by_uv() {
    [ -s .venv/uv.lock ] && $install -r .venv/uv.lock &&
        .venv/bin/uv pip install -q --python .venv/bin/python --no-deps --require-hashes \
            --torch-backend cpu -r .venv/torch.lock
}
$install -r .venv/torch.lock 2>.venv/torch.log || torch_by_uv ||
    fail "cannot install torch: check the network, or put the wheel of $(head -n 1 .venv/torch.lock \
        | cut -d ' ' -f 1) where pip looks (PIP_FIND_LINKS), and run 'make setup' again"
$install -r "$lock" ||
    fail "cannot install from $lock: check the network and free disk space, and run 'make setup' again"
$pip install -q --no-deps --no-build-isolation -e . ||
    fail "cannot install orchard itself: run 'make setup' again"
.venv/bin/python -c 'import torch, transformers, dagster, vllm' 2>.venv/import.log ||
    fail "the environment does not import ($(tail -1 .venv/import.log)): delete .venv, run 'make setup'"
echo "setup: done"
