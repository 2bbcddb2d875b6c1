"""The tools that bench/run.py compares: how each makes a repository, backs up, and restores.

A command is a list of arguments; it is run with the tool's `env`. Passwords are given there only.
"""
import os
import shutil
import subprocess

PASSWORD = "correct horse battery staple"


def used_bytes(directory):
    """The sizes of all files below a directory."""
    return sum(
        os.lstat(os.path.join(parent, name)).st_size
        for parent, _, names in os.walk(directory)
        for name in names
    )


class Tool:
    """What all have in common: a directory with a home, a repository and local state in it."""

    binary = ""
    # Whether a restored database must be the same bytes.
    exact = True

    def start(self, root):
        """Make an empty repository below `root`."""
        self.root = root / self.name.replace(" ", "-").replace(",", "-")
        self.repository, self.state = self.root / "repository", self.root / "state"
        self.state.mkdir(parents=True)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.state),
            "TMPDIR": str(self.root),
            "LANG": "C.UTF-8",
            **self.settings(),
        }
        if command := self.init():
            subprocess.run(
                command, env=self.env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )

    def stop(self):
        """Remove everything."""
        shutil.rmtree(self.root)

    def settings(self):
        """The environment of every command."""
        return {}

    def init(self):
        """The command that makes the repository."""
        return None

    def replaced_bytes(self):
        """What the last backup took away from the repository."""
        return 0

    @classmethod
    def available(cls):
        return shutil.which(cls.binary) is not None

    @classmethod
    def version(cls):
        done = subprocess.run(
            [cls.binary, *cls.version_arguments], stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout.splitlines()[0]

    version_arguments = ["--version"]


class Lifeboat(Tool):
    name = "lifeboat"

    def settings(self):
        return {"LIFEBOAT_REPOSITORY": str(self.repository), "LIFEBOAT_PASSWORD": PASSWORD}

    def init(self):
        return [self.binary, "init"]

    def backup(self, source, database):
        return [self.binary, "-q", "backup", database]

    def restore(self, source, database, target):
        return [self.binary, "-q", "restore", database, "--target", target / "chat.db"]

    def restore_unverified(self, source, database, target):
        return [*self.restore(source, database, target), "--no-verify"]


class Restic(Tool):
    name = binary = "restic"
    version_arguments = ["version"]

    def settings(self):
        cache = str(self.state / "cache")
        return {
            "RESTIC_REPOSITORY": str(self.repository),
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_CACHE_DIR": cache,
            "XDG_CACHE_HOME": cache,
        }

    def init(self):
        return ["restic", "init"]

    def backup(self, source, database):
        return ["restic", "-q", "backup", source]

    def restore(self, source, database, target):
        return ["restic", "-q", "restore", "latest", "--include", database, "--target", target]


class Rustic(Tool):
    name = binary = "rustic"

    def settings(self):
        return {
            "RUSTIC_REPOSITORY": str(self.repository),
            "RUSTIC_PASSWORD": PASSWORD,
            "RUSTIC_CACHE_DIR": str(self.state / "cache"),
            "RUSTIC_NO_PROGRESS": "true",
        }

    def init(self):
        return ["rustic", "init"]

    def backup(self, source, database):
        return ["rustic", "backup", source]

    def restore(self, source, database, target):
        return ["rustic", "restore", f"latest:{database}", target / "chat.db"]


class Borg(Tool):
    binary = "borg"

    def start(self, root):
        self.archives = 0
        super().start(root)

    def settings(self):
        return {
            "BORG_REPO": str(self.repository),
            "BORG_PASSPHRASE": PASSWORD,
            "BORG_BASE_DIR": str(self.state),
        }

    def init(self):
        return ["borg", "init", "--encryption", "repokey"]

    def backup(self, source, database):
        self.archives += 1
        return ["borg", "create", "--compression", self.compression, f"::{self.archives}", source]

    def restore(self, source, database, target):
        # Into the working directory, which is the target.
        return ["borg", "extract", f"::{self.archives}", str(database).lstrip("/")]


class BorgLz4(Borg):
    name = "borg lz4"
    compression = "lz4"


class BorgZstd(Borg):
    name = "borg zstd,1"
    compression = "zstd,1"


class Script(Tool):
    """What most people have: a copy by SQLite's backup API, compressed. Nothing is encrypted."""

    name = "script"
    binary = "sqlite3"
    exact = False

    def start(self, root):
        self.replaced = 0
        super().start(root)

    def backup(self, source, database):
        copy = self.repository / "chat.db"
        self.repository.mkdir(exist_ok=True)
        self.replaced = used_bytes(self.repository)
        script = 'sqlite3 "$1" ".backup \'$2\'" && gzip -f "$2"'
        return ["sh", "-c", script, "sh", database, copy]

    def restore(self, source, database, target):
        return ["sh", "-c", 'gzip -dc "$1" > "$2"', "sh", self.repository / "chat.db.gz", target / "chat.db"]

    def replaced_bytes(self):
        return self.replaced

    @classmethod
    def version(cls):
        sqlite = super().version().split()[0]
        gzip = subprocess.run(["gzip", "--version"], stdout=subprocess.PIPE, text=True, check=True)
        return f"`sqlite3 DB \".backup F\" && gzip F`, sqlite3 {sqlite}, {gzip.stdout.splitlines()[0]}"


TOOLS = [Lifeboat, Rustic, Restic, BorgLz4, BorgZstd, Script]
