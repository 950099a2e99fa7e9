//! What is found, as it is printed.

use std::io::{self, Write};

use super::Ill;
use crate::cli::output::{harmless, print_to_reader, quoted};

/// The findings, printed one by one.
pub(super) struct Chart<'a> {
    out: &'a mut dyn Write,
    json: bool,
    has_failed: bool,
    /// The first error of printing. Who has stopped reading is none.
    broken: io::Result<()>,
}

impl<'a> Chart<'a> {
    pub(super) fn new(out: &'a mut dyn Write, json: bool) -> Self {
        Self {
            out,
            json,
            has_failed: false,
            broken: Ok(()),
        }
    }

    /// All is well here.
    pub(super) fn ok(&mut self, check: &str, text: &str) {
        self.note("ok", check, None, text);
    }

    /// It works, but.
    pub(super) fn warn(&mut self, check: &str, ill: &Ill, text: &str) {
        self.note("warn", check, Some(ill), text);
    }

    /// It does not work. Answers none, for whoever cannot go on.
    pub(super) fn fail<T>(&mut self, check: &str, ill: &Ill, text: &str) -> Option<T> {
        self.has_failed = true;
        self.note("fail", check, Some(ill), text);
        None
    }

    /// Whether all is well.
    pub(super) fn close(self) -> io::Result<bool> {
        self.broken.map(|()| !self.has_failed)
    }

    fn note(&mut self, verdict: &str, check: &str, ill: Option<&Ill>, text: &str) {
        let text = harmless(text);
        let line = match (self.json, ill) {
            (true, ill) => {
                let or_null = |text: Option<&str>| text.map_or("null".to_owned(), quoted);
                format!(
                    "{{\"check\":{},\"verdict\":{},\"fault\":{},\"text\":{},\"advice\":{}}}\n",
                    quoted(check),
                    quoted(verdict),
                    or_null(ill.map(|ill| ill.name)),
                    quoted(&text),
                    or_null(ill.map(|ill| ill.advice))
                )
            }
            (false, None) => format!("{verdict:<4}  {check:<9}  {text}\n"),
            (false, Some(ill)) => format!(
                "{verdict:<4}  {check:<9}  {}: {} {text}\n{:17}{}\n",
                ill.name, ill.what, "", ill.advice
            ),
        };
        if let Err(error) = print_to_reader(&mut self.out, &line)
            && self.broken.is_ok()
        {
            self.broken = Err(error);
        }
    }
}
