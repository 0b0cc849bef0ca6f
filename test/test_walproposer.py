"""Commits of a compute against three real safekeepers, storage left alone (tarn.pageserver is empty)."""
import contextlib
import os
import pathlib
import random
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import psycopg
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("TARN_BUILD", ROOT / "build"))
BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
TIMELINE = "0123456789abcdef0123456789abcdef"


def free_port():
    """Not one of those that the system gives to outgoing connections, which may take it at any moment."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def as_postgres():
    """Postgres refuses to run as root."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Safekeeper:
    def __init__(self, dir_, number):
        self.number, self.dir = number, dir_ / f"sk{number}"
        self.address, self.http = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.process = None

    def start(self):
        log = open(f"{self.dir}.log", "a")
        self.process = subprocess.Popen(
            [BUILD / "test/sk_tool", "serve", str(self.number), self.dir, self.address, self.http],
            stderr=log, stdout=log)
        host, port = self.address.split(":")
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
                return
            time.sleep(0.05)
        raise AssertionError(f"safekeeper {self.number} does not listen")

    def kill(self):
        self.process.kill()
        self.process.wait()


class Cluster:
    """A stock cluster whose log goes to three safekeepers."""

    def __init__(self, dir_):
        self.dir, self.data, self.port = dir_, dir_ / "data", free_port()
        self.keepers = [Safekeeper(dir_, n) for n in (1, 2, 3)]
        self.postgres = None
        self.run(BIN / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-N", "--no-locale", "-E", "UTF8")
        control = self.run(BIN / "pg_controldata", self.data)
        facts = dict(line.split(":", 1) for line in control.splitlines() if ":" in line)
        self.system_id = facts["Database system identifier"].strip()
        self.start_lsn = facts["Latest checkpoint location"].strip()
        for keeper in self.keepers:
            keeper.start()
        self.tool("create", TIMELINE, self.system_id, self.start_lsn, *self.addresses())

    def addresses(self):
        return [k.address for k in self.keepers]

    def run(self, *command):
        return subprocess.run(command, check=True, capture_output=True, text=True, **as_postgres()).stdout

    def tool(self, *args):
        return subprocess.run([BUILD / "test/sk_tool", *args], check=True, capture_output=True, text=True).stdout

    def start(self, data=None, wait=True, **settings):
        settings = {
            "shared_preload_libraries": "tarn", "dynamic_library_path": f"{BUILD / 'compute'}:$libdir",
            "tarn.timeline": TIMELINE, "tarn.safekeepers": ",".join(self.addresses()),
            "synchronous_standby_names": "tarn", "fsync": "off", "full_page_writes": "off",
            "restart_after_crash": "off", "listen_addresses": "127.0.0.1", "port": str(self.port),
            "unix_socket_directories": str(self.dir), "max_prepared_transactions": "10", **settings}
        options = [x for k, v in settings.items() for x in ("-c", f"{k}={v}")]
        self.log = self.dir / "postgres.log"
        self.postgres = subprocess.Popen(
            [BIN / "postgres", "-D", data or self.data, *options],
            stderr=open(self.log, "ab"), start_new_session=True, **as_postgres())
        deadline = time.time() + 30
        while wait and time.time() < deadline:
            if self.postgres.poll() is not None:
                raise AssertionError(self.log.read_text())
            with contextlib.suppress(psycopg.OperationalError), self.connect():
                return
            time.sleep(0.05)

    def connect(self, **kw):
        return psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", dbname="postgres",
                               autocommit=True, **kw)

    def stop(self):
        if self.postgres and self.postgres.poll() is None:
            self.postgres.send_signal(signal.SIGINT)
            try:
                self.postgres.wait(20)
            except subprocess.TimeoutExpired:
                self.postgres.send_signal(signal.SIGQUIT)
                self.postgres.wait(10)
        for keeper in self.keepers:
            if keeper.process and keeper.process.poll() is None:
                keeper.kill()


