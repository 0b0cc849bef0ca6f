"""Runs transcode_test and compares every table state it writes with what COPY says of the same moment.

check_transcode.py TEST_PROGRAM POSTGRES_BIN_DIR
"""

import csv
import datetime
import decimal
import json
import pathlib
import subprocess
import sys
import tempfile
import uuid

import duckdb
import pyarrow.parquet as pq

FIRST_OWN_ID = 100000
OVERFLOW_ID, OVERFLOW_CHILD = 100010, 110000
csv.field_size_limit(1 << 30)


def text_of(value, kind):
    """As Postgres prints it."""
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime.datetime):
        text = value.strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0")
        if value.microsecond:
            text += f".{value.microsecond:06}".rstrip("0")
        return text + ("+00" if value.tzinfo else "")
    if isinstance(value, datetime.time):
        return value.isoformat().rstrip("0") if value.microsecond else value.isoformat()
    if isinstance(value, (datetime.date, uuid.UUID)):
        return str(value)
    if isinstance(value, bytes):
        return str(uuid.UUID(bytes=value)) if kind == "uuid" else "\\x" + value.hex()
    if isinstance(value, list):
        return "{" + ",".join("NULL" if v is None else text_of(v, None) for v in value) + "}"
    return str(value)


def same(got, want, kind):
    if kind in ("float", "double") and "\\N" not in (got, want):
        a, b = float(got), float(want)
        return repr(a) == repr(b) or abs(a - b) <= abs(b) * 1e-6 * (kind == "float")
    return got == want


def rows_of(store, state):
    """(attnum → text) of every live row; first the Parquet's row numbers of the deleted are left out."""
    kinds = {f["id"]: f["type"] for f in state["schemas"][0]["fields"]}
    dead = {}
    for d in state["delete_files"]:
        t = pq.read_table(store / d["key"])
        assert [f.metadata[b"PARQUET:field_id"] for f in t.schema] == [b"2147483546", b"2147483545"]
        assert t.num_rows == d["rows"] > 0
        assert set(t["file_path"].to_pylist()) == {f"file://{store}/{d['data_file']}"}, d
        positions = t["pos"].to_pylist()
        assert positions == sorted(set(positions)), "positions out of order"
        known = dead.setdefault(d["data_file"], set())
        assert not known & set(positions), "a row is deleted twice"
        known.update(positions)
    assert set(dead) <= {f["key"] for f in state["data_files"]}
    rows, places, overflowed, first_row_id = [], set(), {}, 0
    for f in state["data_files"]:
        assert f["first_row_id"] == first_row_id
        first_row_id += f["rows"]
        table = pq.read_table(store / f["key"])
        assert (store / f["key"]).stat().st_size == f["bytes"] and table.num_rows == f["rows"]
        ids = [int(c.metadata[b"PARQUET:field_id"]) for c in table.schema]
        columns = {i: table.column(n).to_pylist() for n, i in enumerate(ids)}
        blocks = list(zip(columns[FIRST_OWN_ID], columns[FIRST_OWN_ID + 1]))
        assert blocks == sorted(blocks)
        names = {i: table.schema[n].name for n, i in enumerate(ids)}
        for n in range(table.num_rows):
            if n in dead.get(f["key"], ()):
                continue
            assert blocks[n] not in places, "a row is there twice"
            places.add(blocks[n])
            row = {}
            for i, kind in kinds.items():
                if i >= FIRST_OWN_ID:
                    continue
                row[i] = text_of(columns[i][n], kind)
                extra = columns[OVERFLOW_ID][n].get(names[i]) if OVERFLOW_ID in columns else None
                if extra is not None:
                    assert row[i] == "\\N"
                    row[i] = extra
                    overflowed[i] = overflowed.get(i, 0) + 1
            rows.append(row)
        for i, stats in f["columns"].items():
            if int(i) in kinds and not isinstance(kinds[int(i)], dict):
                assert stats["values"] == f["rows"]
                assert stats["nulls"] == sum(v is None for v in columns[int(i)])
    names = {f["id"]: f["name"] for f in state["schemas"][0]["fields"]}
    assert state["overflow"] == {names[i]: n for i, n in overflowed.items()}, state["overflow"]
    return rows, kinds, names


def compare(store, state, expected):
    got, kinds, names = rows_of(store, state)
    with open(expected, newline="") as f:
        header, *want = csv.reader(f)
    ids = [i for i in kinds if i < FIRST_OWN_ID]
    assert [names[i] for i in ids] == header, (names, header)
    got = sorted([r[i] for i in ids] for r in got)
    want = sorted(want)
    assert len(got) == len(want) == state["rows"], (len(got), len(want), state["rows"])
    key = lambda row: row[0]
    for a, b in zip(sorted(got, key=key), sorted(want, key=key)):
        for i, x, y in zip(ids, a, b):
            assert same(x, y, kinds[i]), f"{expected.name}: {names[i]}: {x[:200]!r}, COPY says {y[:200]!r}"


def duckdb_agrees(store, state):
    """Another reader sees as many rows."""
    total = 0
    for f in state["data_files"]:
        total += duckdb.sql(f"SELECT count(*) FROM read_parquet('{store / f['key']}')").fetchone()[0]
    for d in state["delete_files"]:
        total -= duckdb.sql(f"SELECT count(*) FROM read_parquet('{store / d['key']}')").fetchone()[0]
    assert total == state["rows"]


def forms(states, table, moment, way="chain"):
    return [f["kind"] for f in states[way, moment, table]["data_files"]]


def main():
    with tempfile.TemporaryDirectory() as place:
        out = pathlib.Path(place)
        out.chmod(0o755)
        done = subprocess.run([sys.argv[1], sys.argv[2], place])
        if done.returncode != 0:
            sys.exit(done.returncode)
        states = {}
        for path in sorted(out.glob("*.json")):
            way, moment, table, _ = path.name.split(".")
            states[way, int(moment), table] = state = json.loads(path.read_text())
            compare(out / "store", state, out / f"{moment}.{table}.csv")
            duckdb_agrees(out / "store", state)
        if not states:
            sys.exit(77)
        assert len(states) == 5 * 3 * 10
        assert not list((out / "tmp").iterdir()), "temporary files were left"
        # What changed little is derived, not written again.
        assert forms(states, "large", 1) == ["columnar", "tail"]
        assert forms(states, "large", 2) == ["columnar", "tail", "tail"]
        assert forms(states, "large", 2, "merged").count("tail") == 1
        assert forms(states, "large", 0, "merged").count("columnar") > 30
        for moment in 1, 2:
            assert set(forms(states, "sparse", moment)) == {"columnar", "tail"}
        assert [states["chain", m, "sparse"]["overflow"]["n"] for m in range(3)] == [10, 8, 8]
        assert forms(states, "large", 2, "restarts")[-1] == "tail"
        assert forms(states, "moods", 2, "background") == ["columnar", "tail"]
        assert forms(states, "moods", 2) == ["columnar"]
        assert forms(states, "waits", 1) == ["columnar", "tail"]
        assert states["chain", 2, "altered"]["schema_id"] != states["chain", 1, "altered"]["schema_id"]
        assert decimal.Decimal(states["chain", 0, "types"]["overflow"]["n"]) == 1


main()
