"""Paired timings of Tarn and vanilla Postgres; see README.md beside it."""

import argparse
import json
import re
import statistics
import sys
import time
import urllib.request

from pair import Pair

CLIENTS = (1, 4, 16)


def tps(output):
    return float(re.search(r"tps = ([0-9.]+)", output).group(1))


def latency_us(output):
    return float(re.search(r"latency average = ([0-9.]+) ms", output).group(1)) * 1000


class Bench:
    def __init__(self, pair, quick):
        self.pair = pair
        self.rounds = 2 if quick else 5
        self.seconds = 2 if quick else 15
        self.scale = 5 if quick else 50
        self.figures = {}
        self.loaded = False

    # ---- reporting ----

    def report(self, name, tarn, vanilla=None, unit="", higher_is_better=False):
        self.figures[name] = {"tarn": tarn, "vanilla": vanilla, "unit": unit}
        a = statistics.median(tarn)
        if vanilla is None:
            print(f"{name:<28} tarn {a:12.1f} {unit:<7} (min {min(tarn):.1f}, max {max(tarn):.1f})", flush=True)
            return
        b = statistics.median(vanilla)
        note = "higher is better" if higher_is_better else "lower is better"
        print(f"{name:<28} tarn {a:12.1f}   vanilla {b:12.1f} {unit:<7} ratio {a / b:5.2f}  ({note})", flush=True)

    def turns(self, measure):
        """A B B A A B …: [[tarn's figures], [vanilla's]]."""
        out = {"tarn": [], "vanilla": []}
        for i in range(self.rounds):
            order = self.pair.servers() if i % 2 == 0 else reversed(self.pair.servers())
            for server in order:
                out[server.name].append(measure(server))
        return out["tarn"], out["vanilla"]

    def load(self):
        if self.loaded:
            return
        for server in self.pair.servers():
            server.pgbench("-i", "-q", "-s", str(self.scale))
            server.sql("CHECKPOINT")
        self.loaded = True

    # ---- the benchmarks ----

    def write_load(self, name, *args):
        self.load()
        for clients in CLIENTS:
            figures = self.turns(lambda s: tps(s.pgbench("-c", str(clients), "-j", "2", "-T", str(self.seconds), "-n", *args)))
            self.report(f"{name} {clients} clients", *figures, unit="tps", higher_is_better=True)

    def tpcb(self):
        self.write_load("pgbench TPC-B")

    def simple(self):
        self.write_load("pgbench -N", "-N")

    def point(self):
        self.load()
        for server in self.pair.servers():
            server.sql("SELECT count(*) FROM pgbench_accounts WHERE aid > 0 AND aid <= 100000")
            server.pgbench("-n", "-T", "2", "-f", self.point_script())
        args = ("-n", "-M", "prepared", "-T", str(self.seconds), "-f", self.point_script())
        self.report("cached point read", *self.turns(lambda s: latency_us(s.pgbench(*args))), unit="us")

    def point_script(self):
        path = self.pair.base / "point.sql"
        path.write_text("\\set aid random(1, 100000)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n")
        path.chmod(0o644)
        return str(path)

    def metric(self, name):
        url = self.pair.tarn.part("pageserver")["http"] + "/metrics"
        text = urllib.request.urlopen(url, timeout=10).read().decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    def miss(self):
        """Every page of a table once, in random order, by a compute that has none of them."""
        self.load()
        tarn, means = self.pair.tarn, []
        blocks = tarn.sql("SELECT pg_relation_size('pgbench_accounts') / 8192")[0][0]
        with tarn.connect() as c:
            c.execute("SELECT count(*) FROM pgbench_accounts")  # the pageserver is hot
        for _ in range(self.rounds):
            tarn.endpoint("stop")
            tarn.endpoint("start")
            with tarn.connect() as c:
                c.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET tarn.readahead = 0")
                c.execute("CREATE TEMP TABLE r AS SELECT (random() * %s)::int AS b FROM generate_series(1, 2000)", (blocks - 2,))
                began = time.perf_counter()
                c.execute("SELECT count(a.ctid) FROM r CROSS JOIN LATERAL (SELECT ctid FROM pgbench_accounts "
                          "WHERE ctid = ('(' || r.b || ',1)')::tid) a")
                means.append((time.perf_counter() - began) * 1e6 / 2000)
        self.report("page from pageserver", means, unit="us")

    def scan(self):
        self.load()

        def cold(server):
            if server.name == "tarn":
                server.endpoint("stop")
                server.endpoint("start")
            else:
                server.restart()
            with server.connect() as c:
                c.execute("SET max_parallel_workers_per_gather = 0")
                began = time.perf_counter()
                c.execute("SELECT count(*) FROM pgbench_accounts")
                return (time.perf_counter() - began) * 1e3

        self.report("scan after a start", *self.turns(cold), unit="ms")

    def copy(self):
        rows = 1000 if self.rounds < 5 else 10_000_000
        chunk = "".join(f"{i}\t{'abcdefghij' * 9}\n" for i in range(10000)).encode()

        def load(server):
            with server.connect() as c:
                c.execute("DROP TABLE IF EXISTS copied")
                c.execute("CREATE TABLE copied (id int, filler text)")
                began = time.perf_counter()
                with c.cursor().copy("COPY copied FROM STDIN") as out:
                    for _ in range(max(1, rows // 10000)):
                        out.write(chunk)
                took = time.perf_counter() - began
                c.execute("DROP TABLE copied")
                c.execute("CHECKPOINT")
                return took

        self.report("COPY of 1 GB", *self.turns(load), unit="s")

    def start(self):
        figures = []
        for _ in range(self.rounds * 2):
            self.pair.tarn.endpoint("stop")
            began = time.perf_counter()
            self.pair.tarn.endpoint("start")
            self.pair.tarn.sql("SELECT 1")
            figures.append((time.perf_counter() - began) * 1e3)
        self.report("start to first query", figures, unit="ms")

    def redo(self):
        self.load()
        records, seconds = self.metric("tarn_redo_records_total"), self.metric("tarn_redo_batch_seconds_sum")
        self.pair.tarn.pgbench("-c", "8", "-j", "2", "-T", str(self.seconds), "-n", "-N")
        self.pair.tarn.endpoint("stop")
        self.pair.tarn.endpoint("start")
        self.pair.tarn.sql("SELECT count(*) FROM pgbench_accounts")
        records = self.metric("tarn_redo_records_total") - records
        seconds = self.metric("tarn_redo_batch_seconds_sum") - seconds
        self.report("redo, a record", [seconds * 1e6 / max(records, 1)], unit="us")

    def fresh(self):
        from freshness import measure

        self.load()
        p50, p99, seen, asked = measure(self.pair.tarn, 100 if self.rounds < 5 else 1000)
        print(f"{'freshness':<28} seen {seen} of {asked}   p50 {p50:.1f} ms   p99 {p99:.1f} ms")
        self.figures["freshness"] = {"p50_ms": p50, "p99_ms": p99, "seen": seen, "asked": asked}


NAMES = ("tpcb", "simple", "point", "miss", "scan", "copy", "start", "redo", "fresh")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    for name in args.names:
        if name not in NAMES:
            parser.error(f"no benchmark {name}; there are {', '.join(NAMES)}")
    with Pair() as pair:
        bench = Bench(pair, args.quick)
        for name in args.names or NAMES:
            getattr(bench, name)()
    if args.json:
        with open(args.json, "w") as f:
            json.dump(bench.figures, f, indent=1)


if __name__ == "__main__":
    sys.exit(main())
