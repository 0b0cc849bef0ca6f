"""The two servers that take turns: a Tarn project, and a vanilla primary with a synchronous standby."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import time

import psycopg

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARN = ROOT / "build/src/cli/tarn"
BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
SHARED_BUFFERS = "512MB"


def free_port():
    """Not one of those that the system gives to outgoing connections, which may take it at any moment."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def as_server_user(args):
    return ["runuser", "-u", "postgres", "--", *args] if os.geteuid() == 0 else list(args)


def run(args, **kw):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, text=True, **kw).stdout


class Server:
    """Something with a Postgres port."""

    name = ""
    port = 0

    def connect(self, **kw):
        return psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True, **kw)

    def pgbench(self, *args):
        return run([BIN / "pgbench", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", *args, "postgres"])

    def sql(self, text):
        with self.connect() as c:
            return c.execute(text).fetchall() if text.lstrip().lower().startswith("select") else c.execute(text)


class Project(Server):
    name = "tarn"

    def __init__(self, base):
        self.dir = base / "tarn"
        self.port = free_port()
        self.dir.mkdir(mode=0o755)
        (self.dir / "tarn.conf").write_text(
            f"[postgres]\nport = {self.port}\ncache_mib = 4096\nset.shared_buffers = {SHARED_BUFFERS}\n"
            "set.max_wal_size = 8GB\n[catalog]\nport = 0\n")
        if os.geteuid() == 0:
            shutil.chown(self.dir, "postgres", "postgres")
        self.start()

    def start(self):
        run([TARN, "up", "-D", self.dir, "--detach"])

    def stop(self):
        subprocess.run([str(TARN), "down", "-D", str(self.dir)], capture_output=True)

    def status(self):
        return json.loads(run([TARN, "status", "-D", self.dir, "--json"]))

    def part(self, name):
        return next(p for p in self.status()["parts"] if p["name"] == name)

    def endpoint(self, action):
        run([TARN, "endpoint", action, "main", "-D", self.dir])


class Vanilla(Server):
    name = "vanilla"

    def __init__(self, base):
        self.base = base / "vanilla"
        self.port = free_port()
        self.base.mkdir(mode=0o777)
        self.base.chmod(0o777)
        self.primary, self.standby = self.base / "primary", self.base / "standby"
        self.pg("initdb", "-D", self.primary, "-U", "postgres", "-A", "trust", "--encoding=UTF8", "--locale=C.UTF-8")
        self.conf(self.primary, self.port, f"shared_buffers={SHARED_BUFFERS}\nmax_wal_size=8GB\ncheckpoint_timeout=30min\n")
        self.pg_start(self.primary)
        self.pg("pg_basebackup", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-D", self.standby, "-R", "-X", "stream")
        self.conf(self.standby, free_port(), "")
        self.pg_start(self.standby)
        self.sql("ALTER SYSTEM SET synchronous_standby_names='*'")
        self.sql("SELECT pg_reload_conf()")
        deadline = time.time() + 30
        while self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state='sync'")[0][0] == 0:
            if time.time() > deadline:
                raise RuntimeError("the standby did not become synchronous")
            time.sleep(0.1)

    def conf(self, directory, port, more):
        with open(directory / "postgresql.conf", "a") as f:
            f.write(f"\nlisten_addresses='127.0.0.1'\nport={port}\nunix_socket_directories=''\n{more}")

    def pg(self, program, *args):
        return run(as_server_user([str(BIN / program), *map(str, args)]), cwd="/")

    def pg_start(self, directory):
        subprocess.run(as_server_user([str(BIN / "pg_ctl"), "-D", str(directory), "-w", "-l", f"{directory}.log", "start"]),
                       check=True, stdout=subprocess.DEVNULL, cwd="/")

    def restart(self):
        self.pg("pg_ctl", "-D", self.primary, "-w", "-m", "fast", "stop")
        self.pg_start(self.primary)

    def stop(self):
        for directory in (self.primary, self.standby):
            subprocess.run(as_server_user([str(BIN / "pg_ctl"), "-D", str(directory), "-m", "immediate", "stop"]),
                           capture_output=True, cwd="/")


class Pair:
    def __enter__(self):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="tarn-bench-"))
        self.base.chmod(0o755)
        self.tarn = self.vanilla = None
        try:
            self.tarn = Project(self.base)
            self.vanilla = Vanilla(self.base)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for server in (self.tarn, self.vanilla):
            if server:
                server.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    def servers(self):
        return (self.tarn, self.vanilla)
