//! The program that is run for each target: libFuzzer, whose inputs go to the target that `FUZZ_TARGET` names. `run` starts it.

#![no_main]

mod targets;

use std::{env, fs, path::Path, process, sync::OnceLock};
use targets::{ALL, Target};

static TARGET: OnceLock<&Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: start(),
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(data);
        }
    }
);

/// Finds the target, and writes what libFuzzer begins with into the folder `FUZZ_SEEDS`, if that is asked for. Without a
/// target, names all.
fn start() {
    let name = env::var("FUZZ_TARGET").unwrap_or_default();
    let Some(target) = targets::named(&name) else {
        ALL.iter().for_each(|target| println!("{}", target.name));
        process::exit(i32::from(!name.is_empty()));
    };
    TARGET.get_or_init(|| target);
    if let Some(folder) = env::var_os("FUZZ_SEEDS") {
        let folder = Path::new(&folder);
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed).expect("the folder exists");
        }
    }
    if let Some(file) = env::var_os("FUZZ_WORDS") {
        let words = target.words.iter().enumerate();
        let words = words.map(|(number, word)| format!("word{number}={}\n", quoted(word)));
        let text = format!("# {name}\n{}", words.collect::<String>());
        fs::write(file, text).expect("the file can be written");
    }
}

/// A word as it stands in a dictionary of libFuzzer's.
fn quoted(word: &str) -> String {
    let escaped = word.bytes().map(|byte| format!("\\x{byte:02x}"));
    format!("\"{}\"", escaped.collect::<String>())
}
