# The project's habits. Each recipe is one command that can be typed without just.

# List the recipes.
default:
    @just --list

# Does it compile?
check:
    cargo check --workspace --all-targets --locked

# All tests. Tests against age, zstd and other tools are skipped where the tool is missing.
test:
    cargo test --workspace --locked --no-fail-fast

# Formatting and clippy, as CI wants them.
lint:
    cargo fmt --all --check && cargo clippy --workspace --all-targets --locked -- -D warnings

# The libraries' documentation, for developers.
doc:
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --document-private-items

# Compare with other backup tools (bench/README.md): `just bench --sizes 100,1024`.
bench *arguments:
    python3 bench/run.py {{ arguments }}

# The storms of writers and of kills, and random histories, this many times as long (docs/soak.md).
soak times="20":
    LIFEBOAT_SOAK={{ times }} cargo test --workspace --locked --test storm --test ledger --test kill --test replicate_storm --test replicate_torture -- --test-threads 1 --nocapture
    LIFEBOAT_SOAK={{ times }} cargo test --workspace --locked --test repository -- --nocapture retention_names retention_model forget::model

# By hand, with Garage 2.x (`cargo install garage --locked`): one node, and three of which some are killed.
soak-garage garage="garage":
    cargo build --release --locked -p lifeboat-cli
    python3 bench/garage.py --garage {{ garage }} --lifeboat "${CARGO_TARGET_DIR:-target}/release/lifeboat"

# One of the fuzz targets ltx, manifest, container, names, restic: `just fuzz ltx 600`.
fuzz target seconds="60":
    fuzz/run {{ seconds }} {{ target }}

# Licences, advisories, sources; needs cargo-deny.
deny:
    cargo deny check

# Everything CI does.
ci:
    .ci/run
