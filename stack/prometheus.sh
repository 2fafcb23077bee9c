#!/usr/bin/env bash
# Puts Prometheus, promtool and the exporter for Redis, as in Debian, into .local/prometheus.
#
# The packages are only unpacked: nothing of theirs is installed or runs as a service, and no user is made. On a second
# run it finds everything in place and says nothing. Only an apt that has never been updated needs root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$PWD/.local/prometheus
log=$PWD/.local/prometheus.log
packages=(prometheus prometheus-redis-exporter)

give_up() {
    printf '%s\n' "$@" >&2
    exit 1
}

download() { apt-get download "${packages[@]}"; }

update() {
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    "${as_root[@]}" apt-get update
}

unpack() {
    rm -rf "$root"
    mkdir -p "$root"
    cd "$root"
    download || { update && download; } || return
    local package
    for package in *.deb; do
        dpkg-deb --extract "$package" . || return
    done
    rm ./*.deb
    usr/bin/prometheus --version && usr/bin/promtool --version && usr/bin/prometheus-redis-exporter --version || return
    date >unpacked
}

mkdir -p -m 700 .local
exec 9>.local/prometheus.lock
flock 9 # two of us would step on each other's files
[ ! -e "$root/unpacked" ] || exit 0
command -v apt-get >/dev/null || give_up "Prometheus is taken from Debian's packages, and there is no apt-get here."
echo "unpacking Debian's Prometheus (log: $log) …" >&2
(unpack) >"$log" 2>&1 || give_up "Prometheus could not be unpacked; the end of $log:" "$(tail -n 5 "$log")"
