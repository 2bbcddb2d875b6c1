#!/usr/bin/env python3
"""Backs up to Garage, a real S3 server of several nodes, by hand: one node, then three of which one is killed.

Wants `garage` 2.x (cargo install garage --locked) and a release build of lifeboat. Prints what holds; exits with 1
if something does not.

    python3 bench/garage.py --garage ~/.cargo/bin/garage --mib 64
"""

import argparse
import os
import pathlib
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

BASE_PORT = 39100


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--garage", default="garage", help="the program")
    parser.add_argument("--lifeboat", default="target/release/lifeboat", help="the program")
    parser.add_argument("--mib", type=int, default=64, help="size of the database")
    return parser.parse_args()


class Cluster:
    """Nodes of Garage on this machine, each object kept on `copies` of them."""

    def __init__(self, program, directory, nodes, copies):
        self.program, self.directory, self.processes = program, directory, {}
        secret = secrets.token_hex(32)
        for number in range(nodes):
            node = directory / f"node{number}"
            node.mkdir()
            rpc, api, admin = (BASE_PORT + 10 * number + kind for kind in range(3))
            (node / "garage.toml").write_text(
                f"""
metadata_dir = "{node}/meta"
data_dir = "{node}/data"
db_engine = "sqlite"
replication_factor = {copies}
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{secret}"
[s3_api]
s3_region = "garage"
api_bind_addr = "127.0.0.1:{api}"
root_domain = ".s3.garage"
[admin]
api_bind_addr = "127.0.0.1:{admin}"
"""
            )
            self.start(number)
        try:
            self.set_up(nodes)
        except BaseException:
            self.stop()
            raise

    def set_up(self, nodes):
        ids = [self.wait_for(number) for number in range(nodes)]
        for number, name in enumerate(ids[1:], 1):
            self.ask("node", "connect", f"{name}@127.0.0.1:{BASE_PORT + 10 * number}")
        for number, name in enumerate(ids):
            self.ask("layout", "assign", "-z", f"zone{number}", "-c", "1G", name[:16])
        self.ask("layout", "apply", "--version", "1")
        time.sleep(2)
        self.ask("bucket", "create", "lifeboat")
        key = self.ask("key", "create", "pi")
        self.ask("bucket", "allow", "--read", "--write", "lifeboat", "--key", "pi")
        self.key_id = re.search(r"Key ID:\s*(\S+)", key).group(1)
        self.secret = re.search(r"Secret key:\s*(\S+)", key).group(1)

    def start(self, number):
        node = self.directory / f"node{number}"
        log = open(node / "log", "a")
        command = [self.program, "-c", node / "garage.toml", "server"]
        self.processes[number] = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self, number):
        self.processes[number].send_signal(signal.SIGKILL)
        self.processes[number].wait()

    def stop(self):
        for process in self.processes.values():
            process.kill()
            process.wait()

    def ask(self, *arguments, node=0):
        command = [self.program, "-c", self.directory / f"node{node}" / "garage.toml", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def wait_for(self, number):
        for _ in range(100):
            try:
                self.ask("status", node=number)
                return self.ask("node", "id", "-q", node=number).split("@")[0].strip()
            except subprocess.CalledProcessError:
                time.sleep(0.2)
        sys.exit(f"node {number} does not start")

    def environment(self, home, node=0):
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "garage",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{BASE_PORT + 10 * node + 1}",
            "LIFEBOAT_REPOSITORY": "s3://lifeboat/pi4",
            "LIFEBOAT_PASSWORD": "correct horse battery staple",
        }


class Host:
    """A machine with a database, and what it runs."""

    def __init__(self, lifeboat, home, environment, mib):
        self.lifeboat, self.home, self.environment = lifeboat, home, environment
        self.database = home / "chat.db"
        self.connection = sqlite3.connect(self.database)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, body BLOB)")
        self.connection.executemany(
            "INSERT INTO message (body) VALUES (?)", ((os.urandom(2000),) for _ in range(mib * 500))
        )
        self.connection.commit()

    def change(self):
        self.connection.execute("UPDATE message SET body = randomblob(2000) WHERE id % 997 = 0")
        self.connection.commit()

    def run(self, *arguments, expected=0):
        began = time.monotonic()
        command = [self.lifeboat, *arguments]
        done = subprocess.run(command, env=self.environment, cwd=self.home, capture_output=True, text=True)
        took = time.monotonic() - began
        last = (done.stdout.strip().splitlines() or [""])[-1]
        print(f"{took:7.1f} s  exit {done.returncode}  lifeboat {' '.join(arguments)}: {last}")
        if done.returncode != expected:
            print(done.stdout, done.stderr)
            sys.exit(1)
        return done.stdout

    def check_and_restore(self):
        self.run("check", "--read-data")
        target = self.home / "restored.db"
        self.run("restore", "chat", "--target", str(target))
        query = "SELECT count(*), sum(length(body)), max(hex(body)) FROM message"
        ours = self.connection.execute(query).fetchone()
        restored = sqlite3.connect(target)
        theirs = restored.execute(query).fetchone()
        restored.close()
        target.unlink()
        if ours != theirs:
            sys.exit("the restored database differs")


def first_backup(arguments, cluster):
    """A host that has made a backup in the cluster."""
    home = cluster.directory / "home"
    home.mkdir()
    host = Host(arguments.lifeboat, home, cluster.environment(home), arguments.mib)
    host.run("init")
    host.run("backup", "chat.db")
    return host


def one_node(arguments, directory):
    print("one node")
    cluster = Cluster(arguments.garage, directory, nodes=1, copies=1)
    try:
        host = first_backup(arguments, cluster)
        host.change()
        host.run("backup", "chat.db")
        host.run("backup", "chat.db")
        host.check_and_restore()
        host.run("forget", "--keep-last", "1")
        host.run("prune", "--grace", "0")
        host.run("prune", "--grace", "0")
        host.check_and_restore()
        host.run("doctor", "-q")
    finally:
        cluster.stop()


def three_nodes(arguments, directory):
    print("three nodes, each object on all of them")
    cluster = Cluster(arguments.garage, directory, nodes=3, copies=3)
    try:
        host = first_backup(arguments, cluster)
        print("node 2 is killed")
        cluster.kill(2)
        host.change()
        host.run("backup", "chat.db")
        host.check_and_restore()
        print("node 2 is back, node 1 is killed")
        cluster.start(2)
        cluster.wait_for(2)
        time.sleep(5)
        cluster.kill(1)
        host.change()
        host.run("backup", "chat.db")
        host.check_and_restore()
        print("node 2 is killed, too: there is no majority")
        cluster.kill(2)
        host.change()
        host.run("backup", "chat.db", expected=1)
        print("both are back")
        cluster.start(1)
        cluster.start(2)
        cluster.wait_for(1)
        cluster.wait_for(2)
        time.sleep(10)
        host.run("backup", "chat.db")
        host.check_and_restore()
    finally:
        cluster.stop()


def main():
    arguments = parse_arguments()
    arguments.lifeboat = str(pathlib.Path(arguments.lifeboat).resolve())
    version = subprocess.run([arguments.garage, "--version"], capture_output=True, text=True).stdout
    print(version.strip())
    for work in (one_node, three_nodes):
        with tempfile.TemporaryDirectory(prefix="lifeboat-garage-") as directory:
            work(arguments, pathlib.Path(directory))


if __name__ == "__main__":
    main()
