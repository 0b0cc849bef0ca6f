"""
Every page of every relation, from the pageserver at the final LSN, equals the page that vanilla Postgres makes of the same log.

The vanilla server is a stock one: a base backup at the timeline's first LSN, the safekeeper's segments as its archive, its
own recovery. Both sides are made by redo, so pages are compared byte for byte; only the checksum field is left out.
"""

import collections
import contextlib
import http.client
import json
import os
import subprocess
import threading
import time

from tarn import PG_BIN, ROOT
from test_regress import run_suite

BLOCK = 8192
FORKS = ("", "_fsm", "_vm", "_init")
SEGMENT = 16 * 1024 * 1024
WORKLOAD = """
CREATE TABLE kinds (id int PRIMARY KEY, t text, a int[], p point, b box, n numeric, r int4range, v tsvector);
INSERT INTO kinds SELECT g, md5(g::text), ARRAY[g % 10, g], point(g % 100, g % 77), box(point(g % 50, 1), point(g % 50 + 1, 2)),
  g / 7.0, int4range(g, g + 5), to_tsvector('english', md5(g::text) || ' word' || g % 100) FROM generate_series(1, 20000) g;
CREATE INDEX ON kinds USING hash (t); CREATE INDEX ON kinds USING gin (a); CREATE INDEX ON kinds USING gist (p);
CREATE INDEX ON kinds USING gist (b); CREATE INDEX ON kinds USING spgist (p); CREATE INDEX ON kinds USING brin (id);
CREATE INDEX ON kinds USING gin (v); CREATE INDEX ON kinds USING gist (r); CREATE INDEX ON kinds (n DESC);
UPDATE kinds SET t = t || 'x', a = a || 1 WHERE id % 3 = 0; DELETE FROM kinds WHERE id % 5 = 0;
INSERT INTO kinds SELECT g, md5(g::text), ARRAY[g % 10], point(g, g), NULL, g, NULL, NULL FROM generate_series(30000, 34000) g;
CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 300) AS t FROM generate_series(1, 300) g; UPDATE big SET t = t || 'y';
CREATE SEQUENCE s; SELECT nextval('s') FROM generate_series(1, 100);
CREATE TABLE cut AS SELECT g FROM generate_series(1, 20000) g; TRUNCATE cut; INSERT INTO cut SELECT g FROM generate_series(1, 100) g;
CREATE TABLE dropped AS SELECT g FROM generate_series(1, 1000) g; DROP TABLE dropped;
ALTER TABLE kinds ADD c int DEFAULT 5; ALTER TABLE kinds ALTER n TYPE text USING n::text; CREATE MATERIALIZED VIEW m AS SELECT * FROM kinds;
SELECT lo_from_bytea(0, convert_to(repeat('large ', 20000), 'UTF8'));
DO $$ BEGIN FOR i IN 1..200 LOOP BEGIN INSERT INTO cut VALUES (i); IF i % 3 = 0 THEN RAISE 'no'; END IF; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$;
"""


class LogKeeper(threading.Thread):
    """Links each segment of a safekeeper's log into a folder before it is trimmed."""

    def __init__(self, project):
        super().__init__(daemon=True)
        self.source, self.target = project.dir / "safekeeper-1", project.root / "kept"
        self.target.mkdir()
        self.start()

    def run(self):
        while self.target.exists():
            for segment in self.source.glob("*/0000*"):
                with contextlib.suppress(OSError):
                    os.link(segment, self.target / segment.name)
            time.sleep(0.05)


