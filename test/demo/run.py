"""`./dev run`: what Tarn does, on real data. Leaves everything running unless --exit is given."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import time

import duckdb
import psycopg
from pyiceberg.catalog import load_catalog

import flights

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TARN = ROOT / "build/src/cli/tarn"
QUERY = ("SELECT carrier, count(*), count(arr_delay), sum(arr_delay), max(distance) FROM {} "
         "GROUP BY carrier ORDER BY count(*) DESC, carrier LIMIT 5")
COLOURS = sys.stdout.isatty()


def say(text):
    print(f"\n\033[1m{text}\033[0m" if COLOURS else f"\n{text}", flush=True)


def tarn(*args):
    done = subprocess.run([str(TARN), *map(str, args)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr.strip() or f"tarn {args[0]} failed")
    return done.stdout


def home():
    """Postgres's own user must reach the project's folder, which /root and other homes forbid."""
    wanted = pathlib.Path(os.environ.get("TARN_DIR", ROOT / ".tarn"))
    if os.geteuid() != 0:
        return wanted
    closed = [p for p in wanted.parents if p.exists() and not p.stat().st_mode & 0o001]
    return pathlib.Path("/var/lib/tarn-demo") if closed else wanted


class Engines:
    """Three ways to the same rows: Postgres itself, and two engines that read Parquet through the catalog."""

    def __init__(self, directory):
        self.url = {"main": tarn("url", "-D", directory).strip()}
        self.catalog = tarn("lake", "url", "-D", directory).strip()
        self.duck = duckdb.connect()
        self.duck.execute("LOAD iceberg")
        self.directory = directory

    def postgres(self, branch, sql):
        if branch not in self.url:
            self.url[branch] = tarn("url", branch, "-D", self.directory).strip()
        with psycopg.connect(self.url[branch], autocommit=True) as c:
            cursor = c.execute(sql)
            return cursor.fetchall() if cursor.description else cursor.rowcount

    def duckdb(self, branch, sql):
        self.duck.execute(f"ATTACH '{branch}' AS lake (TYPE ICEBERG, ENDPOINT '{self.catalog}', AUTHORIZATION_TYPE 'none')")
        try:
            return self.duck.execute(sql).fetchall()
        finally:
            self.duck.execute("DETACH lake")

    def pyiceberg(self, branch, table, sql):
        catalog = load_catalog("tarn", type="rest", uri=self.catalog, warehouse=branch)
        rows = catalog.load_table(table).scan().to_arrow()
        return duckdb.from_arrow(rows).query("t", sql).fetchall()


def ask(engines, branch):
    """The same aggregation from three engines; stops the demonstration if they differ."""
    answers = {}
    for name, call in (
        ("Postgres", lambda: engines.postgres(branch, QUERY.format("flights"))),
        ("DuckDB on Parquet", lambda: engines.duckdb(branch, QUERY.format("lake.public.flights"))),
        ("PyIceberg on Parquet", lambda: engines.pyiceberg(branch, "public.flights", QUERY.format("t"))),
    ):
        began = time.perf_counter()
        answers[name] = [tuple(row) for row in call()]
        print(f"  {name:<22} {(time.perf_counter() - began) * 1e3:7.0f} ms")
    rows = answers["Postgres"]
    print("    carrier  flights  arrived  delay (min)  longest (mi)")
    for row in rows:
        print(f"    {row[0]:<7} {row[1]:>8} {row[2]:>8} {row[3]:>12} {row[4]:>13}")
    for name, answer in answers.items():
        if answer != rows:
            sys.exit(f"{name} says something else:\n{answer}")
    print("  All three agree.")
    return rows


def change(engines, branch):
    for sql in ("UPDATE flights SET arr_delay = arr_delay + 5 WHERE carrier = 'UA' AND month = 6",
                "DELETE FROM flights WHERE carrier = 'EV' AND month = 2 AND arr_delay > 60",
                "INSERT INTO flights (year, month, day, carrier, flight, origin, dest, distance) "
                "SELECT 2014, 1, 1, 'AA', g, 'JFK', 'SFO', 2586 FROM generate_series(1, 100) g"):
        print(f"  {engines.postgres(branch, sql):>6} rows  {sql}")


def main():
    parser = argparse.ArgumentParser(prog="./dev run", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="stop everything at the end")
    args = parser.parse_args()
    directory = home()
    if directory.exists():
        subprocess.run([str(TARN), "down", "-D", str(directory)], capture_output=True)
        shutil.rmtree(directory)
    try:
        demonstrate(directory)
    finally:
        if args.exit:
            subprocess.run([str(TARN), "down", "-D", str(directory)], capture_output=True)
    if not args.exit:
        print(f"\nIt goes on running in {directory}; `build/src/cli/tarn down -D {directory}` stops it.")


def demonstrate(directory):
    say(f"tarn up: Postgres, three safekeepers, pageserver and Iceberg catalog, in the empty folder {directory}")
    print(tarn("up", "-D", directory, "--detach"), end="")
    engines = Engines(directory)

    say("An ordinary Postgres: load all flights from New York in 2013")
    with psycopg.connect(engines.url["main"], autocommit=True) as c:
        for table, rows in flights.load(c):
            print(f"  COPY {table:<10} {rows:>7} rows")

    say("At the same moment an Iceberg table: one question, three engines")
    before = ask(engines, "main")

    say("Change it in Postgres …")
    change(engines, "main")
    say("… and ask again at once: no pipeline, no waiting")
    after = ask(engines, "main")
    if after == before:
        sys.exit("the changes were not seen")

    say("A branch: a writable copy, made without copying")
    began = time.perf_counter()
    print(tarn("branch", "create", "what-if", "-D", directory), end="")
    print(f"  made and serving in {(time.perf_counter() - began) * 1e3:.0f} ms")
    deleted = engines.postgres("what-if", "DELETE FROM flights WHERE carrier = 'UA'")
    print(f"  on what-if: DELETE FROM flights WHERE carrier = 'UA'  ({deleted} rows)")
    ask(engines, "what-if")
    say("main is untouched")
    if ask(engines, "main") != after:
        sys.exit("main has changed")
    print(f"\n  The tables are plain Parquet in {directory}/store/lake:")
    print(tarn("lake", "tables", "-D", directory), end="")


if __name__ == "__main__":
    main()
