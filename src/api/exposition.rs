//! The exposition: metrics as Prometheus reads them (text format 0.0.4).

use crate::presence::Distribution;
use std::fmt::{Display, Write};

/// The content type of the text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A text that grows by one metric after the other.
#[derive(Default)]
pub(super) struct Exposition(String);

/// What a metric's value may do.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Only grow.
    Counter,
    /// Whatever it likes.
    Gauge,
}

impl Exposition {
    /// A metric without labels.
    pub(super) fn one(&mut self, kind: Kind, name: &str, help: &str, value: impl Display) {
        self.head(kind.name(), name, help);
        self.line(format_args!("{name} {value}"));
    }

    /// A metric with a sample for each value of a label. Names and values of labels are ours, and plain.
    pub(super) fn each<L: Display, V: Display>(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        label: &str,
        samples: impl IntoIterator<Item = (L, V)>,
    ) {
        self.head(kind.name(), name, help);
        for (of, value) in samples {
            self.line(format_args!("{name}{{{label}=\"{of}\"}} {value}"));
        }
    }

    /// How often something took how many seconds.
    pub(super) fn histogram(&mut self, name: &str, help: &str, times: &Distribution) {
        self.head("histogram", name, help);
        for (limit, count) in &times.buckets {
            self.line(format_args!("{name}_bucket{{le=\"{limit}\"}} {count}"));
        }
        let Distribution { count, sum, .. } = times;
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {count}"));
        self.line(format_args!("{name}_sum {sum}"));
        self.line(format_args!("{name}_count {count}"));
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn head(&mut self, kind: &str, name: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: impl Display) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{line}");
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}
