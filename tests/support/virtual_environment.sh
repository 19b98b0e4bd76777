#!/bin/sh
# A virtual environment at $2 made by $1; Debian keeps that ability in a package of its own.
set -eu
if "$1" -m venv "$2" 2>/dev/null; then
  exit 0
fi
rm -rf "$2"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing python3-venv ..."
  apt-get update -qq >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
fi
exec "$1" -m venv "$2"
