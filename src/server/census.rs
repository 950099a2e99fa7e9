//! The census: how many sessions, or connections, each network and each owner has.

use super::{Limit, Network};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

/// Whose a session is, to whoever counts; the numbers are the admission's to choose.
pub type Owner = u64;

/// Counts sessions, or connections, from the moment in which they get a place.
pub(super) struct Census {
    max_per_network: usize,
    max_per_owner: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    networks: HashMap<Network, usize>,
    owners: HashMap<Owner, usize>,
}

/// Whose one is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Whose {
    pub(super) network: Option<Network>,
    pub(super) owner: Option<Owner>,
}

/// One that is counted, until it is dropped.
pub(super) struct Counted {
    census: Arc<Census>,
    whose: Whose,
}

impl Census {
    pub(super) fn new(max_per_network: usize, max_per_owner: usize) -> Arc<Self> {
        Arc::new(Self {
            max_per_network,
            max_per_owner,
            counts: Mutex::default(),
        })
    }

    /// Counts one more, or names the limit that is in the way.
    pub(super) fn count(self: &Arc<Self>, whose: Whose) -> Result<Counted, Limit> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Whose { network, owner } = whose;
        if network.is_some_and(|network| has(&counts.networks, network) >= self.max_per_network) {
            return Err(Limit::SessionsPerNetwork);
        }
        if owner.is_some_and(|owner| has(&counts.owners, owner) >= self.max_per_owner) {
            return Err(Limit::SessionsPerOwner);
        }
        network
            .into_iter()
            .for_each(|network| add(&mut counts.networks, network));
        owner
            .into_iter()
            .for_each(|owner| add(&mut counts.owners, owner));
        Ok(Counted {
            census: Arc::clone(self),
            whose,
        })
    }

    /// One is gone that was counted.
    pub(super) fn discount(&self, Whose { network, owner }: Whose) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        network
            .into_iter()
            .for_each(|network| take(&mut counts.networks, network));
        owner
            .into_iter()
            .for_each(|owner| take(&mut counts.owners, owner));
    }
}

impl Counted {
    /// Leaves it to the caller to [`discount`](Census::discount) it.
    pub(super) fn into_whose(mut self) -> Whose {
        std::mem::take(&mut self.whose)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.discount(self.whose);
    }
}

fn has<K: Eq + Hash>(counts: &HashMap<K, usize>, key: K) -> usize {
    counts.get(&key).copied().unwrap_or_default()
}

fn add<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    *counts.entry(key).or_default() += 1;
}

/// None is kept at zero.
fn take<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
