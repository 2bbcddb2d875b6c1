#!/usr/bin/env python3
"""What continuous protection costs and how close behind it is.

usage: bench/replicate.py [--lifeboat BIN] [--seconds N] [--dir DIR] [--only PART[,PART]]

Parts: throughput, latency, idle, many, follow, wal. Writers are processes of their own; every comparison is
made in turns within one run. Prints one Markdown table.
"""
import argparse
import json
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

WRITER = r"""
import sqlite3, sys, time
path, seconds, pace, size = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
db = sqlite3.connect(path, isolation_level=None, timeout=30)
db.execute('pragma synchronous=normal')
rows = db.execute('select max(id) from t').fetchone()[0] or 1
begin, n, blob = time.time(), 0, b'x' * size
while (now := time.time()) - begin < seconds:
    if n % 4:
        db.execute('update t set at = ?, body = ? where id = ?', (now, blob, 1 + n * 7919 % rows))
    else:
        db.execute('insert into t(at, body) values(?, ?)', (now, blob))
    n += 1
    if pace:
        wait = begin + n / pace - time.time()
        if wait > 0:
            time.sleep(wait)
print(n / (time.time() - begin))
"""


def make(path, rows=20000):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute("create table t(id integer primary key, at real, body blob)")
    db.execute("begin")
    db.executemany("insert into t(at, body) values(0, ?)", ((os.urandom(300),) for _ in range(rows)))
    db.execute("commit")
    db.close()


