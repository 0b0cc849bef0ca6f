"""The catalog daemon before real safekeepers and a stand-in pageserver, read by PyIceberg, DuckDB and plain HTTP."""
import contextlib
import glob
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchTableError

import readers
import tables
from fake_pageserver import FakePageserver


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port}")


class Parts:
    def __init__(self, root):
        self.root, self.processes = root, []
        self.store = tables.make_store(root)
        self.pageserver = FakePageserver()
        ports = [free_port() for _ in range(3)]
        for i, p in enumerate(ports):
            self.start([os.environ["SK_TOOL"], "serve", str(i + 1), f"{root}/sk{i}", f"127.0.0.1:{p}", f"127.0.0.1:{free_port()}"])
        for p in ports:
            wait_for(p)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.catalog = self.start([os.environ["CATALOG_TOOL"], "run", f"127.0.0.1:{port}", self.pageserver.url, self.store, "77",
                                   ",".join(f"127.0.0.1:{p}" for p in ports)])
        wait_for(port)

    def start(self, command):
        log = open(f"{self.root}/log", "a")
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))
        return self.processes[-1]

    def stop(self):
        for p in self.processes:
            p.send_signal(signal.SIGTERM)
        codes = [p.wait(20) for p in self.processes]
        assert codes == [0] * len(codes), (codes, open(f"{self.root}/log").read())

    def call(self, path, method="GET", headers=None, body=None):
        q = urllib.request.Request(self.url + path, method=method, headers=headers or {}, data=body)
        try:
            with urllib.request.urlopen(q, timeout=30) as r:
                return r.status, r.headers, r.read()
        except urllib.error.HTTPError as e:
            return e.code, e.headers, e.read()

    def load(self, path, **k):
        status, headers, body = self.call(path, **k)
        assert status == 200, (status, body)
        return headers["ETag"], json.loads(body)

    def metric(self, name):
        text = self.call("/metrics")[2].decode()
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " "))

    def objects(self):
        return set(glob.glob(self.store + "/**/metadata/*", recursive=True))


PATH = "/v1/main~~postgres/namespaces/public/tables/things"


def sorted_rows(table):
    return sorted(table.visible(), key=lambda r: r[0])


def check_routes(p):
    status, _, body = p.call("/v1/config?warehouse=main")
    assert status == 200 and json.loads(body)["overrides"]["prefix"] == "main~~postgres"
    assert p.call("/v1/config")[0] == 200
    assert p.call("/readyz")[0] == 200
    status, _, body = p.call("/v1/config?warehouse=nobody")
    assert status == 404 and json.loads(body)["error"]["type"] == "NoSuchWarehouseException"
    assert json.loads(p.call("/v1/main~~postgres/namespaces")[2]) == {"namespaces": [["public"], ["s p/a%ce"]]}
    assert json.loads(p.call("/v1/main~~postgres/namespaces?parent=public")[2]) == {"namespaces": []}
    assert json.loads(p.call("/v1/namespaces/public/tables")[2])["identifiers"] == [{"namespace": ["public"], "name": "things"}]
    assert json.loads(p.call("/v1/namespaces/s%20p%2Fa%25ce/tables")[2])["identifiers"] == [{"namespace": ["s p/a%ce"], "name": 'Tab"le ü'}]
    for path in ("/v1/namespaces/public", "/v1/namespaces/public/tables/things"):
        assert p.call(path, "HEAD")[0] == 204
    for path, kind in (("/v1/namespaces/none", "NoSuchNamespaceException"), ("/v1/namespaces/public/tables/none", "NoSuchTableException"),
                       ("/v1/namespaces/none/tables/things", "NoSuchTableException"), ("/v1/namespaces/public/views/v", "NoSuchViewException")):
        status, _, body = p.call(path)
        assert status == 404 and json.loads(body)["error"]["type"] == kind, (path, status, body)
    for method, path in (("POST", "/v1/main/namespaces"), ("POST", PATH), ("DELETE", PATH), ("POST", "/v1/main/tables/rename"),
                         ("POST", "/v1/main/transactions/commit")):
        status, _, body = p.call(path, method, body=b"{}")
        assert status == 406 and "Postgres" in json.loads(body)["error"]["message"], (path, status, body)
    assert p.call(PATH + "/metrics", "POST", body=b"{}")[0] == 204
    assert "access_token" in json.loads(p.call("/v1/oauth/tokens", "POST", body=b"grant_type=client_credentials")[2])
    for path in ("/", "/v1", "/v2/x", "/v1/a/b/c/d/e/f/g/h/i/j", "/v1/%00/namespaces", "/v1/%zz", "/v1/~~x/namespaces"):
        assert p.call(path)[0] in (400, 404), path


def check_unchanged(p, timeline, table):
    """The same state costs no object, whatever happens elsewhere in the log; a changed one is all new names."""
    tag, first = p.load(PATH)
    before = p.objects()
    assert p.call(PATH, headers={"If-None-Match": tag})[0] == 304
    timeline.head += 4096
    assert p.load(PATH) == (tag, first) and p.objects() == before
    assert p.call(PATH, headers={"If-None-Match": tag})[0] == 304
    table.add([table.row(5000)])
    p.pageserver.publish(timeline, table)
    new_tag, second = p.load(PATH, headers={"If-None-Match": tag})
    assert new_tag != tag
    a, b = first["metadata"], second["metadata"]
    assert first["metadata-location"] != second["metadata-location"]
    assert a["table-uuid"] == b["table-uuid"] and a["current-snapshot-id"] != b["current-snapshot-id"]
    assert a["snapshots"][-1]["timestamp-ms"] < b["snapshots"][-1]["timestamp-ms"] < time.time() * 1000 - 600000
    # manifests of what did not change are shared: one for the new tail, a list, a metadata.json
    assert len(p.objects() - before) == 3, p.objects() - before


