#!/usr/bin/env python3
"""Change a chat database as an application would, then checkpoint it.

usage: touch_rows.py update|append DB FRACTION [SEED]

update  changes that fraction of the messages, scattered over the table and, as `created` is part of
        it, over the index
append  adds that fraction of the messages in new conversations, with their embeddings

Prints how many rows.
"""
import random
import sqlite3
import sys

from chat_db import Writer


def update(database, fraction, seed):
    """Returns how many messages were changed."""
    (last,) = database.execute("SELECT max(id) FROM message").fetchone()
    chosen = random.Random(seed).sample(range(1, last + 1), round(last * fraction))
    database.executemany(
        "UPDATE message SET author = 'edited', created = created + 1 WHERE id = ?",
        ((message,) for message in chosen),
    )
    return len(chosen)


def append(database, fraction, seed):
    """Returns how many messages were added."""
    (last,) = database.execute("SELECT max(id) FROM message").fetchone()
    return Writer(database, seed).append(round(last * fraction))


def main(work, path, fraction, seed=2):
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("BEGIN")
    rows = {"update": update, "append": append}[work](database, float(fraction), int(seed))
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    database.close()
    print(rows)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5) or sys.argv[1] not in ("update", "append"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
