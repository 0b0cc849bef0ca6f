"""The resident-pages rule, row by row of compute/smgr/README.md: right with the rule, wrong without it."""

import psycopg
import pytest

RULES = ("on", "off")


@pytest.fixture
def compute(make_project):
    """Starts a compute with next to no memory, so that pages are evicted all the time; a rule may be switched off."""

    def start(rule, on, buffers="128kB"):
        settings = {"shared_buffers": buffers, "autovacuum": "off", "bgwriter_lru_maxpages": "0"}
        if on == "off":
            settings["tarn.debug_rules_off"] = rule
        project = make_project(settings=settings, postgres="cache_mib = 0")
        project.up()
        return project

    return start


def evict(connection):
    """Reads enough of something else that no page stays in the server's buffers."""
    connection.execute("SELECT count(*) FROM pg_class, pg_attribute WHERE pg_class.oid = attrelid")
    connection.execute("SELECT count(*) FROM pg_proc; SELECT count(*) FROM pg_depend; SELECT count(*) FROM pg_description")


@pytest.mark.parametrize("on", RULES)
def test_command_ids_of_a_running_transaction(compute, on):
    """A cursor must not see rows that its own transaction adds after it was opened."""
    project = compute("cid", on)
    with project.connect(autocommit=False) as c:
        c.execute("CREATE TABLE t (a int, b text)")
        c.execute("INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 500) g")
        c.execute("DECLARE before CURSOR FOR SELECT a FROM t")
        c.execute("INSERT INTO t SELECT -g, repeat('y', 500) FROM generate_series(1, 500) g")
        evict(c)
        seen = len(c.execute("FETCH ALL FROM before").fetchall())
    assert (seen == 500) == (on == "on"), seen


@pytest.mark.parametrize("on", RULES)
def test_pages_that_are_not_logged_yet(compute, on):
    """A GiST index is built in pages without an LSN of the log and logged at its end."""
    project = compute("zero_lsn", on, "512kB")
    project.sql("CREATE TABLE t AS SELECT g AS id, box(point(g % 173, g % 191), point(g % 173 + 2, g % 191 + 2)) AS b "
                "FROM generate_series(1, 20000) g")
    query = "SELECT count(*) FROM t WHERE b && box(point(50, 50), point(70, 70))"
    want = project.sql(query)[0][0]
    try:
        project.sql("SET statement_timeout = '20s'; CREATE INDEX ON t USING gist (b)")
        found = project.sql(f"SET enable_seqscan = off; {query}")[0][0]
    except psycopg.Error as e:  # without the rule the build may find its own pages empty
        found = str(e)
    assert (found == want) == (on == "on"), (found, want)


@pytest.mark.parametrize("on", RULES)
def test_unlogged_relations(compute, on):
    project = compute("unlogged", on)
    with project.connect() as c:
        c.execute("CREATE UNLOGGED TABLE u (a int PRIMARY KEY, b text)")
        c.execute("INSERT INTO u SELECT g, repeat('x', 500) FROM generate_series(1, 500) g")
        c.execute("CHECKPOINT")
        evict(c)
        try:
            before = c.execute("SELECT count(*) FROM u").fetchone()[0]
        except psycopg.Error as e:
            before = str(e)
    project.down()
    project.up()
    with project.connect() as c:
        try:
            c.execute("INSERT INTO u VALUES (1, 'again')")  # the index is there, and empty
            after = c.execute("SELECT count(*) FROM u").fetchone()[0]
        except psycopg.Error as e:
            after = str(e)
    assert ((before, after) == (500, 1)) == (on == "on"), (before, after)


@pytest.mark.parametrize("on", RULES)
def test_sequences(compute, on):
    """Every 32nd value is logged: a sequence read back from the log would skip."""
    project = compute("sequence", on)
    with project.connect() as c:
        c.execute("CREATE SEQUENCE s")
        values = []
        for _ in range(5):
            values.append(c.execute("SELECT nextval('s')").fetchone()[0])
            evict(c)
    assert (values == [1, 2, 3, 4, 5]) == (on == "on"), values
    assert len(set(values)) == 5  # never twice, whatever happens
    project.down()
    project.up()
    next_value = project.sql("SELECT nextval('s')")[0][0]
    assert (next_value == 6) == (on == "on") and next_value > max(values), next_value


@pytest.mark.parametrize("on", RULES)
def test_free_space_map(compute, on):
    """Space that vacuum found is used again after eviction and after a restart."""
    project = compute("maps", on)
    with project.connect() as c:
        c.execute("CREATE TABLE t (a int, b text)")
        c.execute("INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 10000) g")
        c.execute("DELETE FROM t WHERE a % 2 = 0")
        c.execute("VACUUM t")
        before = c.execute("SELECT pg_relation_size('t')").fetchone()[0]
        evict(c)
    project.down()
    project.up()
    with project.connect() as c:
        c.execute("INSERT INTO t SELECT g, repeat('y', 500) FROM generate_series(1, 4500) g")
        after = c.execute("SELECT pg_relation_size('t')").fetchone()[0]
    assert (after <= before) == (on == "on"), (before, after)
