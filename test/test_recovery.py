"""What survives: restarts, a lost pageserver disk, a lost safekeeper disk, branches, two-phase commits."""

import shutil
import time

import psycopg
import pytest


def fill(project):
    project.sql("CREATE TABLE t AS SELECT g AS id, md5(g::text) AS m FROM generate_series(1, 20000) g; "
                "ALTER TABLE t ADD PRIMARY KEY (id); UPDATE t SET m = upper(m) WHERE id % 3 = 0; DELETE FROM t WHERE id % 7 = 0")


def digest(project, **kw):
    return project.sql("SELECT count(*), md5(string_agg(id || m, ',' ORDER BY id)) FROM t", **kw)[0]


def lsn_number(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def flush_lsn(project, name):
    timelines = project.part(name).get("timelines", [])
    return max((lsn_number(t["flush_lsn"]) for t in timelines), default=0)


def wait_for(condition, seconds=60):
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline
        time.sleep(0.1)


def test_restart_keeps_everything(project):
    fill(project)
    project.sql("CREATE SEQUENCE s; CREATE UNLOGGED TABLE u (a int PRIMARY KEY); INSERT INTO u VALUES (1), (2)")
    assert [project.sql("SELECT nextval('s')")[0][0] for _ in range(3)] == [1, 2, 3]
    before = digest(project)
    project.down()
    project.up()
    assert digest(project) == before
    assert project.sql("SELECT nextval('s')") == [(4,)]  # a clean stop loses no value
    assert project.sql("SELECT count(*) FROM u") == [(0,)]
    project.sql("INSERT INTO u VALUES (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        project.sql("INSERT INTO u VALUES (1)")


def test_pageserver_disk_lost_while_stopped(project):
    fill(project)
    before = digest(project)
    project.down()
    shutil.rmtree(project.dir / "pageserver")
    project.up()
    assert digest(project) == before
    project.sql("INSERT INTO t VALUES (0, 'after')")
    assert project.sql("SELECT m FROM t WHERE id = 0") == [("after",)]


@pytest.mark.parametrize("while_running", [False, True])
def test_safekeeper_disk_lost(project, while_running):
    fill(project)
    if while_running:
        shutil.rmtree(project.dir / "safekeeper-2")
        project.kill("safekeeper-2")  # it is started again at once
    else:
        project.down()
        shutil.rmtree(project.dir / "safekeeper-2")
        project.up()
    project.sql("INSERT INTO t SELECT -g, 'more' FROM generate_series(1, 1000) g")  # the quorum goes on
    before = digest(project)
    wait_for(lambda: flush_lsn(project, "safekeeper-2") >= flush_lsn(project, "safekeeper-1") > 0)
    # Now the member that lost its disk is needed.
    project.kill("safekeeper-1")
    project.sql("INSERT INTO t VALUES (0, 'x')")
    project.sql("DELETE FROM t WHERE id = 0")
    assert digest(project) == before


def test_prepared_transaction_survives(make_project):
    project = make_project(settings={"max_prepared_transactions": "10"})
    project.up()
    fill(project)
    with project.connect() as c:
        c.execute("BEGIN")
        c.execute("INSERT INTO t VALUES (-1, 'prepared')")
        c.execute("PREPARE TRANSACTION 'p'")
    project.down()
    project.up()
    assert project.sql("SELECT gid FROM pg_prepared_xacts") == [("p",)]
    assert project.sql("SELECT count(*) FROM t WHERE id = -1") == [(0,)]
    project.sql("COMMIT PREPARED 'p'")
    assert project.sql("SELECT m FROM t WHERE id = -1") == [("prepared",)]


@pytest.mark.parametrize("strategy", ["wal_log", "file_copy"])
def test_databases(project, strategy):
    project.sql("CREATE DATABASE a")
    project.sql("CREATE TABLE t AS SELECT g FROM generate_series(1, 5000) g", database="a")
    project.sql(f"CREATE DATABASE b TEMPLATE a STRATEGY {strategy}")
    assert project.sql("SELECT count(*) FROM t", database="b") == [(5000,)]
    project.sql("DELETE FROM t", database="b")
    project.down()
    project.up()
    assert project.sql("SELECT count(*) FROM t", database="a") == [(5000,)]
    assert project.sql("SELECT count(*) FROM t", database="b") == [(0,)]
    assert project.sql("SELECT pg_database_size('a') > 1000000") == [(True,)]
    project.sql("DROP DATABASE b")
    assert project.sql("SELECT datname FROM pg_database WHERE datname = 'b'") == []


def test_branches(project):
    fill(project)
    before, lsn = digest(project), project.sql("SELECT pg_current_wal_flush_lsn()")[0][0]
    project.sql("DELETE FROM t WHERE id < 10000")
    after = digest(project)
    project.tarn("branch", "create", "head")
    project.tarn("branch", "create", "past", "--at", lsn)
    assert digest(project, branch="head") == after
    assert digest(project, branch="past") == before
    project.sql("TRUNCATE t", branch="head")
    project.sql("UPDATE t SET m = 'changed'", branch="past")
    assert digest(project) == after
    project.down()
    project.up()
    assert digest(project) == after
    assert project.sql("SELECT count(*) FROM t", branch="head") == [(0,)]
    assert project.sql("SELECT DISTINCT m FROM t", branch="past") == [("changed",)]
    project.tarn("branch", "delete", "head")
    assert project.tarn("url", "head", check=False).returncode == 3
    assert digest(project) == after


def test_tablespaces_are_refused(project):
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="tablespaces"):
        project.sql("CREATE TABLESPACE x LOCATION '/tmp'")
