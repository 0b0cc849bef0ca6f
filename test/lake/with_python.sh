#!/bin/sh
# Runs a Python test with the tests' interpreter, or skips it (77) where there is none.
python=${TARN_TEST_PYTHON:-$(dirname "$0")/../../.venv/bin/python}
[ -x "$python" ] || { echo "skipped: no $python" >&2; exit 77; }
"$python" -c 'import pyarrow, pyiceberg, fastavro, duckdb' 2>/dev/null || { echo "skipped: packages of test/requirements.txt are missing" >&2; exit 77; }
exec "$python" "$@"
