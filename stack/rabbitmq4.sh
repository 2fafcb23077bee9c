#!/usr/bin/env bash
# Puts RabbitMQ 4, as in Debian 13, into .local/rabbitmq-4, beside whatever RabbitMQ this system has. As root.
#
# The packages are only unpacked: nothing of theirs runs, so no service starts and no user is made. What runs them is
# stack/servers.py, told by RABBITMQ_ROOT. On a second run it finds everything in place and says nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=.local/rabbitmq-4
log=.local/rabbitmq-4.log

give_up() {
    printf '%s\n' "$@" >&2
    exit 1
}

# "?essential" is apt's word for the packages that each system has: the shell and the tools of RabbitMQ's scripts.
unpack() {
    rm -rf "$root"
    command -v mmdebstrap && [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || {
        apt-get update || true # the package lists of last time may do
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
            mmdebstrap debian-archive-keyring || return
    }
    mmdebstrap --variant=extract --include='?essential' --include=rabbitmq-server trixie "$root" || return
    date >"$root/unpacked"
}

mkdir -p -m 700 .local
exec 9>.local/rabbitmq-4.lock
flock 9 # two of us would step on each other's files
[ ! -e "$root/unpacked" ] || exit 0
[ "$(id -u)" = 0 ] || give_up "Only root can put RabbitMQ 4 beside this system's."
echo "unpacking RabbitMQ 4 of Debian 13 (log: $log) …" >&2
unpack >"$log" 2>&1 || give_up "RabbitMQ 4 could not be unpacked; the end of $log:" "$(tail -n 5 "$log")"
