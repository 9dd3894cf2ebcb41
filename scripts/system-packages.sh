#!/bin/sh
# What `make test-system` needs beyond `make test`: curl (a foreign client) and openssl (a foreign TLS stack).
set -eu
missing=""
for package in curl openssl; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
