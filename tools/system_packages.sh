#!/bin/sh
# Installs the Debian packages listed in the file $1 (one a line, # comments) that are missing.
# Only root can; anybody else is shown the one command to run.
set -eu
wanted=$(sed 's/#.*//' "$1")
if ! command -v dpkg-query >/dev/null; then
    echo "warning: this is no Debian system; make sure that these are installed:" $wanted >&2
    exit 0
fi
missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    echo "== installing system packages:$missing"
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
else
    echo "error: system packages are missing. Run this, then the same make command again:" >&2
    echo "  sudo apt-get update && sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
