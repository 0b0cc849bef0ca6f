#!/usr/bin/env bash
# Layers, format, clang-tidy. Expects build/ to be built.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
failed=0
python3 tools/check_layers.py . || failed=1
find src compute -name '*.[ch]' -print0 | xargs -0 clang-format-14 --dry-run -Werror 2>/tmp/tarn-format.$$ || {
  grep -E 'error' /tmp/tarn-format.$$ | sed 's/:.*//' | sort | uniq -c | sed 's/^/not formatted (run .\/dev fmt): /' >&2
  failed=1
}
rm -f /tmp/tarn-format.$$
find src -name '*.c' ! -name '*_test.c' -print0 |
  xargs -0 -P "$(nproc)" -n 8 clang-tidy-14 -p build --quiet >/tmp/tarn-tidy.$$ 2>/dev/null || {
  grep -E '(warning|error):' /tmp/tarn-tidy.$$ | sort -u >&2
  failed=1
}
rm -f /tmp/tarn-tidy.$$
exit $failed
