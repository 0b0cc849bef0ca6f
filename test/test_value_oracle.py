"""Every row of every table is equal, as canonical text, in Postgres and through DuckDB and PyIceberg at the same LSN."""

import math
import pathlib
import re
import sys
import uuid

import duckdb
import numpy as np
import pyarrow as pa
from pyiceberg.catalog import load_catalog

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "demo"))
import flights  # noqa: E402

from test_regress import run_suite  # noqa: E402

# What the lake shows natively; everything else is a string with the server's own text, or raw bytes.
PG_TEXT = {
    "boolean": "CASE WHEN {c} THEN 'true' WHEN NOT {c} THEN 'false' END",
    "bytea": "upper(encode({c}, 'hex'))",
}
# What has no native form and is NULL in the typed column, counted in tarn.overflow.COLUMN.
FINITE = "isfinite({c}) AND {c} >= '0001-01-01' AND {c} < '10000-01-01'"
NATIVE = {
    "numeric(": "{c} NOT IN ('NaN', 'Infinity', '-Infinity')",
    "date": FINITE, "timestamp": FINITE, "time": "{c}::text < '24:00'",
}
TABLES = """
WITH RECURSIVE base(oid, type, typmod) AS (
  SELECT oid, oid, -1 FROM pg_type WHERE typtype <> 'd' UNION ALL
  SELECT d.oid, b.type, CASE WHEN b.typmod <> -1 THEN b.typmod ELSE d.typtypmod END FROM pg_type d JOIN base b
    ON d.typbasetype = b.oid WHERE d.typtype = 'd')
SELECT n.nspname, c.relname, a.attname,
  (SELECT format_type(type, CASE WHEN typmod <> -1 THEN typmod ELSE atttypmod END) FROM base WHERE base.oid = atttypid)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_attribute a ON attrelid = c.oid
WHERE relkind IN ('r', 'm') AND relam = 2 AND relpersistence = 'p' AND attnum > 0 AND NOT attisdropped
AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1, 2, attnum
"""


class Oracle:
    def __init__(self, project, database):
        self.project, self.database = project, database
        self.warehouse = "main" if database == "postgres" else f"main/{database}"
        self.pg = project.connect(database=database)
        self.pg.execute("SET timezone = 'UTC'; SET extra_float_digits = 1; SET DateStyle = ISO; SET IntervalStyle = postgres; "
                        "SET bytea_output = hex")
        self.duck = duckdb.connect()
        self.duck.execute("LOAD iceberg; SET TimeZone = 'UTC'")
        self.duck.execute(f"ATTACH '{self.warehouse}' AS lake (TYPE ICEBERG, ENDPOINT '{project.catalog()}', AUTHORIZATION_TYPE 'none')")
        self.iceberg = load_catalog("tarn", type="rest", uri=project.catalog(), warehouse=self.warehouse)
        self.rows = self.values = self.overflowed = 0
        self.raw = set()

    def tables(self):
        out = {}
        for schema, table, *column in self.pg.execute(TABLES).fetchall():
            out.setdefault((schema, table), []).append(column)
        return out

    def compare(self, schema, table, columns):
        lake = self.iceberg.load_table((schema, table))
        raw = {n for n in lake.properties.get("tarn.raw-columns", "").split(",") if n}
        self.raw |= {f"{schema}.{table}.{n}" for n in raw}
        columns = [c for c in columns if c[0] not in raw]
        if not columns:
            return
        names = [f'"{c[0]}"' for c in columns]
        want, overflow = self.postgres(schema, table, columns)
        told = {k.removeprefix("tarn.overflow."): int(v) for k, v in lake.properties.items() if k.startswith("tarn.overflow.")}
        assert {k: v for k, v in told.items() if v and k in dict(columns)} == overflow, f"{schema}.{table}"
        self.overflowed += sum(overflow.values())
        self.rows += len(want)
        self.values += len(want) * len(columns)
        self.duck.register("t", lake.scan().to_arrow())
        for engine, source in (("DuckDB", f'lake."{schema}"."{table}"'), ("PyIceberg", "t")):
            got = self.canonical(source, names, columns, lake)
            for a, b in zip(want, got):
                assert a == b, f"{engine}: {schema}.{table}: {first_difference(columns, a, b)}"
            assert len(want) == len(got), f"{engine}: {schema}.{table} has {len(got)} rows, Postgres {len(want)}"

    def postgres(self, schema, table, columns):
        """Sorted rows of text; and, per column, how many values have no native form."""
        parts, counts = [], []
        for name, type_name in columns:
            c = '"' + name.replace('"', '""') + '"'
            native = native_condition(type_name, c)
            text = PG_TEXT.get(type_name, "CASE WHEN num_nulls({c}) = 0 THEN format('%s', {c}) END").format(c=c)
            parts.append(f"CASE WHEN {native} THEN {text} END" if native else text)
            counts.append(f"count(*) FILTER (WHERE num_nulls({c}) = 0 AND NOT ({native}))" if native else "count(*) FILTER (WHERE false)")
        source = f'FROM ONLY "{schema}"."{table}"'
        overflow = self.pg.execute(f"SELECT {', '.join(counts)} {source}").fetchone()
        rows = self.pg.execute(f'SELECT {", ".join(parts)} {source}').fetchall()
        return sorted(rows, key=repr), {c[0]: n for c, n in zip(columns, overflow) if n}

    def canonical(self, source, names, columns, lake):
        """The engine's typed values, turned into text by the rules of canonical text."""
        rows = self.duck.execute(f"SELECT {', '.join(names)} FROM {source}").to_arrow_table()
        out = [text_of(rows.column(i).combine_chunks(), column[1]) for i, column in enumerate(columns)]
        return sorted(zip(*out), key=repr)


