//! Printing to somebody who may have stopped reading.

use std::io::{self, ErrorKind, Write};

/// Prints and flushes. That nobody reads any more (`rollcall --help | head -1`) is no error, where
/// `println!` would panic.
///
/// # Errors
///
/// When the output cannot be written for another reason, such as a full disk.
pub fn print(out: &mut impl Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Says something to the person at the terminal, on standard error.
pub(super) fn note(text: &str) {
    // With standard error closed there is nobody to tell, not even this.
    let _ = writeln!(io::stderr(), "{text}");
}
