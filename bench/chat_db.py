#!/usr/bin/env python3
"""Write a chat database like those of assistants: text, embeddings, one secondary index, WAL mode.

usage: chat_db.py OUT MIB [SEED]

The same MIB and SEED give the same rows. The database is left checkpointed, without a WAL.
"""
import bisect
import os
import random
import sqlite3
import sys

SCHEMA = """
CREATE TABLE conversation (id INTEGER PRIMARY KEY, person TEXT NOT NULL, title TEXT NOT NULL);
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL,
    author TEXT NOT NULL,
    body TEXT NOT NULL,
    created INTEGER NOT NULL
);
CREATE TABLE embedding (message INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE INDEX message_by_time ON message (conversation, created);
"""
MESSAGES_PER_CONVERSATION = 100
EMBEDDING_BYTES = 1536
VOCABULARY = 8000
FIRST_SECOND = 1_700_000_000


class Writer:
    """Adds rows that depend on the seed and on what the database already holds."""

    def __init__(self, database, seed):
        self.database = database
        self.random = random.Random(seed)
        # The same words for every seed, and frequent words frequent, as in language.
        letters = random.Random("vocabulary")
        self.words = [
            "".join(letters.choices("etaoinshrdlu", k=letters.randint(2, 9))) for _ in range(VOCABULARY)
        ]
        total, self.weights = 0.0, []
        for rank in range(1, VOCABULARY + 1):
            total += 1 / rank
            self.weights.append(total)
        # Looking a number up here is a draw by weight, at a fifth of the price of random.choices.
        self.draws = [
            self.words[bisect.bisect(self.weights, total * at / 65536)] for at in range(65536)
        ]

    def text(self):
        count = self.random.randint(20, 200)
        numbers = memoryview(self.random.randbytes(2 * count)).cast("H")
        return " ".join(map(self.draws.__getitem__, numbers))

    def conversation(self, number):
        """Conversation `number` (from 1) with all its messages."""
        messages, embeddings = [], []
        first = (number - 1) * MESSAGES_PER_CONVERSATION + 1
        for message in range(first, first + MESSAGES_PER_CONVERSATION):
            author = "user" if message % 2 else "assistant"
            messages.append((message, number, author, self.text(), FIRST_SECOND + message))
            if message % 4 == 0:
                embeddings.append((message, self.random.randbytes(EMBEDDING_BYTES)))
        person = f"person{self.random.randint(1, 500)}"
        title = self.text()[:40]
        self.database.execute("INSERT INTO conversation VALUES (?, ?, ?)", (number, person, title))
        self.database.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?)", messages)
        self.database.executemany("INSERT INTO embedding VALUES (?, ?)", embeddings)

    def append(self, messages):
        """At least this many messages more, in new conversations. Returns how many."""
        (last,) = self.database.execute("SELECT max(id) FROM conversation").fetchone()
        conversations = -(-messages // MESSAGES_PER_CONVERSATION)
        for number in range(last + 1, last + 1 + conversations):
            self.conversation(number)
        return conversations * MESSAGES_PER_CONVERSATION


def create(path, mebibytes, seed):
    """Write a database of about this size."""
    if os.path.exists(path):
        os.remove(path)
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + SCHEMA)
    writer = Writer(database, seed)
    number = 0
    while os.path.getsize(path) < mebibytes << 20:
        database.execute("BEGIN")
        for number in range(number + 1, number + 21):
            writer.conversation(number)
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    database.close()


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    create(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else 1)
