#!/usr/bin/env bash
# Puts in place what `make bench` needs beyond our own .venv: wrk and Node from Debian's packages, the peers' Node
# packages beside each of them in bench/peers, and their Python packages in .local/bench/venv.
#
# On a second run it finds everything in place and says nothing. Only missing Debian packages need root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=$PWD/.local/bench/setup.log
venv=.local/bench/venv

say() { printf '%s\n' "$*" >&2; }

give_up() {
    say "$@"
    exit 1
}

logged() {
    printf '\n$ %s\n' "$*" >>"$log"
    "$@" >>"$log" 2>&1
}

missing_packages() {
    command -v wrk >/dev/null || echo wrk
    command -v node >/dev/null || echo nodejs
    command -v npm >/dev/null || echo npm
    command -v taskset >/dev/null || echo util-linux
}

install_packages() {
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    command -v apt-get >/dev/null ||
        give_up "The benchmarks need these packages of Debian, and there is no apt-get here: $*"
    "${as_root[@]}" true 2>/dev/null || give_up "The benchmarks need more packages; as root: apt-get install $*"
    say "installing $* (log: $log) …"
    logged "${as_root[@]}" apt-get update || say "apt-get update failed; trying with the package lists of last time"
    logged "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@" ||
        give_up "apt-get could not install them; the end of $log:" "$(tail -n 5 "$log")"
}

# A stamp holds what was installed, so that an interrupted installation counts as none.
is_stamped() { [ -e "$2" ] && [ "$(cat "$2")" = "$(sha256sum <"$1")" ]; }

install_node_packages() {
    local directory=$1 lock=$1/package-lock.json stamp=$1/node_modules/.stamp
    is_stamped "$lock" "$stamp" && return
    say "installing the Node packages of $directory (log: $log) …"
    logged npm ci --prefix "$directory" --no-fund --no-audit ||
        give_up "npm could not install them; the end of $log:" "$(tail -n 5 "$log")"
    sha256sum <"$lock" >"$stamp"
}

install_python_packages() {
    is_stamped requirements/bench.txt "$venv/stamp" && return
    say "installing the Python packages of the peers (log: $log) …"
    rm -rf "$venv"
    logged .venv/bin/python -m venv "$venv" &&
        logged "$venv/bin/python" -m pip install --require-hashes -r requirements/bench.txt ||
        give_up "pip could not install them; the end of $log:" "$(tail -n 5 "$log")"
    sha256sum <requirements/bench.txt >"$venv/stamp"
}

mkdir -p -m 700 .local
mkdir -p .local/bench
exec 9>.local/bench/setup.lock
flock 9 # two of us would step on each other's files
read -ra packages <<<"$(missing_packages | tr '\n' ' ')"
[ ${#packages[@]} = 0 ] || install_packages "${packages[@]}"
for lock in bench/peers/*/package-lock.json; do
    install_node_packages "${lock%/package-lock.json}"
done
install_python_packages
