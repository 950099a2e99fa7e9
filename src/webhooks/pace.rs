//! The pace: all limits, and how long to wait before the next try.

use std::time::Duration;

/// What bounds the deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// From the look at the name until the connection can be used, TLS included.
    pub connect_timeout: Duration,
    /// From a request's first byte to its answer's last.
    pub answer_timeout: Duration,
    /// The pause after the first failure; each further one doubles it.
    pub first_pause: Duration,
    /// But not beyond this: so long after the target is back, it is noticed at the latest.
    pub max_pause: Duration,
    /// The longest that a target may ask for with `Retry-After`.
    pub max_retry_after: Duration,
    /// How much of an answer's body is read, so that its connection can be used again; it is thrown away.
    pub max_answer_bytes: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(10),
            first_pause: Duration::from_secs(1),
            max_pause: Duration::from_secs(60),
            max_retry_after: Duration::from_secs(3600),
            max_answer_bytes: 4096,
        }
    }
}

impl Pace {
    /// The pause after so many failures. `random` takes up to half of it off, so that those who failed together do not
    /// come back together.
    pub(super) fn pause(&self, failures: u32, random: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let pause = self.first_pause.saturating_mul(doubled);
        let pause = pause.min(self.max_pause);
        pause.mul_f64(1.0 - f64::from(random) / f64::from(u32::MAX) / 2.0)
    }
}
