#!/usr/bin/env python3
"""Check every crate in Cargo.lock against `licenses.allow` of deny.toml, and its source.

usage: licences.py [DENY_TOML]

Does the part of `cargo deny check licenses sources` that CI cannot do without, in a second and without
building cargo-deny.
"""
import json
import re
import subprocess
import sys
import tomllib

TOKEN = re.compile(r"\s*(\(|\)|[A-Za-z0-9.+-]+)")


def allowed(expression, allow):
    """Whether an SPDX expression (`/` is the old spelling of OR) can be met from `allow`."""
    tokens = TOKEN.findall(expression.replace("/", " OR "))

    def choice():
        met = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            met = both() or met
        return met

    def both():
        met = term()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = term() and met
        return met

    def term():
        token = tokens.pop(0)
        if token == "(":
            met = choice()
            if tokens.pop(0) != ")":
                raise ValueError(expression)
            return met
        if tokens and tokens[0] == "WITH":
            # An exception only grants more, but it must be listed like a licence.
            token = f"{token} WITH {tokens[1]}"
            del tokens[:2]
        return token in allow

    met = choice()
    if tokens:
        raise ValueError(expression)
    return met


def main(deny):
    with open(deny, "rb") as file:
        allow = set(tomllib.load(file)["licenses"]["allow"])
    metadata = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    crates = json.loads(subprocess.run(metadata, check=True, stdout=subprocess.PIPE).stdout)
    problems = []
    for crate in crates["packages"]:
        name, licence, source = (crate[key] for key in ("name", "license", "source"))
        if source is not None and not source.endswith("/crates.io-index"):
            problems.append(f"{name}: comes from {source}")
        try:
            if not licence or not allowed(licence, allow):
                problems.append(f"{name}: licence {licence or 'not stated'}")
        except (ValueError, IndexError):
            problems.append(f"{name}: cannot read the licence {licence!r}")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(crates['packages'])} crates, {len(problems)} problems")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:] or ["deny.toml"]))
