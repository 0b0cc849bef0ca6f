#!/usr/bin/env bash
# Installs what Tarn builds with and runs on, from Debian's own packages. Does nothing when all is there.
# Pinned to Debian 12's versions: the suite fixes the upstream version, security updates included.
set -euo pipefail

postgres_major=15
packages=(
  gcc libc6-dev meson ninja-build pkg-config
  postgresql-$postgres_major postgresql-server-dev-$postgres_major libpq-dev
  libzstd-dev liblz4-dev libssl-dev libcurl4-openssl-dev libjansson-dev libsqlite3-dev
  libmicrohttpd-dev libisal-dev libxxhash-dev uthash-dev libinih-dev libcmocka-dev libseccomp-dev
  python3 python3-venv
)
[ "${1:-}" = "--lint" ] && packages+=(clang-format-14 clang-tidy-14)

missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "Tarn installs its packages with apt-get, which is not here; Debian 12 is supported. Missing: ${missing[*]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "Run this once as root to install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "Installing from Debian: ${missing[*]}"

# The server may be installed already, at a version the headers must match.
for i in "${!missing[@]}"; do
  case "${missing[$i]}" in postgresql-server-dev-*)
    have=$(dpkg-query -W -f='${Version}' postgresql-$postgres_major 2>/dev/null || true)
    [ -n "$have" ] && apt-cache madison "${missing[$i]}" 2>/dev/null | grep -qF " $have " && missing[$i]+="=$have" ;;
  esac
done
# A machine's first cluster is not wanted: Tarn makes its own.
export DEBIAN_FRONTEND=noninteractive
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  "${as_root[@]}" mkdir -p /etc/postgresql-common
  echo "create_main_cluster = false" | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
log=$(mktemp)
if ! { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "apt-get could not install the packages above; see $log" >&2
  exit 1
fi
rm -f "$log"
