//! Where the dependencies come from, and which Rust they need. `protocol-tests/supply-chain` lets cargo-deny say the rest.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

use serde_json::Value;
use std::{fs, path::Path, process::Command};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The value of a key in a part of a lock file.
fn value<'a>(part: &'a str, key: &str) -> Option<&'a str> {
    let start = format!("{key} = \"");
    let line = part.lines().find_map(|line| line.strip_prefix(&*start))?;
    Some(line.trim_end_matches('"'))
}

#[test]
fn what_is_locked_comes_from_one_registry_and_has_a_checksum() {
    for (lock, own, at_least) in [
        ("Cargo.lock", &["rollcall"][..], 70),
        (
            "protocol-tests/load/Cargo.lock",
            &["load", "socketioxide-gateway"][..],
            70,
        ),
    ] {
        let text = read(lock);
        let mut registry = None;
        let mut count = 0;
        for package in text.split("[[package]]").skip(1) {
            let name = value(package, "name").expect("a name");
            if own.contains(&name) {
                continue;
            }
            let source = value(package, "source")
                .unwrap_or_else(|| panic!("{lock}: {name} comes from a folder"));
            assert!(
                source.starts_with("registry+"),
                "{lock}: {name} comes from {source}"
            );
            assert_eq!(
                *registry.get_or_insert(source),
                source,
                "{lock}: {name} comes from another registry"
            );
            assert!(
                value(package, "checksum").is_some_and(|checksum| checksum.len() == 64),
                "{lock}: {name} has no checksum"
            );
            count += 1;
        }
        assert!(count > at_least, "{lock} has only {count} packages");
    }
}

/// A version's first two numbers.
fn version(text: &str) -> (u64, u64) {
    let mut numbers = text.split('.').map(|number| number.parse().expect(text));
    (numbers.next().expect(text), numbers.next().unwrap_or(0))
}

#[test]
fn no_dependency_needs_a_newer_rust_than_is_promised() {
    let host = Command::new("rustc").arg("-vV").output().expect("rustc");
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: "));
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["metadata", "--locked", "--format-version", "1"])
        .args(["--filter-platform", host.expect("a host")])
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = packages
        .iter()
        .find(|package| package["name"] == "rollcall");
    let promised = ours.unwrap()["rust_version"].as_str();
    let promised = version(promised.expect("Cargo.toml has a rust-version"));
    let mut count = 0;
    for package in packages {
        if let Some(needed) = package["rust_version"].as_str() {
            assert!(
                version(needed) <= promised,
                "{} needs Rust {needed}, and {promised:?} is promised",
                package["name"]
            );
            count += 1;
        }
    }
    assert!(count > 30, "only {count} crates say what they need");
}

#[test]
fn no_script_builds_with_other_versions_than_are_locked() {
    let mut commands = 0;
    for script in [
        ".ci/run",
        "protocol-tests/run",
        "protocol-tests/autobahn/run",
        "protocol-tests/leaks",
        "protocol-tests/load/run",
        "protocol-tests/soak",
        "protocol-tests/supply-chain",
    ] {
        for line in read(script).lines() {
            let words: Vec<&str> = line
                .split(|next: char| next.is_whitespace() || "();\"".contains(next))
                .collect();
            let resolves = [
                "build", "check", "clippy", "doc", "metadata", "run", "test", "tree",
            ];
            let is_command = words.windows(3).any(|words| {
                words[0] == "cargo" && resolves.iter().any(|command| words[1..].contains(command))
            });
            if is_command && !line.trim_start().starts_with('#') {
                assert!(words.contains(&"--locked"), "{script}: {line}");
                commands += 1;
            }
        }
    }
    assert!(commands > 10, "only {commands} commands were looked at");
}
