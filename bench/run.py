#!/usr/bin/env python3
"""Measure lifeboat beside other backup tools and print Markdown tables for docs/benchmarks.md.

See bench/README.md for what is measured and how.
"""
import argparse
import contextlib
import hashlib
import json
import os
import platform
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from tools import TOOLS, Lifeboat, used_bytes

HERE = Path(__file__).resolve().parent
MIB = 1 << 20
RESTORE = "restore to a file"
UNVERIFIED = "lifeboat, no integrity check"


def fail(message):
    sys.exit(f"bench: {message}")


class Bench:
    """One database size: its databases, the tools' repositories, and what was measured."""

    def __init__(self, root, tools, quiet):
        self.root, self.tools, self.quiet = root, tools, quiet
        self.base = root / "base.db"
        # The file tools are given this directory. It also holds a small file newer than the
        # database: borg reads the newest file of every backup again, changed or not.
        self.source = root / "source"
        self.database = self.source / "chat.db"
        self.samples = defaultdict(list)
        self.local_state = {}
        self.notes = {}

    def say(self, text):
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def measure(self, command, env, cwd):
        """Run a command; wall and CPU seconds and peak resident bytes, all descendants included."""
        os.sync()
        peak = self.root / "peak"
        # GNU time is small itself. A child of this process would start with this process's peak.
        began = time.perf_counter()
        process = subprocess.Popen(
            ["/usr/bin/time", "-q", "-f", "%M", "-o", peak, *command],
            env=env, cwd=cwd, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=open(self.root / "errors", "wb"),
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            fail(f"{command}\nfailed:\n{(self.root / 'errors').read_text()}")
        return {
            "wall": wall,
            "cpu": usage.ru_utime + usage.ru_stime,
            "peak": int(peak.read_text()) << 10,
        }

    def change(self, work, fraction, seed):
        """Change the database in a process of its own; returns how many rows."""
        script = [sys.executable, HERE / "touch_rows.py", work, self.database, str(fraction), str(seed)]
        rows = int(subprocess.run(script, check=True, stdout=subprocess.PIPE).stdout)
        self.newer_file()
        return rows

    def newer_file(self):
        time.sleep(0.02)
        (self.source / "newer").write_text(str(time.time_ns()))

    def backup(self, step, first):
        """Every tool backs up the database as it is. `first` rotates who begins."""
        for tool in self.tools[first:] + self.tools[:first]:
            before = used_bytes(tool.repository)
            sample = self.measure(tool.backup(self.source, self.database), tool.env, self.root)
            sample["stored"] = used_bytes(tool.repository) - before + tool.replaced_bytes()
            self.samples[step, tool.name].append(sample)
            self.say(f"  {step}: {tool.name} {sample['wall']:.3f} s, {sample['stored'] / MIB:.1f} MiB")

    def restore(self, first):
        expected = digest(self.database)
        for tool in self.tools[first:] + self.tools[:first]:
            jobs = [(tool.name, tool.restore)]
            if isinstance(tool, Lifeboat):
                jobs.append((UNVERIFIED, tool.restore_unverified))
            for name, command in jobs:
                target = self.root / "target"
                target.mkdir()
                sample = self.measure(command(self.source, self.database, target), tool.env, target)
                self.samples[RESTORE, name].append(sample)
                self.say(f"  {RESTORE}: {name} {sample['wall']:.3f} s")
                restored = next(target.rglob("chat.db"))
                # The script's copy need not be the same bytes, only the same rows.
                if digest(restored) != expected and (tool.exact or rows(restored) != rows(self.database)):
                    fail(f"{name} restored something else")
                shutil.rmtree(target)

    def round(self, number, options):
        self.say(f"round {number + 1}")
        shutil.rmtree(self.source, ignore_errors=True)
        self.source.mkdir()
        shutil.copyfile(self.base, self.database)
        # Nobody trusts file times that are younger than the steps of coarse clocks.
        time.sleep(2)
        self.newer_file()
        for tool in self.tools:
            tool.start(self.root)
        first = number % len(self.tools)
        self.backup("first backup", first)
        if not options.only_whole:
            self.changes(number, first, options)
        self.restore(first)
        for tool in self.tools:
            self.local_state[tool.name] = used_bytes(tool.state)
            tool.stop()

    def changes(self, number, first, options):
        self.backup("unchanged", first)
        with application(self.database):
            self.newer_file()
            self.backup("opened by an application", first)
            self.newer_file()
            self.backup("unchanged, open in an application", first)
        updated = self.change("update", options.fraction, number + 2)
        step = f"after {updated:,} scattered row updates"
        if number == 0:
            self.notes["changed"] = changed_pages(self.base, self.database)
        self.backup(step, first)
        appended = self.change("append", 0.01, number + 2)
        self.backup(f"after appending {appended:,} rows (1 %)", first)

    def run(self, mebibytes, options):
        self.say(f"writing a database of {mebibytes} MiB")
        script = [sys.executable, HERE / "chat_db.py", self.base, str(mebibytes), str(options.seed)]
        subprocess.run(script, check=True)
        for number in range(options.rounds):
            self.round(number, options)

    def steps(self):
        return dict.fromkeys(step for step, _ in self.samples)

    def table(self):
        """The medians, each beside its ratio to lifeboat's."""
        lines = [
            "| work | tool | wall s | × | CPU s | × | peak MiB | stored | × |",
            "|---|---|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for step in self.steps():
            ours = self.medians(step, Lifeboat.name)
            for name in dict.fromkeys(name for of, name in self.samples if of == step):
                theirs = self.medians(step, name)
                cells = [step, name]
                for column, unit, digits in (("wall", 1, 3), ("cpu", 1, 3)):
                    cells += [figure(theirs[column] / unit, digits), ratio(theirs, ours, column)]
                cells.append(figure(theirs["peak"] / MIB, 0))
                stored = "stored" in theirs
                cells += [size(theirs["stored"]), ratio(theirs, ours, "stored")] if stored else ["–", "–"]
                lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def medians(self, step, name):
        samples = self.samples[step, name]
        return {
            column: statistics.median(sample[column] for sample in samples) for column in samples[0]
        }


@contextlib.contextmanager
def application(path):
    """A database that is in use: it has a WAL with a commit in it, and nobody writes any more."""
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("UPDATE message SET author = author || '.' WHERE id = 1")
        yield
    finally:
        database.close()


def figure(value, digits):
    return f"{value:,.{digits}f}"


def ratio(theirs, ours, column):
    if ours[column] <= 0:
        return "–"
    times = theirs[column] / ours[column]
    return figure(times, 2 if times < 10 else 1 if times < 100 else 0)


def size(count):
    return f"{count / MIB:,.1f} MiB" if count >= MIB else f"{count / 1024:,.1f} KiB"


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def rows(path):
    """What the tables hold, summed up."""
    database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    return database.execute(
        "SELECT count(*), sum(created), sum(length(body)), (SELECT count(*) FROM embedding) FROM message"
    ).fetchone()


def changed_pages(before, after):
    """How many pages differ or are new, and what `zstd -1` makes of them."""
    count, page = 0, 4096
    zstd = subprocess.Popen(
        ["zstd", "-1", "-q", "-c"], stdin=subprocess.PIPE, stdout=(out := tempfile.TemporaryFile())
    )
    with open(before, "rb") as old, open(after, "rb") as new, zstd.stdin as pipe:
        while block := new.read(page):
            if block != old.read(page):
                count += 1
                pipe.write(block)
    zstd.wait()
    return count, count * page, os.fstat(out.fileno()).st_size


def build():
    """Build the release binary and return its path."""
    command = ["cargo", "build", "--release", "--locked", "-p", "lifeboat-cli", "--message-format=json"]
    output = subprocess.run(command, cwd=HERE.parent, check=True, stdout=subprocess.PIPE).stdout
    messages = map(json.loads, output.splitlines())
    return next(m["executable"] for m in messages if m.get("executable"))


def machine(directory):
    model = next(
        (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", directory], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores ({model}), {memory} GiB of memory, {system}, Linux {platform.release()}; "
        f"databases and repositories on {kind}"
    )


def commit():
    command = ["git", "describe", "--always", "--dirty"]
    found = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True)
    return f" ({found.stdout.strip()})" if found.returncode == 0 else ""


def parser(description):
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)


def parse(arguments, room):
    """The options of one program, and those that all of them have. `room` says what the directory wants."""
    arguments.add_argument("--dir", default="/dev/shm", help=f"work here{room} [/dev/shm]")
    arguments.add_argument("--tools", help="only these besides lifeboat, separated by commas")
    arguments.add_argument("--lifeboat", help="a binary to measure, instead of building one")
    arguments.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    return arguments.parse_args()


def prepare(options, tools, needed):
    """The tools that are wanted, of which the first is lifeboat; whatever else is needed must be there."""
    for program in needed:
        if not shutil.which(program):
            fail(f"{program} is missing")
    lifeboat = tools[0]
    lifeboat.binary = os.path.abspath(options.lifeboat or build())
    # A terminated run removes its files too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = options.tools.split(",") if options.tools is not None else None
    return [tool for tool in tools if tool is lifeboat or chosen is None or tool.name in chosen]


def arguments():
    found = parser(__doc__)
    found.add_argument("--sizes", default="100", help="MiB of the databases, separated by commas [100]")
    found.add_argument("--rounds", type=int, default=3, help="measure this often, print medians [3]")
    found.add_argument("--fraction", type=float, default=0.001, help="of the rows to update [0.001]")
    found.add_argument("--only-whole", action="store_true", help="only a first backup and a restore")
    found.add_argument("--seed", type=int, default=1, help="of the database [1]")
    return parse(found, "; wants about 9 times the size")


def main():
    options = arguments()
    wanted = prepare(options, TOOLS, ["/usr/bin/time", "zstd"])
    tables = []
    for mebibytes in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="lifeboat-bench-", dir=options.dir) as root:
            bench = Bench(Path(root), [tool() for tool in wanted if tool.available()], options.quiet)
            bench.run(mebibytes, options)
            tables.append(report(mebibytes, bench))
    print_report(wanted, options, tables)


def print_report(wanted, options, tables):
    print(f"Machine: {machine(options.dir)}.\n")
    print(f"Rounds: {options.rounds}, the tools taking turns in each; medians. × is the ratio to lifeboat.\n")
    print_versions(wanted, options)
    print("\n" + "\n\n".join(tables))


def print_versions(wanted, options):
    """What was measured, and what of it is missing here."""
    for tool in wanted:
        if not tool.available():
            print(f"- {tool.name}: not measured, it is not installed")
            continue
        extra = commit() if issubclass(tool, Lifeboat) and not options.lifeboat else ""
        print(f"- {tool.name}: {tool.version()}{extra}")


def report(mebibytes, bench):
    states = ", ".join(f"{name} {size(used)}" for name, used in bench.local_state.items() if used)
    changed = ""
    if "changed" in bench.notes:
        pages, page_bytes, packed = bench.notes["changed"]
        changed = (
            f"The row updates changed {pages:,} pages, {size(page_bytes)}; `zstd -1` alone makes "
            f"{size(packed)} of them. "
        )
    return (
        f"### {mebibytes:,} MiB\n\n{bench.table()}\n\n"
        f"{changed}Local state and caches after a round: {states or 'none'}."
    )


if __name__ == "__main__":
    main()
