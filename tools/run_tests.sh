#!/usr/bin/env bash
# Every test there is, cheapest first. All parts run even if one fails; the last line tells.
#   -k EXPR   only end-to-end tests whose name fits (pytest's -k); skips the rest
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
passed=0
failed=0
count() { # NAME RC
  if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1" >&2; fi
}
finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
  exit
}
export TARN_TEST_PYTHON=$PWD/.venv/bin/python

unit() { # DIR
  local out
  out=$(meson test -C "$1" --no-rebuild --print-errorlogs --timeout-multiplier 4 2>&1)
  local rc=$? ok bad
  ok=$(sed -n 's/^Ok: *//p' <<<"$out")
  bad=$(sed -nE 's/^(Fail|Timeout|Unexpected Pass): *//p' <<<"$out" | paste -sd+ | bc 2>/dev/null || echo 1)
  passed=$((passed + ${ok:-0}))
  failed=$((failed + ${bad:-1}))
  [ $rc -eq 0 ] || { tail -n 120 <<<"$out" >&2; [ "${bad:-0}" -gt 0 ] || failed=$((failed + 1)); }
}

if [ "${1:-}" != "-k" ]; then
  echo "== build"
  ./dev build || { count build 1; finish; }
  echo "== layers, format, lint"
  bash tools/lint.sh
  count lint $?
  echo "== unit tests"
  unit build
  echo "== unit tests under AddressSanitizer and UBSan"
  ./dev build --asan || { count "build --asan" 1; finish; }
  ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 unit build-asan
else
  ./dev build || { count build 1; finish; }
fi

if ls test/test_*.py >/dev/null 2>&1; then
  echo "== end to end"
  report=$(mktemp)
  .venv/bin/python -m pytest -q test -o junit_family=xunit2 --junitxml "$report" "$@"
  rc=$?
  read -r ok bad < <(.venv/bin/python - "$report" <<'PY'
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot().find("testsuite")
bad = int(suite.get("failures")) + int(suite.get("errors"))
print(int(suite.get("tests")) - bad - int(suite.get("skipped")), bad)
PY
  )
  rm -f "$report"
  passed=$((passed + ${ok:-0}))
  failed=$((failed + ${bad:-1}))
  [ $rc -eq 0 ] || [ $rc -eq 5 ] || [ "${bad:-0}" -gt 0 ] || failed=$((failed + 1))
fi
finish
