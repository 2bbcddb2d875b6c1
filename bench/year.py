#!/usr/bin/env python3
"""Back up a growing chat database for a year, hourly or less often, with the same rules in every tool.

Time is simulated: lifeboat runs under faketime(1), the others are told the time of each backup. Every hour of
the day some messages are added and some edited, at night none, when nobody backs up either; after the last
backup of a day each tool forgets by 7 daily, 4 weekly, 12 monthly, and removes what nobody needs. The tools work
at the same time, so what is told is their CPU time. Prints Markdown for docs/benchmarks.md.

What a tool wrote is the size of every file of its repository that was not there, or was not the same, after a
command. Changed pages are those of 4 KiB that differ from an hour before; row bytes are what the application
inserted or overwrote in columns.
"""
import datetime
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import chat_db
from run import digest, fail, figure, machine, parse, parser, prepare, print_versions, size
from tools import BorgZstd, Lifeboat, Restic

KEEP = {"daily": 7, "weekly": 4, "monthly": 12}
AWAKE = range(7, 23)
PAGE = 4096


class YearLifeboat(Lifeboat):
    def settings(self):
        rules = ", ".join(f"{period} = {count}" for period, count in KEEP.items())
        config = self.root / "lifeboat.toml"
        config.write_text(f'[repository.year]\nurl = "{self.repository}"\nkeep = {{ {rules} }}\n')
        faked = {"TZ": "UTC", "NO_FAKE_STAT": "1", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        return {**super().settings(), "LIFEBOAT_REPOSITORY": "year", "LIFEBOAT_CONFIG": str(config), **faked}

    def backup_at(self, moment, database):
        return [["faketime", "-f", f"@{moment}", self.binary, "-q", "backup", database]]

    def last_backup_at(self, moment, database):
        """The last backup of a day cleans up."""
        (backup,) = self.backup_at(moment, database)
        return [[*backup, "--cleanup"]]

    def check(self):
        return [self.binary, "-q", "check", "--read-data"]

    def kept(self):
        backups = self.repository / "backups"
        return sum(1 for path in backups.rglob("*") if path.is_file())


class YearRestic(Restic):
    def backup_at(self, moment, database):
        return [["restic", "-q", "backup", "--time", moment, database]]

    def last_backup_at(self, moment, database):
        rules = [word for period, count in KEEP.items() for word in (f"--keep-{period}", str(count))]
        return [*self.backup_at(moment, database), ["restic", "-q", "forget", *rules, "--prune"]]

    def check(self):
        return ["restic", "-q", "check", "--read-data"]

    def kept(self):
        return len(list((self.repository / "snapshots").iterdir()))


class YearBorg(BorgZstd):
    name = "borg"

    def backup_at(self, moment, database):
        self.archives += 1
        create = ["borg", "create", "--compression", self.compression]
        return [[*create, "--timestamp", moment.replace(" ", "T"), f"::{self.archives}", database]]

    def last_backup_at(self, moment, database):
        rules = [word for period, count in KEEP.items() for word in (f"--keep-{period}", str(count))]
        return [*self.backup_at(moment, database), ["borg", "prune", *rules], ["borg", "compact"]]

    def check(self):
        return ["borg", "check", "--verify-data"]

    def kept(self):
        done = subprocess.run(["borg", "list", "--short"], env=self.env, stdout=subprocess.PIPE, check=True)
        return len(done.stdout.split())


class Application:
    """The chat that is backed up."""

    def __init__(self, path, seed):
        self.path, self.random = path, random.Random(seed)
        self.row_bytes = self.page_bytes = 0

    def hour(self, options):
        """Some messages more, some edited. Returns whether anything changed."""
        former = self.path.with_suffix(".former")
        shutil.copyfile(self.path, former)
        database = sqlite3.connect(self.path, isolation_level=None)
        database.execute("BEGIN")
        writer = chat_db.Writer(database, self.random.random())
        self.insert(database, writer, options.inserted)
        self.update(database, writer, options.updated)
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        database.close()
        self.page_bytes += differing_bytes(former, self.path)
        former.unlink()

    def insert(self, database, writer, count):
        last, conversation = database.execute("SELECT max(id), max(conversation) FROM message").fetchone()
        for message in range(last + 1, last + 1 + count):
            body = writer.text()
            row = (message, self.random.randint(max(1, conversation - 20), conversation), "user", body, message)
            database.execute("INSERT INTO message VALUES (?, ?, ?, ?, ?)", row)
            self.row_bytes += len(body) + 20
            if message % 4 == 0:
                vector = writer.random.randbytes(chat_db.EMBEDDING_BYTES)
                database.execute("INSERT INTO embedding VALUES (?, ?)", (message, vector))
                self.row_bytes += len(vector) + 4

    def update(self, database, writer, count):
        (last,) = database.execute("SELECT max(id) FROM message").fetchone()
        for _ in range(count):
            # Mostly what was said lately.
            recent = self.random.random() < 0.8
            message = self.random.randint(max(1, last - 500) if recent else 1, last)
            body = writer.text()
            database.execute("UPDATE message SET body = ? WHERE id = ?", (body, message))
            self.row_bytes += len(body)


def differing_bytes(before, after):
    count = 0
    with open(before, "rb") as old, open(after, "rb") as new:
        while block := new.read(256 * PAGE):
            other = old.read(256 * PAGE)
            if block != other:
                starts = range(0, len(block), PAGE)
                count += sum(block[at : at + PAGE] != other[at : at + PAGE] for at in starts)
    return count * PAGE


def files_of(directory):
    """Size and time of every file."""
    found = {}
    for parent, _, names in os.walk(directory):
        for name in names:
            state = os.lstat(path := os.path.join(parent, name))
            found[path] = (state.st_size, state.st_mtime_ns, state.st_ino)
    return found


class Measured:
    """What one tool did in the whole time."""

    def __init__(self, tool):
        self.tool = tool
        self.files, self.written = {}, 0
        self.backup_cpu = self.cleanup_cpu = self.most_bytes = 0

    def run(self, commands, column):
        for command in commands:
            with tempfile.TemporaryFile() as errors:
                process = subprocess.Popen(
                    command, env=self.tool.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
                )
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                if process.returncode != 0:
                    errors.seek(0)
                    raise RuntimeError(f"{command}\nfailed:\n{errors.read().decode(errors='replace')}")
            setattr(self, column, getattr(self, column) + usage.ru_utime + usage.ru_stime)
        files = files_of(self.tool.repository)
        new = (state for path, state in files.items() if self.files.get(path) != state)
        self.written += sum(state[0] for state in new)
        self.files = files
        self.most_bytes = max(self.most_bytes, self.bytes())

    def bytes(self):
        return sum(state[0] for state in self.files.values())


def simulate(root, tools, options):
    """All tools through the whole time; returns the application and what was measured."""
    source = root / "source"
    source.mkdir()
    database = source / "chat.db"
    chat_db.create(str(database), options.size, options.seed)
    application = Application(database, options.seed)
    measured = [Measured(tool) for tool in tools]
    for tool in tools:
        tool.start(root)
    # Ahead of the real clock: what is in a repository is never from the future.
    first = datetime.datetime.now(datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first += datetime.timedelta(days=1)
    for day in range(options.days):
        for hour in AWAKE:
            moment = (first + datetime.timedelta(days=day, hours=hour)).strftime("%Y-%m-%d %H:%M:%S")
            application.hour(options)
            if hour == AWAKE[-1]:
                at_once(measured, lambda one: one.run(one.tool.last_backup_at(moment, database), "cleanup_cpu"))
            elif (hour - AWAKE[0]) % options.every == 0:
                at_once(measured, lambda one: one.run(one.tool.backup_at(moment, database), "backup_cpu"))
        if not options.quiet:
            grown = ", ".join(f"{one.tool.name} {size(one.bytes())}" for one in measured)
            print(f"day {day + 1}: {size(database.stat().st_size)}; {grown}", file=sys.stderr, flush=True)
    for one in measured:
        verify(root, one.tool, source, database)
    return application, measured, database.stat().st_size


def at_once(measured, work):
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(work, one) for one in measured]:
            done.result()


def verify(root, tool, source, database):
    """Check all of the repository and restore the newest backup."""
    target = root / "target"
    target.mkdir()
    for command in (tool.check(), tool.restore(source, database, target)):
        done = subprocess.run(
            command, env=tool.env, cwd=target, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        if done.returncode != 0:
            fail(f"{command}\nfailed:\n{done.stderr.decode(errors='replace')}")
    if digest(next(target.rglob("chat.db"))) != digest(database):
        fail(f"{tool.name} restored something else")
    shutil.rmtree(target)


def table(application, measured):
    lines = [
        "| tool | kept | at the end | files | most | written | per changed page byte | per row byte | backups CPU s | cleanups CPU s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in measured:
        cells = [
            one.tool.name,
            str(one.tool.kept()),
            size(one.bytes()),
            f"{len(one.files):,}",
            size(one.most_bytes),
            size(one.written),
            figure(one.written / application.page_bytes, 2),
            figure(one.written / application.row_bytes, 2),
            figure(one.backup_cpu, 0),
            figure(one.cleanup_cpu, 0),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def arguments():
    found = parser(__doc__)
    found.add_argument("--days", type=int, default=365, help="how long [365]")
    found.add_argument("--every", type=int, default=1, help="back up every so many hours [1]")
    found.add_argument("--size", type=int, default=20, help="MiB of the database at first [20]")
    found.add_argument("--inserted", type=int, default=10, help="messages added in an hour [10]")
    found.add_argument("--updated", type=int, default=10, help="messages edited in an hour [10]")
    found.add_argument("--seed", type=int, default=1, help="of the database [1]")
    return parse(found, "")


def main():
    options = arguments()
    wanted = prepare(options, [YearLifeboat, YearRestic, YearBorg], ["faketime"])
    tools = [tool() for tool in wanted if tool.available()]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lifeboat-year-", dir=options.dir) as root:
        application, measured, database_bytes = simulate(Path(root), tools, options)
        rows = table(application, measured)
    print(f"Machine: {machine(options.dir)}.\n")
    print_versions(wanted, options)
    print(
        f"\n{options.days} days, a backup every {options.every} h by day, of a database that grew from {options.size} to "
        f"{size(database_bytes)}: {size(application.row_bytes)} in rows, "
        f"{size(application.page_bytes)} in pages. {time.monotonic() - began:,.0f} s.\n\n{rows}"
    )


if __name__ == "__main__":
    main()
