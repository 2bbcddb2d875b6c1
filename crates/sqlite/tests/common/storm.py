"""A bank that transfers between accounts until its input ends.

usage: storm.py DATABASE CHECKPOINT SEED, where CHECKPOINT is auto, none, mixed or a mode of wal_checkpoint

The sum of all balances never changes. Beside the transfers there are rows that come and go, and now
and then a mass delete, a VACUUM, a checkpoint or another schema.
"""
import random
import select
import sqlite3
import sys

path, checkpoint, seed = sys.argv[1:]
rng = random.Random(int(seed))
db = sqlite3.connect(path, isolation_level=None, timeout=10)
db.execute("pragma synchronous=off")
if checkpoint not in ("auto", "delete"):
    db.execute("pragma wal_autocheckpoint=0")
accounts = db.execute("select count(*) from accounts").fetchone()[0]


def transfer():
    db.execute("begin immediate")
    for _ in range(rng.randint(1, 20)):
        amount = rng.randint(1, 100)
        db.execute("update accounts set balance = balance - ? where id = ?", (amount, rng.randrange(accounts)))
        db.execute("update accounts set balance = balance + ? where id = ?", (amount, rng.randrange(accounts)))
    db.execute("insert into filler(x) values(randomblob(?))", (rng.randint(10, 9000),))
    db.execute("update clock set ticks = ticks + 1")
    db.execute("rollback" if rng.random() < 0.05 else "commit")


def sweep():
    db.execute("begin immediate")
    db.execute("delete from filler where abs(random()) % 10 < ?", (rng.randint(1, 9),))
    db.execute("update clock set ticks = ticks + 1")
    db.execute("commit")


def backfill():
    if checkpoint in ("auto", "none", "delete"):
        return
    modes = ["passive", "full", "restart", "truncate"]
    # A pin makes the stronger modes wait, with the write lock held.
    db.execute("pragma busy_timeout=20")
    db.execute("pragma wal_checkpoint(%s)" % (rng.choice(modes) if checkpoint == "mixed" else checkpoint))
    db.execute("pragma busy_timeout=10000")


def reshape():
    db.execute(rng.choice((
        "create index if not exists by_length on filler(length(x))",
        "drop index if exists by_length",
        "create table if not exists copy as select * from filler limit 50",
        "drop table if exists copy",
    )))


def act():
    dice = rng.random()
    try:
        if dice < 0.90:
            transfer()
        elif dice < 0.96:
            backfill()
        elif dice < 0.98:
            sweep()
        elif dice < 0.99:
            reshape()
        else:
            db.execute("vacuum")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        if db.in_transaction:
            db.execute("rollback")


print("ready", flush=True)
while not select.select([sys.stdin], [], [], rng.choice([0, 0, 0.001, 0.004]))[0]:
    act()
