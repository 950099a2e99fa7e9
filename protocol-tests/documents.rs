//! The documents of the library and the protocol: their programs are those that are run, and the tests that they name exist.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

use rollcall::server::Limit;
use std::{collections::BTreeMap, fs, path::Path};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

// ---------------------------------------------------------------------------------------------------------
// docs/library.md

fn example(name: &str) -> String {
    read(&format!("protocol-tests/examples/{name}.rs"))
}

/// The lines of code, however far they are indented.
fn lines(code: &str) -> Vec<&str> {
    let lines = code.lines().map(str::trim);
    lines.filter(|line| !line.is_empty()).collect()
}

#[test]
fn what_the_library_page_shows_is_what_is_compiled_and_run() {
    let page = read("docs/library.md");
    let blocks: Vec<&str> = page
        .split("```rust\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    for program in ["chat", "presence", "mounted"] {
        assert!(
            blocks.contains(&&*example(program)),
            "docs/library.md shows another {program}.rs than the file"
        );
    }
    let tour = example("tour");
    let tour = lines(&tour);
    let mut small = 0;
    for block in blocks.iter().filter(|block| !block.contains("fn main()")) {
        let block = lines(block);
        assert!(
            tour.windows(block.len()).any(|part| part == block),
            "docs/library.md shows what is not in tour.rs:\n{}",
            block.join("\n")
        );
        small += 1;
    }
    assert_eq!(blocks.len(), small + 3);
    assert!(small > 12, "there are only {small} blocks");
}

#[test]
fn a_chat_and_presence_take_30_lines() {
    for program in ["chat", "presence"] {
        let code = example(program);
        let (own, _) = code.split_once("#[tokio::main]").unwrap();
        let (_, own) = own.rsplit_once("\nuse ").unwrap();
        // What is left of the last import is no line of its own.
        let own = lines(own).into_iter().skip(1);
        let count = own.filter(|line| !line.starts_with("//")).count();
        assert!(count <= 30, "{program} takes {count} lines");
    }
}

#[test]
fn the_library_page_has_the_number_of_crates() {
    let counted = read("docs/dependencies.md");
    let (_, count) = counted.split_once("today they are ").unwrap();
    let (count, _) = count.split_once(' ').unwrap();
    let sentence = format!("{count} crates in all");
    assert!(
        read("docs/library.md").contains(&sentence),
        "docs/library.md should say: {sentence}"
    );
}

// ---------------------------------------------------------------------------------------------------------
// docs/protocol.md, docs/prior-bugs.md, docs/reliability.md and docs/security.md

/// What keeps a promise: `file: name`, a name being that of a Rust test, a part of the title of a JavaScript one, the title of a
/// story, or a text in a table; or a file alone.
fn keepers(cell: &str) -> Vec<(&str, &str)> {
    let spans = cell.split('`').skip(1).step_by(2);
    spans
        .map(|span| span.split_once(": ").unwrap_or((span, "")))
        .collect()
}

/// The rows of those tables whose last column is what keeps a promise.
fn promises(page: &str) -> Vec<&str> {
    let (mut rows, mut is_promise) = (Vec::new(), None);
    for line in page.lines() {
        if !line.starts_with('|') {
            is_promise = None;
        } else if is_promise.is_none() {
            is_promise = Some(line.ends_with("| kept by |"));
        } else if is_promise == Some(true) && line.starts_with("| ") {
            rows.push(line);
        }
    }
    rows
}

/// Whether a file has a test, vector, story or row of that name.
fn has(file: &str, text: &str, name: &str) -> bool {
    match file.rsplit('.').next() {
        _ if name.is_empty() => true,
        Some("rs") => text.contains(&format!("#[test]\nfn {name}() {{")),
        // Titles stand between `test(` and the function that is the test.
        Some("mjs") => text.split("est(").skip(1).any(|rest| {
            let title = rest.split(" => ").next().unwrap_or_default();
            title.contains(name)
        }),
        Some("json") => text.contains(&serde_json::to_string(name).unwrap()),
        Some("txt") => text.lines().any(|line| line == format!("# {name}")),
        _ => false,
    }
}

