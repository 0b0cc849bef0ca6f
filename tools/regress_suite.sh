#!/usr/bin/env bash
# Fetches Postgres's own regression suite, of exactly the installed version, from Debian's source package
# into .deps/regress-VERSION, and prints that folder's path. The system's package lists stay as they are.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
version=$(dpkg-query -W -f='${Version}' postgresql-15)
suite=$PWD/.deps/regress-$version
if [ ! -e "$suite/ready" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/source"
  cat >"$work/sources.list" <<LIST
deb-src http://deb.debian.org/debian bookworm main
deb-src http://deb.debian.org/debian bookworm-updates main
deb-src http://deb.debian.org/debian-security bookworm-security main
LIST
  apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
  "${apt[@]}" update >&2
  (cd "$work/source" && "${apt[@]}" source --download-only "postgresql-15=$version" >&2)
  tar -C "$work/source" -xf "$work/source"/postgresql-15_*.orig.tar.* --wildcards '*/src/test/regress/*'
  rm -rf "$suite"
  mkdir -p "$suite"
  cp -r "$work/source"/postgresql-*/src/test/regress/. "$suite/"
  gcc -O2 -fPIC -shared -I"$(pg_config --includedir-server)" "$suite/regress.c" -o "$suite/regress.so"
  cp "$(pg_config --pkglibdir)"/{autoinc,refint}.so "$suite/"
  chmod -R a+rX "$suite"
  touch "$suite/ready"
fi
echo "$suite"
