//! Printing to somebody who may have stopped reading, and what is fit to be printed.

use std::io::{self, ErrorKind, Write};

/// Prints and flushes. That nobody reads any more (`rollcall --help | head -1`) is no error, where
/// `println!` would panic.
///
/// # Errors
///
/// When the output cannot be written for another reason, such as a full disk.
pub fn print(out: &mut impl Write, text: &str) -> io::Result<()> {
    print_to_reader(out, text).map(drop)
}

/// The same; whether somebody still reads.
pub(super) fn print_to_reader(out: &mut impl Write, text: &str) -> io::Result<bool> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true),
    }
}

/// Says something to the person at the terminal, on standard error.
pub(super) fn note(text: &str) {
    // With standard error closed there is nobody to tell, not even this.
    let _ = writeln!(io::stderr(), "{text}");
}

/// What others wrote, without what a terminal would obey, or would turn around.
pub(super) fn harmless(text: &str) -> String {
    let is_harmful = |letter: char| {
        // Marks of direction (UAX 9), and of lines.
        letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(is_harmful, "\u{fffd}")
}

/// A text as JSON has it.
pub(super) fn quoted(text: &str) -> String {
    // Text always has a form in JSON.
    serde_json::to_string(text).unwrap_or_default()
}
