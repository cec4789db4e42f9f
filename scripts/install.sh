#!/bin/sh
# Make the virtual environment VENV (default .venv) and install the project into it, editable, ready for work.
# Needs only Python >= 3.11 with pip. PYTHON chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
python=${PYTHON:-python3}

say() { echo "== $*"; }
die() { echo "Error: $*" >&2; exit 1; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    die "Python 3.11 or newer is needed; name it with 'make PYTHON=python3.12 ...'."

# Debian takes ensurepip out of its Python, so that 'python3 -m venv' alone may fail there.
make_venv() {
    "$python" -m venv "$venv" >/dev/null 2>&1 && return
    rm -rf "$venv"
    "$python" -m venv --without-pip "$venv" >/dev/null 2>&1 &&
        "$python" -m pip --python "$venv/bin/python" install --quiet pip 2>/dev/null && return
    rm -rf "$venv"
    . scripts/as_root.sh
    if can_apt; then
        apt_install "python3-venv" && "$python" -m venv "$venv" && return
    fi
    die "no virtual environment can be made; install the package python3-venv (sudo apt-get install python3-venv)."
}

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    say "making $venv"
    make_venv
fi
pip="$venv/bin/python -m pip --disable-pip-version-check"

# torch first: the default build brings gigabytes of CUDA libraries, which only a machine with an NVIDIA GPU can use.
# Where neither a local wheel of the CPU build nor PyTorch's own index can be had, the default build does as well.
install_torch() {
    if [ "$(uname -s)" = Linux ] && ! nvidia-smi -L >/dev/null 2>&1; then
        say "no NVIDIA GPU here: installing the CPU build of torch"
        $pip install --quiet "torch==2.13.0+cpu" 2>/dev/null && return
        $pip install --quiet --timeout 10 --retries 0 --index-url https://download.pytorch.org/whl/cpu \
            torch 2>/dev/null && return
        say "the CPU build cannot be had from here"
    fi
    say "installing torch from the package index (this may take minutes)"
    $pip install "torch>=2.9"
}
"$venv/bin/python" -c 'import torch' >/dev/null 2>&1 || install_torch

say "installing napari-colloids with its tools for development"
$pip install --quiet --editable ".[dev]"
sh scripts/system_libraries.sh

say "compiling the loops of simulation and refinement"
"$venv/bin/python" -c 'from napari_colloids import detect, simulate
detect(simulate(shape=(32, 32, 32), radius=4).stack, diameter=8, device="cpu", refine=True)'