class Vanilla:
    """A stock server that recovers the timeline's log up to an LSN, and stops."""

    def __init__(self, project, lsn):
        self.dir, self.project, self.lsn = project.root / "vanilla", project, lsn
        status = project.status()
        self.branch = status["branches"][0]
        address = project.part("pageserver")["http"].removeprefix("http://")
        self.http, self.prefix = http.client.HTTPConnection(address, timeout=60), f"/v1/timelines/{self.branch['id']}"
        self.dir.mkdir()
        subprocess.run([str(ROOT / "build/test/base_tool"), project.part("pageserver")["address"], self.branch["id"],
                        status["system_identifier"], self.branch["start_lsn"], str(self.dir)], check=True)
        self.write_relations(self.branch["start_lsn"])
        self.archive()

    def get(self, path):
        self.http.request("GET", self.prefix + path)
        answer = self.http.getresponse()
        body = answer.read()
        assert answer.status == 200, body[:500]
        return body

    def relations(self, lsn):
        return json.loads(self.get(f"/relations?lsn={lsn}"))["relations"]

    def page(self, r, block, lsn):
        return self.get(f"/page?spc={r['spc']}&db={r['db']}&rel={r['rel']}&fork={r['fork']}&block={block}&lsn={lsn}")

    def path(self, r, segment=0):
        folder = "global" if r["spc"] == 1664 else f"base/{r['db']}"
        return self.dir / folder / (f"{r['rel']}{FORKS[r['fork']]}" + (f".{segment}" if segment else ""))

    def write_relations(self, lsn):
        for r in self.relations(lsn):
            self.path(r).parent.mkdir(exist_ok=True)
            with open(self.path(r), "wb") as f:
                for block in range(r["blocks"]):
                    f.write(self.page(r, block, lsn))

    def archive(self):
        """The safekeeper's segments; the first one's beginning is in the backup."""
        folder = self.project.root / "archive"
        folder.mkdir()
        for segment in sorted((self.project.root / "kept").glob("0*")):
            data = bytearray(segment.read_bytes().ljust(SEGMENT, b"\0"))
            begun = self.dir / "pg_wal" / segment.name
            if begun.exists():
                high, low = self.branch["start_lsn"].split("/")
                offset = int(low, 16) % SEGMENT
                data[:offset] = begun.read_bytes()[:offset]
            (folder / segment.name).write_bytes(data)
        for old in (self.dir / "pg_wal").glob("0*"):
            old.unlink()
        (self.dir / "recovery.signal").touch()
        (self.dir / "pg_ident.conf").touch()
        (self.dir / "pg_hba.conf").write_text("local all all reject\n")
        (self.dir / "postgresql.conf").write_text(
            f"restore_command = 'cp {folder}/%f %p'\nrecovery_target_lsn = '{self.lsn}'\nrecovery_target_inclusive = off\n"
            f"recovery_target_action = shutdown\n"
            f"hot_standby = off\nlisten_addresses = ''\nunix_socket_directories = '{self.dir}'\nmax_prepared_transactions = 10\nfsync = off\n"
            "shared_buffers = 256MB\n")

    def recover(self):
        command = [str(PG_BIN / "postgres"), "-D", str(self.dir)]
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "postgres:postgres", str(self.project.root)], check=True)
            command = ["runuser", "-u", "postgres", "--", *command]
        self.dir.chmod(0o700)
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd="/")
        assert "recovery stopping before WAL location" in done.stderr, done.stderr[-3000:]


def kind_of(page):
    """By the size of the special space, as the access methods lay it out."""
    special = BLOCK - int.from_bytes(page[16:18], "little")
    return {0: "heap", 8: "gin/spgist/brin/sequence", 16: "btree/hash/gist"}.get(special, f"special {special}")


def masked(page):
    return page[:8] + b"\0\0" + page[10:]


def compare(vanilla, lsn):
    """{kind: [pages, those that differ]}; the free space map, which the log does not carry, is left out."""
    counts, differing = collections.defaultdict(lambda: [0, 0]), []
    for r in vanilla.relations(lsn):
        if r["fork"] == 1:
            continue
        path = vanilla.path(r)
        data = path.read_bytes() if path.exists() else b""
        if len(data) != r["blocks"] * BLOCK:
            differing.append(f"{r}: vanilla has {len(data) // BLOCK} blocks")
            continue
        for block in range(r["blocks"]):
            ours, theirs = vanilla.page(r, block, lsn), data[block * BLOCK:(block + 1) * BLOCK]
            kind = "visibility map" if r["fork"] == 2 else kind_of(theirs)
            counts[kind][0] += 1
            if masked(ours) != masked(theirs):
                counts[kind][1] += 1
                at = [i for i in range(BLOCK) if ours[i] != theirs[i]]
                differing.append(f"{r} block {block} ({kind}): {len(at)} bytes, first at {at[0]}")
    return dict(counts), differing


def check(project):
    project.sql("CHECKPOINT")
    lsn = project.sql("SELECT pg_current_wal_flush_lsn()")[0][0]
    project.sql("CREATE TABLE afterwards (a int)")  # recovery stops before it
    vanilla = Vanilla(project, lsn)
    vanilla.recover()
    counts, differing = compare(vanilla, lsn)
    print(counts)
    assert sum(n for n, _ in counts.values()) > 1000
    assert not differing, "\n".join(differing[:40])
    return counts


def test_pages_equal_vanilla(make_project):
    project = make_project(settings={"max_prepared_transactions": "10", "autovacuum": "off"})
    project.up()
    LogKeeper(project)
    project.pgbench("-i", "-q", "-s", "2")
    project.sql(WORKLOAD)
    project.pgbench("-c", "4", "-t", "500", "-n")
    with project.connect() as c:
        c.execute("BEGIN; INSERT INTO cut VALUES (-1); PREPARE TRANSACTION 'p'")
        c.execute("VACUUM kinds")
        c.execute("VACUUM FREEZE pgbench_accounts")
        c.execute("VACUUM FULL big")
    check(project)


def test_pages_equal_vanilla_after_the_regression_suite(project):
    LogKeeper(project)
    run_suite(project)
    counts = check(project)
    assert sum(n for n, _ in counts.values()) > 10000
