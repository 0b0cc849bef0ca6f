#!/usr/bin/env bash
# Runs a workload on a stock cluster with the compute's settings and walks its log through the redo
# hosts: redo_walk_test.sh REDO_WALK BINDIR MODULE
set -euo pipefail
walk=$(readlink -f "$1") bin=$2 module=$(readlink -f "$3")
sql=$(dirname "$(readlink -f "$0")")/redo_walk.sql
dir=$(mktemp -d /tmp/tarn-redo-walk-cluster-XXXXXX)
port=$((20000 + RANDOM % 10000))
as=()
if [ "$(id -u)" = 0 ]; then
  chown postgres "$dir"
  as=(runuser -u postgres --)
fi
stop() { "${as[@]}" "$bin/pg_ctl" -D "$dir/data" -s -m "${1:-fast}" stop || true; }
trap 'stop immediate >/dev/null 2>&1; rm -rf "$dir"' EXIT
cd "$dir"

"${as[@]}" "$bin/initdb" -D "$dir/data" -A trust -N --no-locale -E UTF8 >"$dir/initdb.log"
cat >>"$dir/data/postgresql.conf" <<CONF
port = $port
unix_socket_directories = '$dir'
listen_addresses = ''
fsync = off
full_page_writes = off
wal_log_hints = off
wal_level = logical
wal_keep_size = '8GB'
max_wal_size = '8GB'
autovacuum_naptime = 5
CONF
cp -a "$dir/data" "$dir/copy"
start_lsn=$("$bin/pg_controldata" "$dir/data" | sed -n 's/^Latest checkpoint location: *//p')
"${as[@]}" "$bin/pg_ctl" -D "$dir/data" -s -w -l "$dir/log" start
psql() { "${as[@]}" "$bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$dir" -p "$port" -U postgres "$@"; }
"${as[@]}" "$bin/pgbench" -q -i -s 5 -h "$dir" -p "$port" -U postgres postgres >/dev/null 2>&1
"${as[@]}" "$bin/pgbench" -c 4 -t "${TRANSACTIONS:-5000}" -h "$dir" -p "$port" -U postgres postgres >/dev/null 2>&1
psql -f "$sql" postgres >/dev/null
stop
"$walk" "$bin/postgres" "$module" "$start_lsn" "$dir/copy" "$dir/data"
