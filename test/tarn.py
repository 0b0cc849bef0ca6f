"""A Tarn project for tests: real processes in a directory of their own, gone afterwards whatever happens."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import psycopg

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARN = pathlib.Path(os.environ.get("TARN_BINARY", ROOT / "build/src/cli/tarn"))
PG_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")


def free_port():
    """Not one of those that the system gives to outgoing connections, which may take it at any moment."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def processes_under(directory):
    """Pids of all processes that have the directory in their command line or as their working directory."""
    needle, found = str(directory), []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if needle in (entry / "cmdline").read_bytes().decode(errors="replace") or \
                    os.readlink(entry / "cwd").startswith(needle):
                found.append(int(entry.name))
    return found


class Project:
    def __init__(self, settings=None, **sections):
        """settings: of Postgres. sections: further lines of tarn.conf, as safekeepers="count = 1"."""
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="tarn-test-"))
        self.root.chmod(0o755)
        self.dir = self.root / "project"
        self.dir.mkdir(mode=0o755)
        self.port = free_port()
        lines = [f"port = {self.port}", *(f"set.{k} = {v}" for k, v in (settings or {}).items())]
        if "postgres" in sections:
            lines.append(sections.pop("postgres"))
        text = "[postgres]\n" + "\n".join(lines) + "\n"
        for name, more in sections.items():
            text += f"[{name}]\n{more}\n"
        (self.dir / "tarn.conf").write_text(text)
        if os.geteuid() == 0:
            shutil.chown(self.dir, "postgres", "postgres")

    # ---- the command line ----

    def tarn(self, *args, check=True, timeout=120):
        done = subprocess.run([str(TARN), *map(str, args), "-D", str(self.dir)], capture_output=True, text=True,
                              timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"tarn {' '.join(map(str, args))} ended with {done.returncode}: {done.stderr}\n{self.logs()}")
        return done

    def up(self, **kw):
        return self.tarn("up", "--detach", **kw)

    def down(self, **kw):
        return self.tarn("down", **kw)

    def status(self):
        done = self.tarn("status", "--json", check=False)
        return json.loads(done.stdout)

    def part(self, name):
        return next(p for p in self.status()["parts"] if p["name"] == name)

    def endpoint(self, branch="main"):
        return next(e for e in self.status()["endpoints"] if e["branch"] == branch)

    def catalog(self):
        return self.status()["catalog_url"]

    # ---- Postgres ----

    def connect(self, branch="main", database="postgres", autocommit=True, **kw):
        port = self.port if branch == "main" else self.endpoint(branch)["port"]
        return psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname=database, autocommit=autocommit, **kw)

    def sql(self, text, branch="main", database="postgres", params=None):
        """The rows of the last statement, or None."""
        with self.connect(branch, database) as c:
            cursor = c.execute(text, params)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else None

    def pgbench(self, *args, check=True, timeout=300):
        return subprocess.run([str(PG_BIN / "pgbench"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres",
                               *map(str, args), "postgres"], capture_output=True, text=True, check=check, timeout=timeout).stdout

    def wait_until_serving(self, seconds=60):
        """A new connection can write."""
        deadline, last = time.time() + seconds, None
        while time.time() < deadline:
            try:
                with self.connect(connect_timeout=2) as c:
                    c.execute("SET statement_timeout = '10s'")
                    c.execute("CREATE TABLE IF NOT EXISTS serving (at timestamptz)")
                    c.execute("INSERT INTO serving VALUES (now())")
                    return
            except psycopg.Error as e:
                last = e
                time.sleep(0.1)
        raise AssertionError(f"not serving after {seconds} s: {last}\n{self.logs()}")

    # ---- harm ----

    def kill(self, name, sig=signal.SIGKILL):
        """A part by its name, or "compute": the postmaster and all its children."""
        if name == "compute":
            pid = self.endpoint()["pid"]
            victims = [pid, *children(pid)]
        else:
            victims = [self.part(name)["pid"]]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sig)

    def kill_everything(self):
        for _ in range(3):
            for pid in processes_under(self.dir):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def logs(self, lines=15):
        out = []
        for path in sorted([*self.dir.glob("logs/*.log"), *self.dir.glob("tarn.log")]):
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            out.append(f"--- {path.name}\n" + "\n".join(tail))
        return "\n".join(out)

    def remove(self):
        with contextlib.suppress(Exception):
            self.tarn("down", check=False, timeout=60)
        self.kill_everything()
        shutil.rmtree(self.root, ignore_errors=True)


def children(pid):
    with contextlib.suppress(OSError):
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
