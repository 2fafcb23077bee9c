#!/usr/bin/env bash
# Builds the three images with docker, podman or buildah, whichever is there. From the environment:
#
#   PYTHON_IMAGE   another base than that of the Dockerfiles
#   REGISTRY, TAG  the names are [REGISTRY/]gpt-jobs/<service>:TAG; TAG is the version by default
#   SOURCE         the address of the source, for the label
#   BUILDER        docker, podman or buildah, where several are there
#   BUILD_OPTIONS  further options for it
#   PIP_INDEX_URL  a package index of your own
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' services/gateway/pyproject.toml)
revision=$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || true)

give_up() {
    printf '%s\n' "$@" >&2
    exit 1
}

# A docker client whose engine does not answer is of no use, so it does not count.
find_builder() {
    if docker info >/dev/null 2>&1; then
        echo docker
    elif command -v podman >/dev/null; then
        echo podman
    elif command -v buildah >/dev/null; then
        echo buildah
    else
        give_up "Nothing here builds images. Install Docker (and start it), podman or buildah; on Debian, as root:" \
            "apt-get install buildah"
    fi
}

builder=${BUILDER:-$(find_builder)}
read -ra further <<<"${BUILD_OPTIONS:-}"
about=org.opencontainers.image
arguments=(--label "$about.version=$version")
[ -z "$revision" ] || arguments+=(--label "$about.revision=$revision")
[ -z "${SOURCE:-}" ] || arguments+=(--label "$about.source=$SOURCE")
[ -z "${PYTHON_IMAGE:-}" ] || arguments+=(--build-arg "PYTHON_IMAGE=$PYTHON_IMAGE")
[ -z "${PIP_INDEX_URL:-}" ] || arguments+=(--build-arg "PIP_INDEX_URL=$PIP_INDEX_URL")

for service in gateway gpt-worker result-reader; do
    name=${REGISTRY:+$REGISTRY/}gpt-jobs/$service:${TAG:-$version}
    echo "building $name with $builder …" >&2
    "$builder" build "${arguments[@]}" "${further[@]}" --tag "$name" --file "services/$service/Dockerfile" .
done
