#!/bin/sh
# Builds the vCenter simulator of the tests from Debian's packages alone: golang-go and
# golang-github-vmware-govmomi-dev, GOPATH mode, nothing is downloaded. Prints where it lies; a second call is instant.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sum=$(sha256sum "$here/main.go" | cut -c1-16)
out=${XDG_CACHE_HOME:-$HOME/.cache}/drs-tests/vcsim-$sum
if [ ! -x "$out" ]; then
    command -v go >/dev/null || { echo "go is missing: apt-get install golang-go" >&2; exit 1; }
    [ -d /usr/share/gocode/src/github.com/vmware/govmomi/simulator ] ||
        { echo "govmomi is missing: apt-get install golang-github-vmware-govmomi-dev" >&2; exit 1; }
    mkdir -p "$(dirname "$out")"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cp "$here/main.go" "$work/"
    (cd "$work" && GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS='' CGO_ENABLED=0 \
        go build -trimpath -ldflags='-s -w' -o "$work/vcsim" .)
    mv "$work/vcsim" "$out"
fi
echo "$out"
