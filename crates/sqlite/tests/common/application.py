"""Executes the statements of each line on a database; answers with the values they gave."""
import sqlite3
import sys

db = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    values = []
    for statement in line.split(";"):
        values += [str(value) for row in db.execute(statement) for value in row]
    print(" ".join(values), flush=True)
