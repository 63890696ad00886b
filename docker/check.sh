#!/bin/sh
# Builds the Dockerfiles with buildah, from a Debian made here, into build/docker/PLATFORM: no
# Docker, no image registry. Layers stay in the user's cache. Arguments: the platforms, default all.
set -eu
cd "$(dirname "$0")/.."
cache=${TFLITE_SPARSE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tflite-sparse}/docker
certificates=/etc/ssl/certs/ca-certificates.crt
mkdir -p "$cache"
buildah="buildah --root $cache/storage --runroot $cache/run --storage-driver overlay"

# One file, but for the line that names the platform.
sed 's/^ENV CONFIG=.*/ENV CONFIG=/' docker/aarch64.Dockerfile >"$cache/a"
sed 's/^ENV CONFIG=.*/ENV CONFIG=/' docker/x86_64.Dockerfile >"$cache/b"
diff "$cache/a" "$cache/b"

base=localhost/tflite-sparse-debian:bookworm
if ! $buildah inspect --type image $base >/dev/null 2>&1; then
    echo "== a minimal Debian, with this machine's mirror"
    mirror=$(python3 -c 'from pathlib import Path; from tools.fetch_sources import read_mirror
print(read_mirror(Path("/etc/apt")).uri)')
    mmdebstrap --quiet --variant=minbase bookworm "$cache/base.tar" "$mirror"
    container=$($buildah from scratch)
    $buildah add --quiet "$container" "$cache/base.tar" /
    # How this machine's apt reaches the mirror: a proxy, or release files that it keeps for long.
    apt-config dump | grep '^Acquire::' >"$cache/host.conf"
    $buildah copy --quiet "$container" "$cache/host.conf" /etc/apt/apt.conf.d/90host
    # As docker/README.md says of a company's certificate: whom this machine trusts.
    $buildah copy --quiet "$container" $certificates /usr/local/share/ca-certificates/host.crt
    $buildah commit --quiet --rm "$container" $base
    rm "$cache/base.tar"
fi

for platform in ${*:-aarch64 x86_64}; do
    out=build/docker/$platform
    rm -rf "$out"
    mkdir -p "$out"
    $buildah bud --isolation chroot --pull-never --layers --build-arg BASE=$base \
        --build-arg PIP_CERT=$certificates \
        -f "docker/$platform.Dockerfile" --output "$out" .
    ls "$out"/*_"$platform".whl
    [ "$(find "$out" -type f | wc -l)" = 1 ] || { echo "error: more than a wheel in $out" >&2; exit 1; }
done
