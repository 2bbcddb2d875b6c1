"""Moves money between the accounts of a ledger until its input ends; then prints what it did.

usage: writer.py DATABASE SEED
"""
import random
import select
import sqlite3
import sys
import time

database, seed = sys.argv[1], int(sys.argv[2])
draw = random.Random(seed)
ledger = sqlite3.connect(database, isolation_level=None, timeout=60)
ledger.execute("PRAGMA synchronous = normal")
accounts = ledger.execute("SELECT count(*) FROM accounts").fetchone()[0]
commits, longest = 0, 0.0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], draw.random() * 0.01)[0]:
    began = time.monotonic()
    ledger.execute("BEGIN IMMEDIATE")
    for _ in range(draw.choice([1, 1, 1, 12])):
        giver, taker, amount = draw.randrange(accounts), draw.randrange(accounts), draw.randrange(100)
        ledger.execute("UPDATE accounts SET balance = balance - ? WHERE id = ?", (amount, giver))
        ledger.execute("UPDATE accounts SET balance = balance + ? WHERE id = ?", (amount, taker))
        ledger.execute("INSERT INTO entries(giver, taker, amount) VALUES (?, ?, ?)", (giver, taker, amount))
    # Some transactions never were.
    ledger.execute(draw.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))
    commits += 1
    longest = max(longest, time.monotonic() - began)
print(commits, longest, flush=True)
