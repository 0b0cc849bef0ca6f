"""SIGKILL at random moments, under load: nothing acknowledged is lost, nothing is invented, sums are right."""

import os
import random
import subprocess
import threading
import time

import psycopg

from tarn import PG_BIN

ROUNDS = int(os.environ.get("TARN_CRASH_ROUNDS", "50"))
SEED = int(os.environ.get("TARN_CRASH_SEED", "20261124"))
TARGETS = ("compute", "safekeeper", "pageserver", "everything")
ACCOUNTS = 50
BALANCE = 1000


class Teller(threading.Thread):
    """Transfers between accounts, one journal row each; remembers what was acknowledged."""

    def __init__(self, project, number):
        super().__init__(daemon=True)
        self.project, self.number, self.random = project, number, random.Random(SEED + number)
        self.acknowledged, self.unknown, self.next, self.stopping = set(), set(), 0, False

    def run(self):
        while not self.stopping:
            try:
                with self.project.connect(autocommit=False, connect_timeout=2) as c:
                    while not self.stopping:
                        self.transfer(c)
            except psycopg.Error:
                time.sleep(0.05)

    def transfer(self, c):
        self.next += 1
        name = f"{self.number}-{self.next}"
        a, b = self.random.sample(range(ACCOUNTS), 2)
        self.unknown.add(name)
        c.execute("UPDATE account SET balance = balance - 1 WHERE id = %s", (min(a, b),))
        c.execute("UPDATE account SET balance = balance + 1 WHERE id = %s", (max(a, b),))
        c.execute("INSERT INTO journal VALUES (%s)", (name,))
        c.commit()
        self.unknown.discard(name)
        self.acknowledged.add(name)


def check(project, tellers):
    with project.connect() as c:
        total = c.execute("SELECT sum(balance), count(*) FROM account").fetchone()
        present = {row[0] for row in c.execute("SELECT name FROM journal")}
        by_index = c.execute("SELECT count(*) FROM journal WHERE name >= ''").fetchone()[0]
        tpcb = c.execute("SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(bbalance) FROM pgbench_branches), "
                         "(SELECT sum(tbalance) FROM pgbench_tellers), (SELECT coalesce(sum(delta), 0) FROM pgbench_history)").fetchone()
    acknowledged = set().union(*(t.acknowledged for t in tellers))
    sent = acknowledged.union(*(t.unknown for t in tellers))
    assert total == (ACCOUNTS * BALANCE, ACCOUNTS)
    assert not acknowledged - present, f"lost: {sorted(acknowledged - present)[:10]}"
    assert not present - sent, f"invented: {sorted(present - sent)[:10]}"
    assert by_index == len(present)
    assert len(set(tpcb)) == 1, tpcb
    return len(acknowledged)


def harm(project, target, rng):
    if target == "everything":
        project.kill_everything()
        project.up()
    elif target == "safekeeper":
        project.kill(f"safekeeper-{rng.randint(1, 3)}")
    else:
        project.kill(target)


def one_round(project, tellers, target, rng):
    load = subprocess.Popen([str(PG_BIN / "pgbench"), "-h", "127.0.0.1", "-p", str(project.port), "-U", "postgres", "-n", "-c", "4",
                             "-T", "600", "postgres"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for t in tellers:
            t.start()
        time.sleep(rng.uniform(0.2, 1.5))
        harm(project, target, rng)
        time.sleep(rng.uniform(0, 0.5))
        project.wait_until_serving()
    finally:
        load.kill()
        load.wait()
        for t in tellers:
            t.stopping = True
        for t in tellers:
            t.join(30)


def test_sigkill_under_load(project):
    print(f"seed {SEED}, {ROUNDS} rounds")
    project.pgbench("-i", "-q", "-s", "2")
    project.sql("CREATE TABLE account (id int PRIMARY KEY, balance bigint); CREATE TABLE journal (name text PRIMARY KEY)")
    project.sql(f"INSERT INTO account SELECT g, {BALANCE} FROM generate_series(0, {ACCOUNTS - 1}) g")
    rng, tellers, number = random.Random(SEED), [], 0
    for i in range(ROUNDS):
        target = TARGETS[i % len(TARGETS)]
        crew = [Teller(project, number + k) for k in range(3)]
        number += len(crew)
        tellers += crew
        one_round(project, crew, target, rng)
        done = check(project, tellers)
        print(f"round {i + 1}: killed {target}; {done} acknowledged transfers, all there", flush=True)
