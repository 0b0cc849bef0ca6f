"""Postgres 15's own regression suite against a Tarn compute, its schedule as it is."""

import os
import pathlib
import re
import shutil
import subprocess

from tarn import PG_BIN, ROOT

PG_REGRESS = pathlib.Path("/usr/lib/postgresql/15/lib/pgxs/src/test/regress/pg_regress")
MOST_ALLOWED = 5


def allowed_failures():
    """The tests that docs/limits.md lists with a reason."""
    section = (ROOT / "docs/limits.md").read_text().split("## Postgres's regression tests")[1].split("\n## ")[0]
    return {name for name, reason in re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.M) if reason.strip()}


def run_suite(project):
    """Returns (passed, failed, the diffs' file)."""
    suite = pathlib.Path(subprocess.run([str(ROOT / "tools/regress_suite.sh")], check=True, stdout=subprocess.PIPE,
                                        text=True).stdout.strip())
    # The suite's user must read its files and write beside them.
    files, out = project.root / "suite", project.root / "out"
    shutil.copytree(suite, files)
    (out / "testtablespace").mkdir(parents=True)
    command = [str(PG_REGRESS), "--host=127.0.0.1", f"--port={project.port}", "--user=postgres", f"--bindir={PG_BIN}",
               f"--inputdir={files}", f"--outputdir={out}", f"--dlpath={files}", "--max-concurrent-tests=20",
               f"--schedule={files}/parallel_schedule"]
    if os.geteuid() == 0:
        for path in (files, out):
            subprocess.run(["chown", "-R", "postgres:postgres", str(path)], check=True)
        command = ["runuser", "-u", "postgres", "--", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=out)
    passed = set(re.findall(r"^(?:test)?\s+(\w+)\s+\.\.\. ok", done.stdout, re.M))
    failed = set(re.findall(r"^(?:test)?\s+(\w+)\s+\.\.\. FAILED", done.stdout, re.M))
    print(done.stdout[-600:])
    assert len(passed) + len(failed) > 200, done.stdout + done.stderr
    return passed, failed, out / "regression.diffs"


def test_postgres_regression_suite(project):
    _, failed, diffs = run_suite(project)
    allowed = allowed_failures()
    assert len(allowed) <= MOST_ALLOWED
    assert failed <= allowed, f"{failed - allowed}\n" + (diffs.read_text()[:20000] if diffs.exists() else "")
    # The server is as good as before.
    project.down()
    project.up()
    assert project.sql("SELECT count(*) FROM tenk1", database="regression") == [(10000,)]
