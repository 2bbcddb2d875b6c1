#!/usr/bin/env python3
"""Back up trees of files: many small ones, large ones, and media that does not compress.

Each tool makes a first backup, one when nothing has changed, one after some changes, and a restore into an empty
directory, which is compared with the source. Prints Markdown for docs/benchmarks.md.
"""
import filecmp
import os
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from run import MIB, Bench, fail, parse, parser, prepare, print_report
from tools import BorgLz4, BorgZstd, Lifeboat, Restic, Rustic, used_bytes

DIRECTORIES = 1000


class FilesLifeboat(Lifeboat):
    def backup(self, source, database):
        return [self.binary, "-q", "backup", source]

    def restore(self, source, database, target):
        return [self.binary, "-q", "restore", "--target", target]


class FilesRestic(Restic):
    def restore(self, source, database, target):
        return ["restic", "-q", "restore", "latest", "--target", target]


class FilesRustic(Rustic):
    def restore(self, source, database, target):
        return ["rustic", "restore", "latest", target]


class FilesBorgLz4(BorgLz4):
    def restore(self, source, database, target):
        return ["borg", "extract", f"::{self.archives}"]


class FilesBorgZstd(BorgZstd, FilesBorgLz4):
    pass


TOOLS = [FilesLifeboat, FilesRustic, FilesRestic, FilesBorgLz4, FilesBorgZstd]


def noise(path, size, seed, text):
    """Bytes that never repeat; as text, a quarter of them can be compressed away."""
    key = f"{seed:032x}"
    stages = [f"head -c {size} /dev/zero", f"openssl enc -aes-128-ctr -K {key} -iv {key}"]
    if text:
        stages.append(f"base64 | head -c {size}")
    with open(path, "wb") as out:
        subprocess.run(["sh", "-c", " | ".join(stages)], stdout=out, stderr=subprocess.DEVNULL, check=False)
    if os.path.getsize(path) != size:
        fail(f"could not write {path}")


class Small:
    name = "small"

    def __init__(self, scale):
        self.count = max(DIRECTORIES, int(100_000 * scale))

    def describe(self):
        return f"{self.count:,} files of 100 bytes to 8 KiB in {DIRECTORIES:,} directories"

    def content(self, dice):
        words = (f"{dice.randrange(1 << 20):x}" for _ in range(dice.randrange(16, 1300)))
        return " ".join(words).encode()

    def write(self, source):
        dice = random.Random(1)
        for number in range(self.count):
            directory = source / f"{number % DIRECTORIES:03d}"
            directory.mkdir(exist_ok=True)
            (directory / f"{number}.txt").write_bytes(self.content(dice))

    def change(self, source):
        dice = random.Random(2)
        for number in dice.sample(range(self.count), self.count // 100):
            path = source / f"{number % DIRECTORIES:03d}" / f"{number}.txt"
            path.write_bytes(self.content(dice))
        return f"after {self.count // 100:,} files were written anew"


class Large:
    name, text, count = "large", True, 10

    def __init__(self, scale):
        self.size = int(512 * scale) * MIB

    def describe(self):
        return f"{self.count} files of {self.size // MIB} MiB of text"

    def write(self, source):
        for number in range(self.count):
            noise(source / str(number), self.size, number + 1, self.text)

    def change(self, source):
        for number in range(3):
            with open(source / str(number), "r+b") as file:
                file.seek(self.size // 2)
                file.write(os.urandom(MIB))
                file.seek(0, os.SEEK_END)
                file.write(os.urandom(MIB))
        return "after 1 MiB in the middle of 3 files was overwritten and 1 MiB appended to each"


class Media(Large):
    name, text, count = "media", False, 20

    def __init__(self, scale):
        self.size = int(100 * scale) * MIB

    def describe(self):
        return f"{self.count} files of {self.size // MIB} MiB that do not compress"

    def change(self, source):
        noise(source / "new", self.size, 99, self.text)
        return "after one more file came"


KINDS = {kind.name: kind for kind in (Small, Large, Media)}


class FilesBench(Bench):
    """The same measuring, with trees in the place of a database."""

    def __init__(self, root, tools, quiet, kind):
        super().__init__(root, tools, quiet)
        self.kind = kind

    def settle(self):
        """Nobody trusts file times that are younger than the steps of coarse clocks."""
        time.sleep(2)
        self.newer_file()

    def restore(self, first):
        for tool in self.tools[first:] + self.tools[:first]:
            target = self.root / "target"
            target.mkdir()
            sample = self.measure(tool.restore(self.source, None, target), tool.env, target)
            self.samples["restore", tool.name].append(sample)
            self.say(f"  restore: {tool.name} {sample['wall']:.3f} s")
            found = target / str(self.source).lstrip("/")
            same_tree(self.source, found if found.is_dir() else target)
            shutil.rmtree(target)

    def round(self, number, _options):
        self.say(f"round {number + 1}")
        shutil.rmtree(self.source, ignore_errors=True)
        self.source.mkdir()
        self.kind.write(self.source)
        self.settle()
        for tool in self.tools:
            tool.start(self.root)
        first = number % len(self.tools)
        self.backup("first backup", first)
        self.settle()
        self.backup("unchanged", first)
        step = self.kind.change(self.source)
        self.settle()
        self.backup(step, first)
        self.restore(first)
        for tool in self.tools:
            self.local_state[tool.name] = used_bytes(tool.state)
            tool.stop()

    def run(self, rounds):
        for number in range(rounds):
            self.round(number, None)


def same_tree(one, other):
    compared = filecmp.dircmp(one, other, ignore=["newer"])
    different = compared.left_only + compared.right_only + compared.funny_files
    _, wrong, errors = filecmp.cmpfiles(one, other, compared.common_files, shallow=False)
    if different or wrong or errors:
        fail(f"{other} is not {one}: {(different + wrong + errors)[:3]}")
    for name in compared.common_dirs:
        same_tree(one / name, other / name)


def arguments():
    found = parser(__doc__)
    found.add_argument("--kinds", default=",".join(KINDS), help="which trees [small,large,media]")
    found.add_argument("--scale", type=float, default=1.0, help="of the trees [1]")
    found.add_argument("--rounds", type=int, default=1, help="measure this often, print medians [1]")
    return parse(found, "; wants 7 times 5 GiB")


def main():
    options = arguments()
    wanted = prepare(options, TOOLS, ["/usr/bin/time", "openssl"])
    tables = []
    for name in options.kinds.split(","):
        kind = KINDS[name](options.scale)
        with tempfile.TemporaryDirectory(prefix="lifeboat-bench-", dir=options.dir) as root:
            tools = [tool() for tool in wanted if tool.available()]
            bench = FilesBench(Path(root), tools, options.quiet, kind)
            bench.run(options.rounds)
            tables.append(f"### {kind.describe()}\n\n{bench.table()}")
    print_report(wanted, options, tables)


if __name__ == "__main__":
    main()
