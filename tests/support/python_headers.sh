#!/bin/sh
# The C headers of the Python $1, against which the extension module is compiled; Debian keeps them
# in a package of their own. Where they cannot be installed the build says which package it needs.
set -u
header=$("$1" -c 'import sysconfig; print(sysconfig.get_path("include") + "/Python.h")')
[ -e "$header" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  package=$("$1" -c 'import sys; print("python{}.{}-dev".format(*sys.version_info))')
  echo "installing $package ..."
  apt-get update -qq >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
fi
exit 0
