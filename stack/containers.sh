#!/usr/bin/env bash
# Runs a command with buildah and podman, on Debian 12 as root, with all that they keep in .local/containers:
#
#   bash stack/containers.sh podman ps
#
# Installs them if they are missing. PYTHON_IMAGE, the base of our images, is a stand-in unless it is set: Debian's
# own Python, for machines that reach a mirror of Debian and no registry of images.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

home=$PWD/.local/containers
log=.local/containers.log
# podman wants a short path here, and one that is empty after the machine was started anew.
runtime=/run/gpt-jobs-$(sha256sum <<<"$PWD" | cut -c 1-12)
certificates=/etc/ssl/certs/ca-certificates.crt

give_up() {
    printf '%s\n' "$@" >&2
    exit 1
}

in_place() {
    local name
    for name in buildah podman runc mmdebstrap netavark iptables catatonit; do
        PATH=$PATH:/usr/lib/podman:/usr/sbin command -v "$name" >/dev/null || return 1
    done
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] && [ -e "$certificates" ]
}

install_packages() {
    apt-get update || true # the package lists of last time may do
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 \
        buildah podman runc netavark aardvark-dns iptables catatonit \
        mmdebstrap debian-archive-keyring ca-certificates
}

# Settings of our own, so that the containers of this machine's other users are left alone: other storage, other
# locks. runc, since crun refuses machines with both versions of cgroups; the limits are what a container may have
# where root is not allowed to raise them.
configure() {
    mkdir -p "$home" "$runtime"
    cat >"$home/containers.conf" <<END
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[network]
network_backend = "netavark"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "$runtime/libpod"
END
    cat >"$home/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$home/storage"
runroot = "$runtime/storage"
END
    export CONTAINERS_CONF=$home/containers.conf CONTAINERS_STORAGE_CONF=$home/storage.conf BUILDAH_ISOLATION=chroot
}

make_base() {
    mmdebstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$home/base.tar" &&
        podman import --change ENV=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            --change CMD=python3 "$home/base.tar" "$1" || return
    rm "$home/base.tar"
}

[ "$(id -u)" = 0 ] || give_up "Only root can run containers in this way."
mkdir -p -m 700 .local
exec 9>.local/containers.lock
flock 9 # two of us would step on each other's storage
if ! in_place; then
    command -v apt-get >/dev/null || give_up "Missing: buildah, podman, runc, mmdebstrap; there is no apt-get here."
    echo "installing buildah and podman (log: $log) …" >&2
    install_packages >"$log" 2>&1 || give_up "apt-get could not install them; the end of $log:" "$(tail -n 5 "$log")"
fi
configure
if [ -z "${PYTHON_IMAGE:-}" ]; then
    export PYTHON_IMAGE=localhost/stand-in/python:3.11-bookworm
    if ! podman image exists "$PYTHON_IMAGE"; then
        echo "making a stand-in for the Python image, a minute the first time (log: $log) …" >&2
        make_base "$PYTHON_IMAGE" >>"$log" 2>&1 || give_up "That failed; the end of $log:" "$(tail -n 5 "$log")"
    fi
fi
exec 9>&-
# The certificates of this machine, where a proxy has its own: mounted while an image is built, and not copied.
trusted="--volume $certificates:$certificates:ro --build-arg PIP_CERT=$certificates"
export BUILDER=${BUILDER:-buildah} BUILD_OPTIONS=${BUILD_OPTIONS:---layers $trusted}
exec "$@"