@pytest.fixture
def cluster():
    dir_ = pathlib.Path(tempfile.mkdtemp(prefix="tarn-wp-"))
    if os.getuid() == 0:
        os.chmod(dir_, 0o755)
        shutil.chown(dir_, "postgres", "postgres")
    c = Cluster(dir_)
    try:
        yield c
    finally:
        c.stop()
        shutil.rmtree(dir_, ignore_errors=True)


class Background(threading.Thread):
    """Runs one statement; done tells whether its client got an answer."""

    def __init__(self, cluster, sql, setup=()):
        super().__init__(daemon=True)
        self.connection = cluster.connect()
        for statement in setup:
            self.connection.execute(statement)
        self.pid, self.sql, self.error, self.done = self.connection.info.backend_pid, sql, None, False
        self.start()

    def run(self):
        try:
            self.connection.execute(self.sql)
            self.done = True
        except psycopg.Error as e:
            self.error = e


def committed_lsn(cluster, keepers):
    return cluster.tool("sync", TIMELINE, cluster.system_id, *[k.address for k in keepers]).strip()


def test_commits_go_on_without_one_and_hang_without_two(cluster):
    cluster.start()
    with cluster.connect() as c:
        c.execute("create table t(a int)")
    cluster.run(BIN / "pgbench", "-q", "-i", "-s", "1", "-h", cluster.dir, "-p", str(cluster.port), "-U", "postgres",
                "postgres")
    bench = [BIN / "pgbench", "-c", "4", "-T", "2", "-h", cluster.dir, "-p", str(cluster.port), "-U", "postgres",
             "postgres"]
    assert "failed transactions: 0" in cluster.run(*bench)

    cluster.keepers[0].kill()
    assert "failed transactions: 0" in cluster.run(*bench)

    cluster.keepers[1].kill()
    hanging = Background(cluster, "insert into t values (1)")
    hanging.join(2)
    assert hanging.is_alive() and not hanging.done
    with cluster.connect() as c:  # it is not visible either
        assert c.execute("select count(*) from t").fetchone() == (0,)
    cluster.keepers[1].start()
    hanging.join(20)
    assert hanging.done

    cluster.keepers[0].start()
    assert "failed transactions: 0" in cluster.run(*bench)


@pytest.mark.parametrize("setup", [[], ["set synchronous_commit = off"], ["set synchronous_commit = local"]],
                         ids=["on", "off", "local"])
def test_cancel_does_not_acknowledge(cluster, setup):
    cluster.start()
    with cluster.connect() as c:
        c.execute("create table t(a int)")
    for keeper in cluster.keepers[:2]:
        keeper.kill()
    hanging = Background(cluster, "insert into t values (1)", setup)
    time.sleep(1)
    with cluster.connect() as c:
        for _ in range(3):
            c.execute("select pg_cancel_backend(%s)", [hanging.pid])
            time.sleep(0.2)
    hanging.join(1)
    assert hanging.is_alive() and not hanging.done
    timed = Background(cluster, "insert into t values (2)", [*setup, "set statement_timeout = 300"])
    timed.join(2)
    assert timed.is_alive() and not timed.done
    with cluster.connect() as c:  # nobody sees what may still be lost
        assert c.execute("select count(*) from t").fetchone() == (0,)
    killed = Background(cluster, "insert into t values (3)", setup)
    time.sleep(0.5)
    with cluster.connect() as c:
        c.execute("select pg_terminate_backend(%s)", [killed.pid])
    killed.join(5)
    assert not killed.done and killed.error is not None
    cluster.keepers[0].start()
    for b in (hanging, timed):
        b.join(20)
        assert b.done
        # a cancel that came during the commit is gone, and the session's settings are its own again
        b.connection.execute("select 1")
    if setup:
        assert hanging.connection.execute("show synchronous_commit").fetchone()[0] in setup[0]


