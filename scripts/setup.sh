#!/bin/sh
# Makes .venv with everything that the make targets need, and updates it when pyproject.toml changes.
# PYTHON names the interpreter to use; the default is the first of python3, python3.12 ... that is new enough.
set -eu
cd "$(dirname "$0")/.."
stamp=.venv/.installed

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.12 python3.13 python3.11}; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer not found (looked for: ${PYTHON:-python3 python3.12 python3.13 python3.11})." \
        "Install it (Debian 12, Ubuntu 24.04: apt-get install -y python3 python3-venv), or name it:" \
        "make PYTHON=/path/to/python3.11 ..."
}

# Debian ships the module that makes virtual environments in a package of its own.
need_venv_module() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing python3-venv, which .venv needs"
        apt-get -q update >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends python3-venv >/dev/null
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python has no venv and ensurepip. On Debian or Ubuntu type: sudo apt-get install -y python3-venv"
}

# Fails for an environment that was moved (its scripts hold the old path), is broken, or has an old Python.
usable_venv() {
    { [ ! -e "$stamp" ] || [ "$(head -n 1 "$stamp")" = "$PWD" ]; } &&
        new_enough .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1
}

python=$(find_python)
"$python" occsynth/system_libraries.py --install
wanted=$(printf '%s\n%s' "$PWD" "$(cksum <pyproject.toml)")
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    if ! usable_venv; then
        need_venv_module
        "$python" -m venv --clear .venv
    fi
    echo "installing the Python packages into .venv; the first time this downloads several GB, most of it PyTorch"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
    printf '%s\n' "$wanted" >"$stamp"
fi
