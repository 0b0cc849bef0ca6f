"""Tables made by hand for tests of the lake: Parquet files in a store and the state the pageserver would tell."""
import datetime
import decimal
import hashlib
import os
import struct
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

TYPES = {"int": pa.int32(), "long": pa.int64(), "string": pa.string(), "boolean": pa.bool_(),
         "double": pa.float64(), "date": pa.date32(), "timestamp": pa.timestamp("us"),
         "decimal(12, 2)": pa.decimal128(12, 2)}
TIMELINE = "0123456789abcdef0123456789abcdef"


def make_store(root):
    """An object store in a directory, as objstore_open would make it."""
    store = root + "/store"
    os.mkdir(store)
    with open(store + "/.tarn-store", "w") as f:
        f.write("Tarn object store, directory format 1. Every file here belongs to it.\n")
    return store


def lsn_text(lsn):
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def bound(type_, v):
    """Iceberg's single-value serialization."""
    if type_ in ("int", "date"):
        days = (v - datetime.date(1970, 1, 1)).days if type_ == "date" else v
        return struct.pack("<i", days)
    if type_ == "long":
        return struct.pack("<q", v)
    if type_ == "timestamp":
        return struct.pack("<q", (v - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1))
    if type_ == "double":
        return struct.pack("<d", v)
    if type_ == "string":
        return v.encode()
    if type_ == "boolean":
        return bytes([v])
    if type_.startswith("decimal"):
        n = int(v.scaleb(2))
        return n.to_bytes((n.bit_length() + 8) // 8, "big", signed=True)
    return None


def field(name, type_, id_):
    return pa.field(name, TYPES[type_], metadata={"PARQUET:field_id": str(id_)})


class Table:
    """columns: [(name, iceberg type)]. Rows are lists; add() makes a data file, delete() hides rows of one."""

    def __init__(self, store, schema, name, columns, relid=16384, database="postgres", timeline=TIMELINE, lsn=0x1A2B3C8):
        self.store, self.schema, self.name, self.relid, self.database = store, schema, name, relid, database
        self.columns = [(n, t, i + 1) for i, (n, t) in enumerate(columns)]
        self.location = f"lake/{timeline}/5/{relid}"
        self.uuid = str(uuid.UUID(hashlib.md5(f"{store}{timeline}{relid}".encode()).hexdigest()))
        self.lsn, self.files, self.deletes, self.hidden, self.rows, self.serial = lsn, [], {}, {}, {}, 0

    def path(self, key):
        p = os.path.join(self.store, key)
        os.makedirs(os.path.dirname(p), exist_ok=True)
        return p

    def uri(self, key):
        return "file://" + os.path.join(self.store, key)

    def fresh_key(self, what):
        self.serial += 1
        return f"{self.location}/data/{what}-{self.lsn:X}-{self.serial}.parquet"

    def add(self, rows, kind="tail"):
        self.lsn += 64
        key = self.fresh_key(kind)
        schema = pa.schema([field(*c) for c in self.columns])
        data = [pa.array([r[i] for r in rows], TYPES[c[1]]) for i, c in enumerate(self.columns)]
        pq.write_table(pa.table(data, schema=schema), self.path(key))
        stats = {}
        for i, (_, type_, id_) in enumerate(self.columns):
            values = [r[i] for r in rows if r[i] is not None]
            s = {"values": len(rows), "nulls": len(rows) - len(values)}
            if values:
                s |= {"lower": bound(type_, min(values)).hex(), "upper": bound(type_, max(values)).hex()}
            stats[str(id_)] = s
        self.files.append({"key": key, "rows": len(rows), "bytes": os.path.getsize(self.path(key)), "first_row_id": 0,
                           "kind": kind, "columns": stats})
        self.rows[key] = rows
        return key

    def delete(self, key, positions):
        """One delete file per data file, rewritten as a whole under a new name."""
        self.lsn += 64
        self.hidden.setdefault(key, set()).update(positions)
        out = self.fresh_key("delete")
        schema = pa.schema([pa.field("file_path", pa.string(), False, {"PARQUET:field_id": "2147483546"}),
                            pa.field("pos", pa.int64(), False, {"PARQUET:field_id": "2147483545"})])
        pos = sorted(self.hidden[key])
        pq.write_table(pa.table([pa.array([self.uri(key)] * len(pos)), pa.array(pos, pa.int64())], schema=schema), self.path(out))
        self.deletes[key] = {"key": out, "rows": len(pos), "bytes": os.path.getsize(self.path(out)), "data_file": key}

    def visible(self):
        return [r for f in self.files for i, r in enumerate(self.rows[f["key"]]) if i not in self.hidden.get(f["key"], ())]

    def state(self, lsn=None):
        return {"lsn": lsn_text(lsn or self.lsn), "database": self.database, "schema": self.schema, "table": self.name,
                "relid": self.relid, "table_uuid": self.uuid, "location": self.location, "changed_lsn": lsn_text(self.lsn),
                "schema_id": 0, "last_column_id": len(self.columns),
                "schemas": [{"schema-id": 0, "fields": [{"id": i, "name": n, "required": False, "type": t}
                                                        for n, t, i in self.columns]}],
                "rows": len(self.visible()), "data_files": list(self.files), "delete_files": list(self.deletes.values()),
                "overflow": {}, "properties": {}}


def example(store, **options):
    """Every type, nulls, several files, deletes."""
    t = Table(store, "public", "things", [("id", "long"), ("n", "int"), ("name", "string"), ("price", "decimal(12, 2)"),
                                          ("day", "date"), ("at", "timestamp"), ("ok", "boolean"), ("f", "double")], **options)

    def row(i):
        if i % 7 == 3:
            return [i] + [None] * 7
        return [i, i * 3 - 50, f"Grüße {i}", decimal.Decimal(i * 100 + 5).scaleb(-2),
                datetime.date(2013, 1, 1) + datetime.timedelta(days=i % 4000),
                datetime.datetime(2013, 1, 1, 5, 15) + datetime.timedelta(seconds=i), i % 2 == 0, i / 4]
    t.row = row
    base = t.add([row(i) for i in range(1000)], "columnar")
    t.delete(base, [0, 2, 4, 999])
    t.add([row(i) for i in range(1000, 1010)])
    return t
