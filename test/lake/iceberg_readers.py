"""Metadata written by our C code, read by PyIceberg, fastavro and DuckDB, compared value for value."""
import json
import os
import subprocess
import tempfile

import fastavro
from pyiceberg.expressions import GreaterThanOrEqual
from pyiceberg.table import StaticTable

import readers
import tables


def write(store, state):
    path = os.path.join(os.path.dirname(store), "state.json")
    with open(path, "w") as f:
        json.dump(state, f)
    return subprocess.run([os.environ["CATALOG_TOOL"], "write", store, path], check=True, capture_output=True, text=True).stdout.strip()


def check_avro(metadata_uri, table):
    with open(metadata_uri.removeprefix("file://")) as f:
        m = json.load(f)
    base, newest = m["snapshots"]
    assert base["timestamp-ms"] < newest["timestamp-ms"] and newest["summary"]["tarn.lsn"] == tables.lsn_text(table.lsn)
    with open(base["manifest-list"].removeprefix("file://"), "rb") as f:
        assert list(fastavro.reader(f)) == []
    with open(newest["manifest-list"].removeprefix("file://"), "rb") as f:
        manifests = list(fastavro.reader(f))
    assert [x["content"] for x in manifests] == [0, 0, 1]
    entries = []
    for x in manifests:
        path = x["manifest_path"].removeprefix("file://")
        assert os.path.getsize(path) == x["manifest_length"]
        with open(path, "rb") as f:
            entries += list(fastavro.reader(f))
    data = [e for e in entries if e["data_file"]["content"] == 0]
    deletes = [e for e in entries if e["data_file"]["content"] == 1]
    assert max(e["sequence_number"] for e in data) <= min(e["sequence_number"] for e in deletes)
    assert all(e["data_file"]["partition"] == {} for e in entries)
    assert deletes[0]["data_file"]["lower_bounds"][0]["value"].decode() == data[0]["data_file"]["file_path"]


def main():
    with tempfile.TemporaryDirectory(prefix="tarn-iceberg-") as root:
        store = tables.make_store(root)
        table = tables.example(store)
        uri = write(store, table.state())
        check_avro(uri, table)
        want = sorted(table.visible(), key=lambda r: r[0])
        t = StaticTable.from_metadata(uri)
        assert readers.rows_of(t.scan().to_arrow()) == want
        part = [r for r in want if r[0] >= 1003]
        assert readers.rows_of(t.scan(row_filter=GreaterThanOrEqual("id", 1003)).to_arrow()) == part
        con = readers.duck()
        got = sorted(map(list, con.execute(f"select * from iceberg_scan('{uri}')").fetchall()))
        assert got == want, (len(got), len(want))
        got = con.execute(f"select count(*), sum(price) from iceberg_scan('{uri}') where day >= '2013-01-05'").fetchone()
        chosen = [r for r in want if r[4] is not None and r[4].isoformat() >= "2013-01-05"]
        assert got == (len(chosen), sum(r[3] for r in chosen)), got


main()