def check_pyiceberg(p, timeline, table):
    c = load_catalog("tarn", type="rest", uri=p.url, warehouse="main")
    assert ("public",) in c.list_namespaces() and c.list_tables("public") == [("public", "things")]
    for i in range(3):
        assert readers.rows_of(c.load_table("public.things").scan().to_arrow()) == sorted_rows(table)
        table.add([table.row(6000 + i)])
        table.delete(table.files[0]["key"], [100 + i])
        p.pageserver.publish(timeline, table)
    odd = c.load_table(("s p/a%ce", 'Tab"le ü'))
    assert odd.scan().to_arrow().to_pylist() == [{"a": 1}, {"a": 2}]
    pinned = f"public@{tables.lsn_text(table.lsn)}"
    rows = sorted_rows(table)
    table.add([table.row(7000)])
    p.pageserver.publish(timeline, table)
    assert readers.rows_of(c.load_table((pinned, "things")).scan().to_arrow()) == rows
    assert readers.rows_of(c.load_table((pinned.replace("/", "-"), "things")).scan().to_arrow()) == rows
    assert readers.rows_of(c.load_table("public.things").scan().to_arrow()) == sorted_rows(table)
    assert c.list_tables(pinned) == [(pinned, "things")]


def check_duckdb(p, timeline, table):
    con = readers.duck()
    con.execute(f"ATTACH 'main' AS lake (TYPE ICEBERG, ENDPOINT '{p.url}', AUTHORIZATION_TYPE 'none')")
    for i in range(5):
        got = sorted(map(list, con.execute("select * from lake.public.things").fetchall()))
        assert got == sorted_rows(table), len(got)
        table.add([table.row(8000 + i)])
        table.delete(table.files[0]["key"], [200 + i])
        p.pageserver.publish(timeline, table)
    assert con.execute("""select sum(a) from lake."s p/a%ce"."Tab""le ü" """).fetchone() == (3,)
    assert [r[2] for r in con.execute("show all tables").fetchall() if r[0] == "lake"] == ["things", 'Tab"le ü']
    con.execute(f"ATTACH 'dev/other' AS other (TYPE ICEBERG, ENDPOINT '{p.url}', AUTHORIZATION_TYPE 'none')")
    assert con.execute("select * from other.public.branched").fetchall() == [(42,)]


def check_freshness(p, timeline, table):
    """Whoever asks after a commit sees it, though others' work is under way; and work is shared."""
    p.pageserver.delay = 0.3
    results, threads = [], []

    def ask(wanted_lsn):
        _, answer = p.load(PATH)
        got = answer["metadata"]["snapshots"][-1]["summary"]["tarn.changed-lsn"]
        results.append((wanted_lsn, int(got.split("/")[0], 16) << 32 | int(got.split("/")[1], 16)))

    asked = len(p.pageserver.asked)
    for i in range(10):
        table.add([table.row(9000 + i)])
        p.pageserver.publish(timeline, table)
        for _ in range(8):
            threads.append(threading.Thread(target=ask, args=(table.lsn,)))
            threads[-1].start()
        time.sleep(0.1)
    for t in threads:
        t.join()
    p.pageserver.delay = 0
    assert len(results) == 80
    assert all(got >= wanted for wanted, got in results), results
    assert len(p.pageserver.asked) - asked <= 10, len(p.pageserver.asked) - asked


def check_speed(p, timeline, table):
    times = []
    for i in range(60):
        if i >= 30:
            table.add([table.row(10000 + i)])
            p.pageserver.publish(timeline, table)
        began = time.perf_counter()
        p.load(PATH)
        times.append((time.perf_counter() - began) * 1000)
    idle, busy = sorted(times[:30]), sorted(times[30:])
    print(f"load, nothing changed: median {idle[15]:.1f} ms, worst {idle[-1]:.1f}; changed: median {busy[15]:.1f} ms, worst {busy[-1]:.1f}")


def check_drop(p, timeline, table):
    p.pageserver.drop(timeline, table)
    assert p.call(PATH)[0] == 404
    with contextlib.suppress(NoSuchTableError):
        load_catalog("tarn", type="rest", uri=p.url).load_table("public.things")
        raise AssertionError("loaded")
    # a branch made anew under an old name is found
    dev = p.pageserver.timelines.pop("d" * 32)
    assert p.call("/v1/dev~~other/namespaces/public/tables/branched")[0] == 404
    p.pageserver.timeline("e" * 32, "dev", dev.head).states.update(dev.states)
    assert p.call("/v1/dev~~other/namespaces/public/tables/branched")[0] == 200


def main():
    with tempfile.TemporaryDirectory(prefix="tarn-catalog-") as root:
        p = Parts(root)
        timeline = p.pageserver.timeline(tables.TIMELINE, "main")
        table = tables.example(p.store)
        p.pageserver.publish(timeline, table)
        odd = tables.Table(p.store, "s p/a%ce", 'Tab"le ü', [("a", "int")], relid=2)
        odd.add([[1], [2]])
        p.pageserver.publish(timeline, odd)
        dev = p.pageserver.timeline("d" * 32, "dev")
        branched = tables.Table(p.store, "public", "branched", [("a", "int")], relid=3, timeline="d" * 32, database="other")
        branched.add([[42]])
        p.pageserver.publish(dev, branched)
        check_routes(p)
        for check in (check_unchanged, check_pyiceberg, check_duckdb, check_freshness, check_speed, check_drop):
            check(p, timeline, table)
            print(check.__name__)
        p.stop()


main()