def native_condition(type_name, c):
    """SQL: has this value a native form? None: all have."""
    element = type_name.removesuffix("[]")
    kind = re.match(r"numeric\(|date$|timestamp|time(?=\(\d\) without| without)", element)
    native = NATIVE[kind.group()] if kind else None
    precision = re.match(r"numeric\((\d+),(-?\d+)\)", element)
    if precision and not 0 <= int(precision.group(2)) <= int(precision.group(1)) <= 38:
        native = None  # text
    if type_name == element:
        return native.format(c=c) if native else None
    shape = f"(cardinality({c}) = 0 OR (array_ndims({c}) = 1 AND array_lower({c}, 1) = 1))"
    if not native:
        return shape
    return f"({shape} AND (SELECT coalesce(bool_and(e IS NULL OR ({native.format(c='e')})), true) FROM unnest({c}) AS e))"


def first_difference(columns, a, b):
    for column, x, y in zip(columns, a, b):
        if x != y:
            return f"{column[0]} {column[1]}: Postgres {x!r}, lake {y!r}"
    return "?"


def text_of(column, type_name):
    t = column.type
    out = []
    for v in column.to_pylist():
        out.append(None if v is None else scalar_text(v, t, type_name))
    return out


def scalar_text(v, t, type_name):
    if pa.types.is_boolean(t):
        return "true" if v else "false"
    if pa.types.is_float32(t) or pa.types.is_float64(t):
        return shortest(v, pa.types.is_float32(t))
    if pa.types.is_decimal(t):
        return f"{v:f}"
    if pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_fixed_size_binary(t):
        return uuid_text(v) if type_name == "uuid" else v.hex().upper()
    if pa.types.is_timestamp(t):
        return stamp_text(v, t.tz is not None)
    if pa.types.is_date(t):
        return v.strftime("%Y-%m-%d").zfill(10)
    if pa.types.is_time(t):
        return fraction(v.strftime("%H:%M:%S"), v.microsecond)
    if pa.types.is_list(t) or pa.types.is_large_list(t):
        return array_text(v, t.value_type, type_name.removesuffix("[]"))
    return str(v)


def uuid_text(v):
    return str(v) if isinstance(v, uuid.UUID) else str(uuid.UUID(bytes=v))


def fraction(text, micros):
    return text + (f".{micros:06d}".rstrip("0") if micros else "")


def stamp_text(v, zone):
    text = f"{v.year:04d}-{v.month:02d}-{v.day:02d} " + fraction(v.strftime("%H:%M:%S"), v.microsecond)
    return text + ("+00" if zone else "")


def shortest(v, single):
    if math.isnan(v):
        return "NaN"
    if math.isinf(v):
        return "Infinity" if v > 0 else "-Infinity"
    digits = np.format_float_scientific(np.float32(v) if single else np.float64(v), unique=True, trim="-", exp_digits=2)
    mantissa, exponent = digits.split("e")
    exponent = int(exponent)
    if -4 <= exponent < (6 if single else 15):
        return np.format_float_positional(np.float32(v) if single else np.float64(v), unique=True, trim="-")
    return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def array_text(values, element, type_name):
    parts = []
    for v in values:
        if v is None:
            parts.append("NULL")
            continue
        text = scalar_text(v, element, type_name)
        if pa.types.is_boolean(element):
            text = text[0]
        if pa.types.is_binary(element):
            text = "\\x" + text.lower()
        if text == "" or text.lower() == "null" or any(ch in '{},"\\ \t\n\r\v\f' for ch in text):
            text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        parts.append(text)
    return "{" + ",".join(parts) + "}"


def check_database(project, database):
    oracle = Oracle(project, database)
    tables = oracle.tables()
    for (schema, table), columns in tables.items():
        oracle.compare(schema, table, columns)
    print(f"{database}: {len(tables)} tables, {oracle.rows} rows, {oracle.values} values equal, {oracle.overflowed} without a native form; raw columns: {sorted(oracle.raw)}")
    return oracle


def test_flights_and_pgbench(project):
    with project.connect() as c:
        for _ in flights.load(c):
            pass
    project.pgbench("-i", "-q", "-s", "1")
    project.pgbench("-c", "4", "-T", "5", "-n")
    project.sql("DELETE FROM flights WHERE month = 3; UPDATE planes SET seats = seats + 1 WHERE engines = 2; "
                "ALTER TABLE airports ADD checked boolean DEFAULT true; ALTER TABLE weather DROP COLUMN humid")
    assert check_database(project, "postgres").rows > 400000


def test_regression_database(project):
    """What Postgres's own suite leaves behind, which test_regress ran: every kind of table there is."""
    run_suite(project)
    assert check_database(project, "regression").rows > 100000