def test_prepared_transactions_wait_too(cluster):
    cluster.start()
    with cluster.connect() as c:
        c.execute("create table t(a int)")
        c.execute("begin; insert into t values (1); prepare transaction 'first'")
    for keeper in cluster.keepers[:2]:
        keeper.kill()
    begun = ["set synchronous_commit = off", "begin", "insert into t values (2)"]
    waiting = [Background(cluster, "prepare transaction 'second'", begun),
               Background(cluster, "commit prepared 'first'", ["set synchronous_commit = off"])]
    time.sleep(1)
    with cluster.connect() as c:
        for b in waiting:
            c.execute("select pg_cancel_backend(%s)", [b.pid])
    time.sleep(1)
    assert not any(b.done or b.error for b in waiting)
    cluster.keepers[0].start()
    for b in waiting:
        b.join(20)
        assert b.done, b.error
    with cluster.connect() as c:
        assert c.execute("select a from t").fetchall() == [(1,)]
        assert c.execute("select gid from pg_prepared_xacts").fetchall() == [("second",)]


def test_first_commit_waits_for_the_election(cluster):
    for keeper in cluster.keepers[:2]:
        keeper.kill()
    cluster.start()
    first = Background(cluster, "create table t(a int)", ["set synchronous_commit = off"])
    first.join(2)
    assert first.is_alive()
    cluster.keepers[0].start()
    first.join(20)
    assert first.done


def test_second_compute_fences_the_first(cluster):
    twin = cluster.dir / "twin"
    cluster.run("cp", "-a", cluster.data, twin)
    cluster.start()
    with cluster.connect() as c:
        c.execute("create table t(a int)")
    committed_lsn(cluster, cluster.keepers)  # takes a new term, as the start of another compute does
    assert cluster.postgres.wait(20) != 0
    assert "this compute stops" in cluster.log.read_text()
    # one that was started at an end of the log that is no longer the end
    cluster.log.unlink()
    cluster.start(data=twin, wait=False)
    assert cluster.postgres.wait(20) != 0
    assert "another compute has written since" in cluster.log.read_text()


def test_stop_sends_what_was_written(cluster):
    cluster.start()
    with cluster.connect() as c:
        c.execute("create table t as select generate_series(1, 10000) a")
        end = c.execute("select pg_current_wal_flush_lsn()").fetchone()[0]
    cluster.postgres.send_signal(signal.SIGINT)
    assert cluster.postgres.wait(20) == 0
    def number(text):
        high, low = text.split("/")
        return int(high, 16) << 32 | int(low, 16)
    assert number(committed_lsn(cluster, cluster.keepers)) >= number(end)


def test_member_that_was_away_catches_up(cluster):
    cluster.start()
    cluster.keepers[2].kill()
    with cluster.connect() as c:
        c.execute("create table t as select generate_series(1, 1000000) a")
    cluster.keepers[2].start()
    time.sleep(3)
    cluster.keepers[0].kill()  # now the one that was away is needed
    late = Background(cluster, "insert into t values (0)")
    late.join(20)
    assert late.done


def test_member_that_was_away_gets_removed_log_from_another(cluster):
    cluster.start(**{"tarn.max_retained_log": "16MB", "max_wal_size": "64MB", "min_wal_size": "32MB"})
    cluster.keepers[2].kill()
    with cluster.connect() as c:
        first = c.execute("select pg_walfile_name(pg_current_wal_lsn())").fetchone()[0]
        c.execute("create table t as select i, repeat('x', 500) from generate_series(1, 200000) i")
        time.sleep(2)
        c.execute("checkpoint")
        c.execute("checkpoint")
    assert not (cluster.data / "pg_wal" / first).exists()
    cluster.keepers[2].start()
    time.sleep(5)
    cluster.keepers[0].kill()
    late = Background(cluster, "insert into t values (0)")
    late.join(20)
    assert late.done
