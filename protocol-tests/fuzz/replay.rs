//! What fuzzing has found, and what it begins with, once more: each is given to its target. The long form is
//! `protocol-tests/fuzz/run`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs
)]

mod targets;

use std::{collections::BTreeSet, ffi::OsString, fs, path::Path};
use targets::ALL;

#[test]
fn what_was_found_is_found_no_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol-tests/fuzz/regressions");
    let mut known = BTreeSet::new();
    for target in &ALL {
        known.insert(OsString::from(target.name));
        let Ok(inputs) = fs::read_dir(folder.join(target.name)) else {
            continue;
        };
        for input in inputs {
            let path = input.unwrap().path();
            println!("{}", path.display());
            (target.run)(&fs::read(&path).unwrap());
        }
    }
    let folders = fs::read_dir(folder).unwrap();
    let strange: Vec<_> = folders
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| !known.contains(name) && name != "README.md")
        .collect();
    assert!(strange.is_empty(), "no targets: {strange:?}");
}

#[test]
fn the_fixtures_are_good_beginnings() {
    for target in &ALL {
        let seeds = (target.seeds)();
        assert!(seeds.len() > 5, "{} has {} seeds", target.name, seeds.len());
        for (number, seed) in seeds.iter().enumerate() {
            println!("{}, seed {number}", target.name);
            (target.run)(seed);
            (target.run)(&seed[..seed.len() / 2]);
        }
    }
}

#[test]
fn the_page_has_every_target() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
    let page = fs::read_to_string(page).unwrap();
    for target in &ALL {
        let row = format!("| `{}` | ", target.name);
        assert!(page.contains(&row), "{} is missing", target.name);
    }
}
