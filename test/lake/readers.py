"""Engines that read the lake in tests."""
import duckdb
import duckdb_extensions


def duck():
    con = duckdb.connect()
    for e in ("avro", "httpfs", "iceberg"):
        duckdb_extensions.import_extension(e, con=con)
        con.execute(f"LOAD {e}")
    return con


def rows_of(arrow):
    columns = [c.to_pylist() for c in arrow.columns]
    return sorted(([c[i] for c in columns] for i in range(arrow.num_rows)), key=lambda r: r[0])
