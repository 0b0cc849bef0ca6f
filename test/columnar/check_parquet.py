"""Reads what src/columnar/parquet_writer_test.c wrote, with pyarrow and DuckDB, and computes what it must say."""

import datetime
import decimal
import math
import pathlib
import subprocess
import sys
import tempfile

import duckdb
import pyarrow.parquet as pq

ROWS = 30000
decimal.getcontext().prec = 60
EPOCH = datetime.datetime(1970, 1, 1)


def mix(i, salt):
    x = (i * 2654435761 + salt * 40503) & (2**64 - 1)
    x = ((x ^ (x >> 15)) * 2246822519) & (2**64 - 1)
    return (x ^ (x >> 13)) & 0xFFFFFFFF


def signed_mix(i, salt, modulus):
    return mix(i, salt) % modulus - modulus // 2


def wrap(v, bits):
    return v - (1 << bits) if v >= 1 << (bits - 1) else v


def scaled(v, scale):
    return decimal.Decimal(v).scaleb(-scale)


def expected(i):
    if i % 11 == 5:
        return {"id": i}
    raw = bytes(mix(i, 13 + k) & 0xFF for k in range(16))
    micros = datetime.timedelta(microseconds=1)
    return {
        "id": i, "flag": mix(i, 1) % 2 == 0, "small": mix(i, 2) % 100, "wild": wrap(mix(i, 3), 32),
        "wild64": wrap(mix(i, 4) << 32 | mix(i, 5), 64), "f": signed_mix(i, 6, 1000) / 8,
        "d": math.nan if i % 1000 == 7 else signed_mix(i, 7, 100000) / 16, "d5": scaled(signed_mix(i, 8, 199999), 2),
        "d15": scaled(signed_mix(i, 9, 2000000000) * 100000, 0),
        "d38": scaled(signed_mix(i, 10, 2000000000) * 1000000007 * 1000000007, 10),
        "word": ["alpha", "beta", "gamma", "", "δ"][mix(i, 11) % 5],
        "text": f"row {i} {'0' * (1 + mix(i, 12) % 90)} é", "raw": raw[:mix(i, 30) % 17], "uuid": raw,
        "date": datetime.date(1970, 1, 1) + datetime.timedelta(days=signed_mix(i, 31, 40000)),
        "time": (EPOCH + mix(i, 32) * 20 * micros).time(),
        "ts": EPOCH + signed_mix(i, 33, 4000000000) * 1000 * micros,
        "tstz": EPOCH.replace(tzinfo=datetime.timezone.utc) + signed_mix(i, 34, 4000000000) * 1000 * micros,
        "list": [None if mix(i, 50 + k) % 4 == 0 else mix(i, 60 + k) % 1000 for k in range(mix(i, 40) % 5)],
        "words": ["one", "two"][:i % 3], "_overflow": {"a": None, "b": "NaN" if i % 10 == 0 else None},
    }


def same(a, b):
    return a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def check_rows(path, rows):
    table = pq.read_table(path)
    assert table.num_rows == rows, (path, table.num_rows)
    for i, row in enumerate(table.to_pylist()):
        want = expected(i)
        for name, value in row.items():
            other = want.get(name, {"a": None, "b": None} if name == "_overflow" else None)
            assert same(value, other), (path, i, name, value, other)


