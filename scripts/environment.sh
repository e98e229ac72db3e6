# Sourced by the scripts beside it: the project's own .venv, made once, with the extras named in $1 installed.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

install() {
    local python=""
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.10; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            python="$candidate"
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "error: Python 3.10 or newer is needed; set PYTHON to it" >&2
        exit 2
    fi
    # The stamp says what is installed: the declared dependencies and the extras. A changed setup.cfg installs again.
    local stamp=".venv/installed-$1"
    if [ ! -x .venv/bin/pip ] && ! "$python" -m venv .venv; then
        rm -rf .venv
        echo "error: $python cannot make a virtual environment; set PYTHON to one that can, such as uv's or conda's" >&2
        exit 2
    fi
    if [ ! -f "$stamp" ] || [ setup.cfg -nt "$stamp" ]; then
        echo "Installing into .venv (a few minutes; torch is large) …"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$1]"
        touch "$stamp"
    fi
    export PATH="$PWD/.venv/bin:$PATH"
}
