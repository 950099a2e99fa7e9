//! The project's own rules: documents tell the truth, layers stay apart, dependencies stay few.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Rust files below `folder`, with their text, comments taken out.
fn sources(folder: &str) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text
                    .lines()
                    .map(|line| line.split("//").next().unwrap_or_default());
                let name = path.strip_prefix(root()).unwrap().to_owned();
                found.insert(name, code.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    found
}

/// What stands between backticks, on one line.
fn code_spans(text: &str) -> BTreeSet<&str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

/// Whether `name` is defined as an item, a method, a field or a variant.
fn is_defined(name: &str, code: &str) -> bool {
    let before = [
        "fn ", "struct ", "enum ", "trait ", "type ", "const ", "mod ", "pub ", "(super) ",
    ];
    code.match_indices(name).any(|(at, _)| {
        let (head, tail) = (&code[..at], &code[at + name.len()..]);
        let is_whole = !tail.starts_with(|next: char| next.is_alphanumeric() || next == '_')
            && !head.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let is_variant = head.ends_with("    ") && tail.starts_with([',', '(', ' ', '{']);
        let is_field = head.ends_with("    ") && tail.starts_with(':');
        is_whole && (is_variant || is_field || before.iter().any(|keyword| head.ends_with(keyword)))
    })
}

#[test]
fn what_the_architecture_page_names_exists() {
    let page = read("docs/architecture.md");
    let code = sources("src").into_values().collect::<Vec<_>>().join("\n");
    let (mut files, mut items) = (0, 0);
    for span in code_spans(&page) {
        if span.contains('/') && !span.contains(' ') {
            assert!(
                root().join(span).exists(),
                "docs/architecture.md names {span}, which does not exist"
            );
            files += 1;
        }
        let is_item = span.starts_with(|first: char| first.is_ascii_uppercase())
            && span
                .chars()
                .all(|next| next.is_alphanumeric() || next == '_' || next == ':')
            && span
                .chars()
                .any(|next| next.is_ascii_lowercase() || next == '_');
        if is_item && span != "Cargo.toml" {
            for name in span.split("::") {
                assert!(
                    is_defined(name, &code),
                    "docs/architecture.md names {span}, but {name} is not defined"
                );
            }
            items += 1;
        }
    }
    assert!(
        files > 15 && items > 30,
        "the page names {files} files and {items} items: is it read at all?"
    );
}

/// An item and its file, as in "`Door` (`src/server/door.rs`)" and "`Driver::run` in `src/server/driver.rs`".
#[test]
fn what_the_architecture_page_says_is_in_a_file_is_there() {
    let page = read("docs/architecture.md");
    let sources = sources("src");
    let pieces: Vec<&str> = page.split('`').collect();
    let mut checked = 0;
    for at in 0..pieces.len().saturating_sub(2) {
        let [item, between, file] = [pieces[at], pieces[at + 1], pieces[at + 2]];
        let words: Vec<&str> = between.split_whitespace().collect();
        let is_ours = item.starts_with(|first: char| first.is_ascii_uppercase());
        let is_file = file.starts_with("src/") && file.ends_with(".rs");
        if !is_ours || !is_file || !matches!(words[..], ["("] | ["in"]) {
            continue;
        }
        let name = item.rsplit("::").next().unwrap_or(item);
        assert!(
            is_defined(name, &sources[Path::new(file)]),
            "docs/architecture.md says that {item} is in {file}, which does not define {name}"
        );
        checked += 1;
    }
    assert!(checked > 20, "only {checked} items were checked");
}

#[test]
fn the_page_and_the_readme_link_to_what_exists() {
    for page in [
        "README.md",
        "docs/architecture.md",
        "docs/clients.md",
        "docs/command-line.md",
        "docs/dependencies.md",
        "docs/deploy.md",
        "docs/gamevault.md",
        "docs/library.md",
        "docs/page.md",
        "docs/performance.md",
        "docs/prior-bugs.md",
        "docs/protocol.md",
        "docs/reliability.md",
        "docs/webhooks.md",
        "fixtures/README.md",
    ] {
        let text = read(page);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if !link.starts_with("http") && !link.starts_with('#') {
                let target = root().join(page).parent().unwrap().join(link);
                assert!(
                    target.exists(),
                    "{page} links to {link}, which does not exist"
                );
            }
        }
    }
}

/// Which modules a module may know, beside itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("engineio", &[]),
    ("socketio", &["engineio"]),
    ("server", &["engineio"]),
    ("presence", &["engineio", "socketio", "users"]),
    ("users", &[]),
    ("config", &[]),
    ("logger.rs", &[]),
    ("notify.rs", &[]),
    ("https.rs", &["config", "server"]),
    ("allocator.rs", &[]),
    ("client", &["config", "engineio", "server", "socketio"]),
    ("cli", &["client", "config", "https", "server", "users"]),
    ("webhooks", &["client", "config", "presence", "users"]),
    ("no_webhooks.rs", &["config", "presence"]),
    ("api", &["presence", "server", "socketio", "users"]),
];