def check_duckdb(path, rows):
    """Sums that DuckDB makes itself, and filters that go through the statistics and page indexes."""
    q = lambda sql: duckdb.sql(sql.format(t=f"'{path}'")).fetchone()
    want = [expected(i) for i in range(rows)]
    full = [w for w in want if "flag" in w]
    assert q("SELECT count(*) FROM {t}")[0] == rows
    if rows < 1000:
        return
    assert q("SELECT sum(id), sum(wild), sum(d38), sum(d5), count(text), sum(len(list)) FROM {t}") == (
        sum(w["id"] for w in want), sum(w["wild"] for w in full), sum(w["d38"] for w in full),
        sum(w["d5"] for w in full), len(full), sum(len(w["list"]) for w in full))
    pick = full[len(full) // 2]
    for column in ("id", "wild64", "d38", "text", "date", "ts", "d5"):
        value = str(pick[column])
        count = sum(w.get(column) == pick[column] for w in want)
        assert duckdb.execute(f"SELECT count(*) FROM '{path}' WHERE {column} = ?", [pick[column]]).fetchone()[0] == count, value
    low = sum(w["d38"] < 0 for w in full)
    assert q("SELECT count(*) FROM {t} WHERE d38 < 0")[0] == low


def check_footer(path):
    f = pq.ParquetFile(path)
    ids = {f.schema_arrow.field(i).name: f.schema_arrow.field(i).metadata[b"PARQUET:field_id"] for i in range(len(f.schema_arrow))}
    assert ids["id"] == b"1" and ids["list"] == b"19" and ids["_overflow"] == b"100000", ids
    assert f.schema_arrow.field("list").type.value_field.metadata[b"PARQUET:field_id"] == b"50001"
    assert f.metadata.metadata[b"tarn.lsn"] == b"0/1234"
    assert f.metadata.created_by.startswith("tarn")
    return f


def check_statistics(path):
    """Every chunk's least and greatest, where given, hold; and integers, decimals and short text are exact."""
    f = check_footer(path)
    names = {f.metadata.row_group(0).column(c).path_in_schema: c for c in range(f.metadata.num_columns)}
    at = 0
    for g in range(f.metadata.num_row_groups):
        group = f.metadata.row_group(g)
        rows = [expected(i) for i in range(at, at + group.num_rows)]
        at += group.num_rows
        for name in ("id", "wild", "word", "text", "date", "f"):
            stats = group.column(names[name]).statistics
            values = [r[name] for r in rows if name in r]
            assert stats.null_count == len(rows) - len(values), (path, g, name)
            assert stats.has_min_max, (path, g, name)
            assert stats.min <= min(values) and stats.max >= max(values), (path, g, name, stats)
            if name != "text":
                assert (stats.min, stats.max) == (min(values), max(values)), (path, g, name, stats)
        for name in ("d5", "d15", "d38"):  # pyarrow cannot tell these
            low, high = duckdb.execute("SELECT stats_min_value, stats_max_value FROM parquet_metadata(?) WHERE "
                                       "row_group_id = ? AND path_in_schema = ?", [str(path), g, name]).fetchone()
            values = [r[name] for r in rows if name in r]
            assert (decimal.Decimal(low), decimal.Decimal(high)) == (min(values), max(values)), (path, g, name, low, high)
        nan = any(math.isnan(r["d"]) for r in rows if "d" in r)
        assert group.column(names["d"]).statistics.has_min_max != nan, (path, g)
        assert group.column(names["id"]).has_offset_index and group.column(names["id"]).has_column_index
    return f


def check_bounds(path):
    lines = path.with_suffix(".bounds").read_text().splitlines()
    rows = [expected(i) for i in range(ROWS)]
    fields = {int(p[0]): p for p in (line.split() for line in lines[1:])}
    values = [r["d38"] for r in rows if "d38" in r]
    unscale = lambda v: int(v.scaleb(10))
    for part, value in ((fields[10][3], min(values)), (fields[10][4], max(values))):
        raw = bytes.fromhex(part.rstrip("."))
        assert int.from_bytes(raw, "big", signed=True) == unscale(value), (part, value)
        assert len(raw) == (unscale(value).bit_length() // 8 + 1), part  # the fewest bytes
    assert fields[7][3:] == ["-", "-"]  # a NaN among them
    assert fields[21][1:] == [str(ROWS), str(ROWS), "-", "-"]
    assert int.from_bytes(bytes.fromhex(fields[1][4].rstrip(".")), "little") == ROWS - 1
    longest = max(r["text"] for r in rows if "text" in r).encode()
    upper = bytes.fromhex(fields[12][4].rstrip("."))
    assert len(upper) <= 64 and upper >= longest, (upper, longest)
    upper.decode()


def main():
    with tempfile.TemporaryDirectory() as d:
        subprocess.run([sys.argv[1], d], check=True)
        d = pathlib.Path(d)
        for name, rows in (("empty", 0), ("one", 1), ("all", ROWS), ("groups", ROWS), ("bytes", ROWS)):
            path = d / f"{name}.parquet"
            check_rows(path, rows)
            check_duckdb(path, rows)
            if rows == ROWS:
                f = check_statistics(path)
                check_bounds(path)
                assert f.metadata.num_row_groups == {"all": 1, "groups": 4}.get(name, f.metadata.num_row_groups)
                assert name != "bytes" or f.metadata.num_row_groups > 2
    print("ok")


if __name__ == "__main__":
    main()
