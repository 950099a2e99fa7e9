//! The terminal: taken, measured, and left as it was found.

use std::fs::File;
use std::io::{Stdout, Write};
use std::process::{Command, Stdio};

use crate::cli::output::print_to_reader;

/// Another screen, so that what was on the first comes back; and no cursor.
const TAKE: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// What is assumed where nobody knows.
const USUAL: Size = Size {
    columns: 80,
    rows: 24,
};

/// The largest terminal that is believed, and drawn for.
const MAX: usize = 1000;

/// How large a terminal is, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// A terminal that is drawn on; given back when dropped.
pub(super) struct Terminal<'a> {
    out: &'a mut Stdout,
    size: Size,
}

impl<'a> Terminal<'a> {
    pub(super) fn take(out: &'a mut Stdout) -> Self {
        // If it cannot be written to, drawing says so.
        let _ = print_to_reader(out, TAKE);
        Self {
            out,
            size: measured(),
        }
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Its size may be another.
    pub(super) fn measure(&mut self) {
        self.size = measured();
    }

    /// Shows what was drawn; whether anybody sees it.
    pub(super) fn show(&mut self, drawn: &str) -> std::io::Result<bool> {
        print_to_reader(self.out, drawn)
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = self.out.write_all(LEAVE.as_bytes());
        let _ = self.out.flush();
    }
}

/// Asks `stty`, which knows how to without `unsafe`.
fn measured() -> Size {
    let ask = || {
        let terminal = File::open("/dev/tty").ok()?;
        let answer = Command::new("stty")
            .arg("size")
            .stdin(terminal)
            .stderr(Stdio::null())
            .output()
            .ok()?;
        read(str::from_utf8(&answer.stdout).ok()?)
    };
    ask().unwrap_or(USUAL)
}

/// `24 80`; a terminal that does not know says `0 0`.
fn read(answer: &str) -> Option<Size> {
    let (rows, columns) = answer.trim().split_once(' ')?;
    let (rows, columns): (usize, usize) = (rows.parse().ok()?, columns.parse().ok()?);
    (rows > 0 && columns > 0).then(|| Size {
        columns: columns.min(MAX),
        rows: rows.min(MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_what_stty_says() {
        let size = |columns, rows| Some(Size { columns, rows });
        assert_eq!(read("24 80\n"), size(80, 24));
        assert_eq!(read("50000 1"), size(1, MAX));
        for unknown in ["0 0", "", "24", "x 80", "24 80 1"] {
            assert_eq!(read(unknown), None, "{unknown}");
        }
    }
}
