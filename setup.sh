#!/bin/sh
# setup.sh: installs what this program needs to run: Node.js, its npm packages, then the host's packages by its own `setup`.
# Run it again at any time: it leaves alone what is already there. Options go to `setup`; see `setup --help`.
set -eu

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 3
}

node_fits() {
  command -v node >/dev/null && command -v npm >/dev/null &&
    node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
      process.exit(major > 18 || (major === 18 && minor >= 19) ? 0 : 1)'
}

# As root itself, otherwise by sudo.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "needs root for \"$*\", and there is no sudo: run that as root, then this script again"
  fi
}

install_node() {
  command -v apt-get >/dev/null ||
    fail 'needs Node.js 18.19 or newer with npm; without apt-get, see https://nodejs.org/en/download'
  say 'apt-get installs nodejs and npm'
  as_root apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends nodejs npm
  node_fits ||
    fail "needs Node.js 18.19 or newer, this release has $(node --version 2>&1): see https://nodejs.org/en/download"
}

cd "$(dirname "$0")"

if node_fits; then
  say "Node.js $(node --version) and npm are installed"
else
  install_node
fi

# npm ci empties node_modules first, so the copy exists only if it finished. Without --include, NODE_ENV=production would leave
# out the packages that this program is compiled from.
installed=node_modules/.installed-package-lock.json
if cmp -s package-lock.json "$installed"; then
  say 'node_modules matches package-lock.json'
else
  say 'npm ci installs what package-lock.json names'
  npm ci --include=dev --no-audit --no-fund >&2
  cp package-lock.json "$installed"
fi

say 'systemvm-image setup looks for the programs of the host'
exec node bin/systemvm-image.js setup --yes "$@"
