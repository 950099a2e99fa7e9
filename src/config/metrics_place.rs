//! Where the metrics are.

use std::{fmt, net::SocketAddr};

/// Where the metrics are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsPlace {
    /// Where everything else is.
    MainPort,
    /// On a listener of their own.
    Address(SocketAddr),
    /// Nowhere.
    Nowhere,
}

impl MetricsPlace {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "" => Some(Self::MainPort),
            _ if text.eq_ignore_ascii_case("off") => Some(Self::Nowhere),
            _ => text.parse().ok().map(Self::Address),
        }
    }
}

impl fmt::Display for MetricsPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MainPort => Ok(()),
            Self::Address(address) => address.fmt(f),
            Self::Nowhere => f.write_str("off"),
        }
    }
}