#[test]
fn every_layer_knows_only_what_it_may() {
    let mut seen = BTreeSet::new();
    for (file, code) in sources("src") {
        let module = file
            .components()
            .nth(1)
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap()
            .to_owned();
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == module) else {
            assert!(
                ["lib.rs", "main.rs", "daemon"].contains(&&*module),
                "which layer is {}?",
                file.display()
            );
            continue;
        };
        for known in crate_modules(&code) {
            assert!(
                known == module || allowed.contains(&&*known),
                "{} imports crate::{known}, which {module} must not know",
                file.display()
            );
        }
        seen.insert(module);
    }
    assert_eq!(seen.len(), LAYERS.len(), "a layer of the table is gone");
}

/// The modules that are named after `crate::`, alone or in braces.
fn crate_modules(code: &str) -> BTreeSet<String> {
    let name = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|next| next.is_alphanumeric() || *next == '_')
            .collect()
    };
    let mut modules = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(braced) = rest.strip_prefix('{') else {
            modules.insert(name(rest));
            continue;
        };
        let (mut depth, mut start) = (1, 0);
        for (at, next) in braced.char_indices() {
            match next {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && next == ',') {
                modules.insert(name(&braced[start..at]));
                start = at + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    modules.remove("");
    modules
}

#[test]
fn the_core_is_pure() {
    let impure = [
        "tokio",
        "hyper",
        "tungstenite",
        "std::net",
        "std::fs",
        "std::io",
        "Instant::now",
        "SystemTime",
    ];
    let pure = [
        "src/engineio",
        "src/socketio",
        "src/presence/roster.rs",
        "src/presence/report.rs",
        "src/presence/activity.rs",
        "src/webhooks/queue.rs",
    ];
    let mut looked_at = 0;
    for (file, code) in sources("src") {
        if !pure.iter().any(|pure| file.starts_with(pure)) {
            continue;
        }
        looked_at += 1;
        for word in impure {
            assert!(
                !code.contains(word),
                "{} uses {word}, but the core is pure",
                file.display()
            );
        }
    }
    assert!(looked_at > 15, "only {looked_at} files were looked at");
}

/// The unique crates in the normal dependency tree, ours not counted.
fn crates(options: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args([
            "tree", "--locked", "-e", "normal", "--prefix", "none", "--format", "{p}",
        ])
        .args(options)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text
        .lines()
        .map(|line| line.trim_end_matches(" (*)").to_owned());
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("rollcall "))
        .collect()
}

#[test]
fn dependencies_stay_few_and_explained() {
    let (daemon, library) = (crates(&[]), crates(&["--no-default-features"]));
    assert!(daemon.len() <= 75, "the daemon has {} crates", daemon.len());
    assert!(
        library.len() <= 60,
        "the library has {} crates",
        library.len()
    );

    let page = read("docs/dependencies.md");
    let webhooks = crates(&["--features", "webhooks"]).len();
    assert!(webhooks <= 85, "with webhooks it has {webhooks} crates");
    let tls = crates(&["--features", "tls"]).len();
    let both = crates(&["--features", "webhooks,tls"]).len();
    assert!(
        page.contains(&format!("With `tls` alone they are {tls},")) && both == webhooks,
        "{tls} with tls, {both} with both"
    );
    let counts = format!(
        "today they are {} and {}, and {webhooks} with webhooks",
        library.len(),
        daemon.len()
    );
    assert!(
        page.contains(&counts),
        "docs/dependencies.md should say: {counts}"
    );
    // Each alone; the engines come with them.
    let sqlite = crates(&["--features", "sqlite"]).len();
    let postgres = crates(&["--features", "postgres"]).len();
    assert!(sqlite <= 80, "with sqlite it has {sqlite} crates");
    assert!(postgres <= 112, "with postgres it has {postgres} crates");
    let counts = format!("With `sqlite` it is {sqlite}, with `postgres` {postgres}");
    assert!(
        page.contains(&counts),
        "docs/dependencies.md should say: {counts}"
    );
    let manifest = read("Cargo.toml");
    let section = manifest
        .split("[dependencies]")
        .nth(1)
        .unwrap()
        .split("\n[")
        .next()
        .unwrap();
    let direct = section
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name);
    for name in direct {
        assert!(
            page.contains(&format!("| `{name}` |")),
            "docs/dependencies.md does not explain {name}"
        );
    }
}

/// What another team would have to write for the server of socket.io-client's own tests is a measure of the API.
#[test]
fn the_support_server_stays_short() {
    let code = read("protocol-tests/support_server.rs");
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let lines = code.lines().filter(is_code).count();
    assert!(lines <= 180, "{lines} lines of code");
}
