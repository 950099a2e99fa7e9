//! What is measured, and what is promised.

use crate::server::Kind;
use std::fmt;

/// What a number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    Start,
    Binary,
    IdleClient,
    BetweenPolls,
    HeldPoll,
    Handshake,
    Paced,
    Burst,
    AllKnowMedian,
    AllKnow99,
    Polled,
    StormKnown,
    StormCpu,
    HerdBefore,
    HerdPeak,
    HerdCpu,
    HerdRight,
    OverloadCapacity,
    OverloadGrowth,
    OverloadNewcomer,
    OverloadBack,
    OverloadRight,
    DeafWithout,
    DeafWith,
    DeafRatio,
    DeafClient,
}

/// One reading.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub kind: Kind,
    pub clients: usize,
    pub figure: Figure,
    pub value: f64,
}

impl Figure {
    /// With its unit.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Start
            | Self::Binary
            | Self::HerdBefore
            | Self::HerdPeak
            | Self::OverloadGrowth => {
                format!("{:.1} MB", value / 1e6)
            }
            Self::IdleClient | Self::BetweenPolls | Self::HeldPoll | Self::DeafClient => {
                format!("{:.2} KiB", value / 1024.0)
            }
            Self::Handshake | Self::HerdCpu => format!("{value:.0} us"),
            Self::Paced | Self::Polled => format!("{value:.1} us"),
            Self::Burst | Self::StormCpu => format!("{value:.2} us"),
            Self::AllKnowMedian
            | Self::AllKnow99
            | Self::OverloadNewcomer
            | Self::DeafWithout
            | Self::DeafWith => {
                format!("{value:.0} ms")
            }
            Self::StormKnown | Self::HerdRight | Self::OverloadRight => format!("{value:.1} %"),
            Self::OverloadCapacity => format!("{value:.0} a second"),
            Self::OverloadBack => format!("{value:.1} s"),
            Self::DeafRatio => format!("{value:.2} x"),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "RSS at start",
            Self::Binary => "stripped binary",
            Self::IdleClient => "RSS an idle client",
            Self::BetweenPolls => "RSS a client between polls",
            Self::HeldPoll => "RSS a client with a held GET",
            Self::Handshake => "CPU a handshake",
            Self::Paced => "CPU a delivery, paced",
            Self::Burst => "CPU a known activity, burst of 50",
            Self::AllKnowMedian => "until all know, burst of 50, p50",
            Self::AllKnow99 => "until all know, burst of 50, p99",
            Self::Polled => "CPU a delivery to a polling client",
            Self::StormKnown => "the storm: known at the end",
            Self::StormCpu => "the storm: CPU a known activity",
            Self::HerdBefore => "the herd: RSS before",
            Self::HerdPeak => "the herd: peak RSS",
            Self::HerdCpu => "the herd: CPU a newcomer",
            Self::HerdRight => "the herd: right views",
            Self::OverloadCapacity => "changes that are told in time",
            Self::OverloadGrowth => "at twice as many: more RSS",
            Self::OverloadNewcomer => "at twice as many: a newcomer's snapshot, p99",
            Self::OverloadBack => "at twice as many: back to normal afterwards",
            Self::OverloadRight => "at twice as many: right views afterwards",
            Self::DeafWithout => "until all know, p99, nobody deaf",
            Self::DeafWith => "until all know, p99, beside as many who are deaf",
            Self::DeafRatio => "the same, beside the deaf to without",
            Self::DeafClient => "RSS a deaf client",
        })
    }
}

/// A promise, and whether it was kept.
pub struct Verdict {
    pub promise: String,
    pub found: String,
    pub is_met: bool,
}

/// The samples of one kind, and what they come to.
pub struct Summary<'a>(pub &'a [Sample]);

/// Middle, least and most.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Summary<'_> {
    pub fn of(&self, kind: Kind, figure: Figure, clients: usize) -> Option<Spread> {
        let samples = self.0.iter().filter(|sample| {
            sample.kind == kind && sample.figure == figure && sample.clients == clients
        });
        let mut values: Vec<_> = samples.map(|sample| sample.value).collect();
        values.sort_by(f64::total_cmp);
        Some(Spread {
            median: *values.get(values.len() / 2)?,
            least: *values.first()?,
            most: *values.last()?,
        })
    }

    fn rollcall(&self, figure: Figure, clients: usize) -> Option<f64> {
        Some(self.of(Kind::Rollcall, figure, clients)?.median)
    }

    fn at_most(&self, figure: Figure, clients: usize, limit: f64) -> Option<Verdict> {
        let found = self.rollcall(figure, clients)?;
        let clients = if clients > 0 {
            format!(", {clients} clients")
        } else {
            String::new()
        };
        Some(Verdict {
            promise: format!("{figure}{clients}: at most {}", figure.show(limit)),
            found: figure.show(found),
            is_met: found <= limit,
        })
    }

    fn ratio(&self, figure: Figure, clients: usize, other: Kind, limit: f64) -> Option<Verdict> {
        let ratio = self.rollcall(figure, clients)? / self.of(other, figure, clients)?.median;
        Some(Verdict {
            promise: format!("{figure}, {clients} clients: at most {limit} x {other}"),
            found: format!("{ratio:.2} x"),
            is_met: ratio <= limit,
        })
    }

    fn all(&self, figure: Figure, clients: usize) -> Option<Verdict> {
        // The worst run counts: a view that is wrong once is wrong.
        let found = self.of(Kind::Rollcall, figure, clients)?.least;
        Some(Verdict {
            promise: format!("{figure}, {clients} clients: all"),
            found: figure.show(found),
            is_met: found >= 100.0,
        })
    }

    fn straight(&self, few: usize, many: usize) -> Option<Verdict> {
        let ratio = self.rollcall(Figure::Paced, many)? / self.rollcall(Figure::Paced, few)?;
        Some(Verdict {
            promise: format!(
                "{}, {many} clients: at most 1.25 x that at {few}",
                Figure::Paced
            ),
            found: format!("{ratio:.2} x"),
            is_met: ratio <= 1.25,
        })
    }

    /// What is promised, where it was measured.
    pub fn verdicts(&self) -> Vec<Verdict> {
        use Figure::*;
        use Kind::{Floor, Node, Socketioxide};
        const KIB: f64 = 1024.0;
        let promises = [
            self.at_most(IdleClient, 8000, 2.0 * KIB),
            self.at_most(BetweenPolls, 8000, 2.0 * KIB),
            self.at_most(HeldPoll, 8000, 14.0 * KIB),
            self.at_most(Start, 0, 3e6),
            self.at_most(Binary, 0, 2e6),
            self.ratio(Handshake, 8000, Socketioxide, 0.4),
            self.ratio(Paced, 8000, Socketioxide, 0.65),
            self.ratio(Paced, 8000, Floor, 1.15),
            self.ratio(Burst, 8000, Socketioxide, 0.25),
            self.ratio(Burst, 8000, Node, 0.04),
            self.ratio(AllKnow99, 8000, Socketioxide, 0.5),
            self.straight(2000, 16_000),
            self.all(StormKnown, 2000),
            self.at_most(StormCpu, 2000, 1.0),
            self.at_most(HerdPeak, 5000, 48e6),
            self.all(HerdRight, 5000),
            self.ratio(Polled, 2000, Socketioxide, 0.5),
            self.at_most(OverloadBack, 2000, 5.0),
            self.at_most(OverloadGrowth, 2000, 32e6),
            self.all(OverloadRight, 2000),
            self.at_most(DeafRatio, 1000, 1.5),
        ];
        promises.into_iter().flatten().collect()
    }
}