def write(path, seconds, pace=0, size=200):
    command = [sys.executable, "-c", WRITER, path, str(seconds), str(pace), str(size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


class Replication:
    """`lifeboat replicate` beside the writers, and what it says."""

    def __init__(self, lifeboat, home, sources, *options):
        self.env = {**os.environ, "HOME": home}
        command = [lifeboat, "replicate", "--json", "-v", *options, *sources]
        self.process = subprocess.Popen(command, cwd=home, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.events = []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            event = json.loads(line)
            event["heard"] = time.time()
            self.events.append(event)

    def of(self, kind):
        return [event for event in self.events if event["message_type"] == kind]

    def status(self, lifeboat):
        out = subprocess.run([lifeboat, "status", "--json"], env=self.env, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(out.stdout)["databases"]

    def wait(self, lifeboat, count=1):
        while sum(1 for one in self.status(lifeboat) if any(r["protected_txid"] for r in one["repositories"])) < count:
            time.sleep(0.2)

    def cpu(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field="RssAnon"):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024

    def wakeups(self):
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            for line in open(f"/proc/{self.process.pid}/task/{task}/status"):
                if line.startswith("voluntary_ctxt_switches"):
                    total += int(line.split()[1])
        return total

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def percentiles(values):
    values = sorted(values)
    at = lambda share: values[min(len(values) - 1, int(len(values) * share))]
    return f"p50 {at(0.5):.2f} s, p99 {at(0.99):.2f} s"


def throughput(bench):
    """Commits a second with and without, in turns."""
    results = {}
    for pace in (0, 1000):
        alone, beside, cpu = [], [], []
        for turn in range(3):
            home = bench.home()
            path = f"{home}/app.db"
            make(path)
            alone.append(float(write(path, bench.seconds, pace).communicate()[0]))
            replication = Replication(bench.lifeboat, home, ["app.db"])
            replication.wait(bench.lifeboat)
            before = replication.cpu()
            beside.append(float(write(path, bench.seconds, pace).communicate()[0]))
            cpu.append((replication.cpu() - before) / bench.seconds)
            memory = replication.memory("VmHWM")
            replication.stop()
        name = f"{pace} commits/s asked for" if pace else "as many commits as possible"
        ratio = statistics.median(b / a for a, b in zip(alone, beside))
        bench.row(f"writer, {name}", f"{statistics.median(alone):,.0f}/s alone, {statistics.median(beside):,.0f}/s beside: {ratio:.3f}")
        bench.row(f"CPU of the replication, {name}", f"{statistics.median(cpu) * 100:.1f} % of a core, {memory:.0f} MiB at most")


def latency(bench):
    """From commit to captured and to protected; bytes stored for bytes changed."""
    home = bench.home()
    path = f"{home}/app.db"
    make(path)
    replication = Replication(bench.lifeboat, home, ["app.db"])
    replication.wait(bench.lifeboat)
    repository = f"{home}/.local/share/lifeboat/repository"
    stored = lambda: sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(repository) for f in fs)
    before = stored()
    writer = write(path, bench.seconds, 100)
    commits, begin = [], time.time()
    writer.communicate()
    time.sleep(2.5)
    db = sqlite3.connect(path)
    commits = [row[0] for row in db.execute("select at from t where at > ? order by at", (begin,))]
    pages = db.execute("pragma page_size").fetchone()[0]
    db.close()
    heard = {}
    for kind in ("captured", "protected"):
        events = [(event["heard"], event["txid"]) for event in replication.of(kind)]
        times = sorted(moment for moment, _ in events)
        waits = []
        for commit in commits:
            later = [moment for moment in times if moment >= commit]
            # An event right after a commit may be of the capture before; the next one has it for certain.
            if later:
                waits.append(later[0] - commit)
        bench.row(f"{kind} after a commit, 100 commits/s", percentiles(waits))
        heard[kind] = len(events)
    spooled = sum(event["spooled_bytes"] for event in replication.of("captured"))
    sent = sum(event["sent_bytes"] for event in replication.of("protected"))
    bench.row("stored for each byte of changed pages", f"{sent / spooled:.2f} ({heard['protected']} objects, {sent / 1e6:.1f} MB of {spooled / 1e6:.1f} MB; pages of {pages})")
    bench.row("objects written for each hour of writing", f"{heard['protected'] * 3600 / bench.seconds:,.0f}")
    replication.stop()


def idle(bench):
    """Nothing happens for a while."""
    home = bench.home()
    make(f"{home}/app.db")
    open(f"{home}/lifeboat.toml", "w").write("[replicate]\nidle = '2s'\n")
    replication = Replication(bench.lifeboat, home, ["app.db"])
    replication.wait(bench.lifeboat)
    time.sleep(12)
    before, cpu = replication.wakeups(), replication.cpu()
    time.sleep(60)
    bench.row("idle for a minute", f"{replication.wakeups() - before} wake-ups, {replication.cpu() - cpu:.2f} s CPU, {replication.memory():.1f} MiB, {len(os.listdir(f'/proc/{replication.process.pid}/fd'))} descriptors")
    replication.stop()


def many(bench, count=1000, active=10):
    home = bench.home()
    os.mkdir(f"{home}/data")
    for number in range(count):
        make(f"{home}/data/db{number:04}.db", rows=20)
    open(f"{home}/lifeboat.toml", "w").write("[replicate]\nidle = '2s'\n")
    begin = time.time()
    replication = Replication(bench.lifeboat, home, ["data"])
    replication.wait(bench.lifeboat, count)
    began = time.time() - begin
    time.sleep(10)
    cpu = replication.cpu()
    writers = [write(f"{home}/data/db{number:04}.db", bench.seconds, 20) for number in range(active)]
    for writer in writers:
        writer.communicate()
    used = (replication.cpu() - cpu) / bench.seconds
    threads = len(os.listdir(f"/proc/{replication.process.pid}/task"))
    descriptors = len(os.listdir(f"/proc/{replication.process.pid}/fd"))
    bench.row(f"{count:,} databases, {active} written to", f"{replication.memory('VmRSS'):.0f} MiB resident ({replication.memory('VmHWM'):.0f} at most), {threads} threads, {descriptors} descriptors, {used * 100:.0f} % of a core; {began:.0f} s until all were stored")
    replication.stop()


def follow(bench):
    home = bench.home()
    make(f"{home}/app.db")
    replication = Replication(bench.lifeboat, home, ["app.db"])
    replication.wait(bench.lifeboat)
    follower = subprocess.Popen([bench.lifeboat, "follow", "app", "--target", "copy.db", "-q"], cwd=home, env=replication.env)
    while not os.path.exists(f"{home}/copy.db-lifeboat"):
        time.sleep(0.1)
    writer = write(f"{home}/app.db", bench.seconds, 50)
    lags, copy = [], sqlite3.connect(f"file:{home}/copy.db?mode=ro", uri=True, timeout=10)
    while writer.poll() is None:
        newest = copy.execute("select max(at) from t").fetchone()[0]
        if newest:
            lags.append(time.time() - newest)
        time.sleep(0.02)
    bench.row("a followed copy is behind by", percentiles(lags[len(lags) // 10:]))
    follower.terminate()
    follower.wait()
    replication.stop()


def wal(bench):
    for checkpoints in (True, False):
        home = bench.home()
        path = f"{home}/app.db"
        make(path)
        sizes = {}
        for beside in (False, True):
            replication = Replication(bench.lifeboat, home, ["app.db"]) if beside else None
            if replication:
                replication.wait(bench.lifeboat)
            text = WRITER if checkpoints else WRITER.replace("synchronous=normal'", "synchronous=normal')\ndb.execute('pragma wal_autocheckpoint=0'")
            writers = [subprocess.Popen([sys.executable, "-c", text, path, str(bench.seconds), "0", "3000"], stdout=subprocess.DEVNULL) for _ in range(2)]
            largest = 0
            while any(writer.poll() is None for writer in writers):
                if os.path.exists(path + "-wal"):
                    largest = max(largest, os.path.getsize(path + "-wal"))
                time.sleep(0.02)
            sizes[beside] = largest / (1 << 20)
            if replication:
                replication.stop()
        what = "automatic checkpoints" if checkpoints else "no checkpoints of the application"
        bench.row(f"largest WAL, two writers at full speed, {what}", f"{sizes[False]:.0f} MiB alone, {sizes[True]:.0f} MiB beside (limit 64 MiB)")


PARTS = {part.__name__: part for part in (throughput, latency, idle, many, follow, wal)}


class Bench:
    def __init__(self, arguments):
        self.lifeboat, self.seconds = os.path.abspath(arguments.lifeboat), arguments.seconds
        self.directory = tempfile.mkdtemp(prefix="lifeboat-bench-", dir=arguments.dir)

    def home(self):
        return tempfile.mkdtemp(dir=self.directory)

    def row(self, what, result):
        print(f"| {what} | {result} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lifeboat", default="target/release/lifeboat")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--dir", help="where databases and repositories go")
    parser.add_argument("--only", default=",".join(PARTS))
    bench = Bench(parser.parse_args())
    arguments = parser.parse_args()
    print("| what | result |\n|---|---|")
    try:
        for name in arguments.only.split(","):
            PARTS[name](bench)
    finally:
        shutil.rmtree(bench.directory, ignore_errors=True)


if __name__ == "__main__":
    main()
