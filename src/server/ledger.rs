//! The ledger: how often something has happened for each network lately.

use super::Network;
use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How many networks are remembered. With more at once, those that are not share what one may.
const MAX_NETWORKS: usize = 1 << 16;

/// Allows each network so much at once, and then so much in a time. It remembers no network for longer than its past
/// matters.
pub struct Ledger {
    /// How long it takes until one more is allowed.
    interval: Duration,
    /// How many are allowed at once.
    burst: u32,
    state: Mutex<State>,
    /// How often it was too much.
    refused: AtomicU64,
}

#[derive(Default)]
struct State {
    /// When all that has happened is forgotten.
    clear_at: HashMap<Network, Instant>,
    /// The same for all who have no place there.
    others_clear_at: Option<Instant>,
}

/// More than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMuch;

impl Ledger {
    /// Allows `burst` at once, and as many again in `time`.
    pub fn new(burst: u32, time: Duration) -> Self {
        Self {
            interval: time / burst.max(1),
            burst: burst.max(1),
            state: Mutex::default(),
            refused: AtomicU64::new(0),
        }
    }

    /// How often it was too much.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Notes that it happens once more, and says how many were used up before, of those that are allowed at once.
    ///
    /// # Errors
    /// It is too much. It is not noted then: whoever goes on regardless is not locked out for longer.
    pub fn note(&self, now: Instant, network: Network) -> Result<u32, TooMuch> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State {
            clear_at,
            others_clear_at,
        } = &mut *state;
        if clear_at.len() >= MAX_NETWORKS && !clear_at.contains_key(&network) {
            clear_at.retain(|_, at| *at > now);
        }
        let has_room = clear_at.len() < MAX_NETWORKS || clear_at.contains_key(&network);
        let known = match has_room {
            true => clear_at.get(&network).copied(),
            false => *others_clear_at,
        };
        let used = known.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let after = used + self.interval;
        if after > self.interval * self.burst {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(TooMuch);
        }
        match has_room {
            true => drop(clear_at.insert(network, now + after)),
            false => *others_clear_at = Some(now + after),
        }
        let before = used.as_nanos().div_ceil(self.interval.as_nanos().max(1));
        Ok(u32::try_from(before).unwrap_or(u32::MAX))
    }
    /// What was noted before it was known has not happened after all.
    pub fn take_back(&self, network: Network) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let clear_at = match state.clear_at.get_mut(&network) {
            Some(clear_at) => Some(clear_at),
            None => state.others_clear_at.as_mut(),
        };
        if let Some(clear_at) = clear_at {
            *clear_at = clear_at.checked_sub(self.interval).unwrap_or(*clear_at);
        }
    }
}
