# Shared by the scripts: find a Python, make the virtual environment, install what is pinned. Sourced, not run.

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

find_python() {
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3.14 python3; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    die "Postroom needs Python 3.11 or newer. Install it (Debian: apt install python3 python3-venv), or set PYTHON."
}

# make_venv REQUIREMENTS: install what is pinned there into .venv, when it changed since the last time.
make_venv() {
    local wanted kept
    wanted=$(sha256sum requirements*.txt | sha256sum | cut -c1-16) # of all lists, which agree with each other
    [ -f .venv/.installed ] && grep -qx "$1 $wanted" .venv/.installed && return
    local python
    python=$(find_python)
    [ -w . ] || die "The folder $PWD cannot be written; Postroom keeps its virtual environment and data there."
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then # also where a first try has left half of it
        say "Making the virtual environment .venv with $("$python" --version) …"
        "$python" -m venv --clear .venv 2>/dev/null ||
            die "The virtual environment cannot be made. On Debian: apt install python3-venv."
    fi
    say "Installing what is pinned in $1 (about a minute the first time) …"
    kept=$(grep -s " $wanted\$" .venv/.installed || true) # what another release wanted is not there any more
    rm -f .venv/.installed
    # Nothing is looked up: the lists are complete, and pip would find what came out since and refuse it for want of a
    # hash. Nothing is built either: that would install unpinned tools.
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes -r "$1" \
        >.venv/install.log 2>&1 || {
        tail -n 5 .venv/install.log >&2
        die "The packages cannot be installed. Is the package index reachable? The whole output: .venv/install.log"
    }
    .venv/bin/python -m pip --disable-pip-version-check check >.venv/check.log 2>&1 || {
        tail -n 5 .venv/check.log >&2
        die "The packages in .venv do not go together. Remove that folder and run this again. If it says so again, $1 is incomplete: pin it anew as requirements.in tells, or report it."
    }
    printf '%s\n' ${kept:+"$kept"} "$1 $wanted" >.venv/.installed
}

need_number() {
    case "$1" in "" | *[!0-9]*) die "--port needs a number, not $1." ;; esac
}

need_free_port() {
    .venv/bin/python - "$1" 2>/dev/null <<'PYTHON' || die "Port $1 is taken or cannot be used. Stop what listens there, or choose another with --port."
import socket, sys
with socket.socket() as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", int(sys.argv[1])))
PYTHON
}
