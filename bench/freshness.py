"""Commit a marker row and at once ask the catalog in a new query: is it seen, and how soon?"""

import subprocess
import sys
import time

import duckdb

from pair import BIN, TARN


def measure(tarn, rounds, clients=8):
    """(p50 ms, p99 ms, seen, asked) of queries that begin after the commit is acknowledged, while pgbench runs."""
    catalog = subprocess.run([str(TARN), "lake", "url", "-D", str(tarn.dir)], check=True, capture_output=True,
                             text=True).stdout.strip()
    duck = duckdb.connect()
    duck.execute("LOAD iceberg")
    with tarn.connect() as c:
        c.execute("DROP TABLE IF EXISTS marker")
        c.execute("CREATE TABLE marker (id bigint PRIMARY KEY)")
        load = subprocess.Popen([str(BIN / "pgbench"), "-h", "127.0.0.1", "-p", str(tarn.port), "-U", "postgres", "-n",
                                 "-c", str(clients), "-j", "2", "-T", "100000", "postgres"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            took, seen = [], 0
            for i in range(rounds):
                c.execute("INSERT INTO marker VALUES (%s)", (i,))
                began = time.perf_counter()
                duck.execute(f"ATTACH 'main' AS lake (TYPE ICEBERG, ENDPOINT '{catalog}', AUTHORIZATION_TYPE 'none')")
                found = duck.execute("SELECT count(*) FROM lake.public.marker WHERE id = ?", (i,)).fetchone()[0]
                took.append((time.perf_counter() - began) * 1e3)
                duck.execute("DETACH lake")
                seen += found
                if load.poll() is not None:
                    sys.exit("pgbench ended early")
        finally:
            load.kill()
            load.wait()
    took.sort()
    return took[len(took) // 2], took[int(len(took) * 0.99)], seen, rounds