#[test]
fn every_promise_is_kept_by_a_test_that_exists() {
    let folders = ["protocol-tests", "fixtures"];
    for (page, at_least) in [
        ("docs/protocol.md", 30),
        ("docs/prior-bugs.md", 50),
        ("docs/reliability.md", 15),
        ("docs/security.md", 25),
    ] {
        let text = read(page);
        let mut files: BTreeMap<&str, String> = BTreeMap::new();
        let rows = promises(&text);
        let (mut kept, mut gone) = (0, Vec::new());
        for row in rows {
            let cell = row.trim_end_matches('|').trim_end();
            let (_, cell) = cell.rsplit_once(" | ").unwrap();
            let keepers = keepers(cell);
            assert!(!keepers.is_empty(), "{page}: nothing keeps {row}");
            for (file, name) in keepers {
                let text = files.entry(file).or_insert_with(|| {
                    let folder = folders.iter().find(|folder| {
                        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
                        root.join(folder).join(file).is_file()
                    });
                    let folder = folder.unwrap_or_else(|| {
                        panic!("{page} names {file}, which does not exist; in {row}")
                    });
                    read(&format!("{folder}/{file}"))
                });
                if !has(file, text, name) {
                    gone.push(format!("{file}: {name}"));
                }
            }
            kept += 1;
        }
        assert!(
            gone.is_empty(),
            "{page} names what does not exist: {gone:#?}"
        );
        assert!(kept >= at_least, "{page} has only {kept} rows");
    }
}

/// Every limit, with its default, its reason and its test.
#[test]
fn the_page_on_security_has_every_limit() {
    let page = read("docs/security.md");
    let limits = read("src/server/limits.rs");
    let (fields, _) = limits.split_once("impl Default").unwrap();
    let names = fields.lines().filter_map(|line| {
        let (name, _) = line.trim().strip_prefix("pub ")?.split_once(": ")?;
        Some(name)
    });
    let mut count = 0;
    for name in names {
        let is_there = page
            .lines()
            .any(|line| line.starts_with("| ") && line.contains(&format!("`{name}`")));
        assert!(is_there, "docs/security.md lacks {name}");
        count += 1;
    }
    assert!(count > 15, "only {count} limits");
}

/// What is in `Limits` and nobody can reach: how much of another limit, what is over before anyone could ask, what is no
/// limit to anyone, and what the kernel keeps to itself.
const NOT_REACHED: [&str; 4] = [
    "speech_burst",
    "shutdown_timeout",
    "compress_from_bytes",
    "max_unsent_bytes",
];

#[test]
fn every_limit_is_counted_and_a_test_reaches_it() {
    let limits = read("src/server/limits.rs");
    let (fields, _) = limits.split_once("impl Default").unwrap();
    let mut tests = String::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol-tests")).unwrap()
    {
        let path = entry.unwrap().path();
        let extension = path.extension().unwrap_or_default();
        if extension == "rs" || extension == "mjs" {
            tests += &fs::read_to_string(path).unwrap();
        }
    }
    let names: Vec<&str> = Limit::ALL.map(Limit::name).to_vec();
    for line in fields.lines() {
        let Some((name, _)) = line
            .trim()
            .strip_prefix("pub ")
            .and_then(|field| field.split_once(": "))
        else {
            continue;
        };
        // hyper does not tell one from the other.
        let name = name.replace("max_headers", "max_head_bytes");
        assert!(
            names.contains(&&*name) || NOT_REACHED.contains(&&*name),
            "{name} is not counted"
        );
    }
    for (number, limit) in Limit::ALL.into_iter().enumerate() {
        assert_eq!(limit as usize, number, "all there are, in order");
        let (in_rust, name) = (format!("Limit::{limit:?}"), limit.name());
        let in_javascript = format!("(server, \"{name}\")");
        assert!(
            tests.contains(&in_rust) || tests.contains(&in_javascript),
            "no test reaches {name}"
        );
    }
}
