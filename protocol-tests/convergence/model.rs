//! The model: what must be known of one user, worked out by other means than the roster's. It is fed with what was
//! done, and keeps every world that the rules allow: where a return may or may not have come within the grace.

use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// `state`, `game_id` and `details`, as the client sends them.
pub type Doing = (&'static str, Option<u64>, Option<&'static str>);

/// Whose device it is. A lost one stands for whoever had it, since then at the earliest.
#[derive(Debug, Clone, PartialEq)]
enum Holder {
    Client {
        number: usize,
        joined: u64,
        is_new: bool,
    },
    Lost {
        at: u64,
        since: Instant,
    },
    Lease {
        is_short: bool,
    },
}

/// What it reported, under whose socket id (none: a lease's, which nobody knows), and when that was new.
#[derive(Debug, Clone, PartialEq)]
struct Device {
    holder: Holder,
    report: Option<(Doing, Option<String>, u64)>,
}

type World = Vec<Device>;

#[derive(Debug, Clone)]
pub struct Model {
    worlds: Vec<World>,
    /// Counts what happens.
    clock: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            worlds: vec![World::new()],
            clock: 0,
        }
    }
}

fn rank(state: &str) -> usize {
    ["ONLINE", "BUSY", "PLAYING"]
        .iter()
        .position(|its| *its == state)
        .expect("a state")
}

fn set(device: &mut Device, doing: Option<Doing>, socket: Option<&str>, clock: u64) {
    match (&mut device.report, doing) {
        (Some((old, ..)), Some(new)) if (old.0, old.1) == (new.0, new.1) => *old = new,
        (report, doing) => *report = doing.map(|doing| (doing, socket.map(str::to_owned), clock)),
    }
}

/// The highest state, and of those the newest.
fn top(world: &World) -> Option<&(Doing, Option<String>, u64)> {
    let reports = world.iter().filter_map(|device| device.report.as_ref());
    reports.max_by_key(|(doing, _, changed)| (rank(doing.0), *changed))
}

impl Model {
    /// One more thing happens, in each world.
    fn step(&mut self, mut step: impl FnMut(&mut World, u64)) {
        self.clock += 1;
        for world in &mut self.worlds {
            step(world, self.clock);
        }
    }

    pub fn join(&mut self, number: usize) {
        self.step(|world, joined| {
            let holder = Holder::Client {
                number,
                joined,
                is_new: true,
            };
            world.push(Device {
                holder,
                report: None,
            });
        });
    }

    pub fn leave(&mut self, client: usize) {
        self.step(|world, _| world.retain(|device| !device.is(client)));
    }

    /// All are gone, and what was said is no more.
    pub fn clear(&mut self) {
        self.step(|world, _| world.clear());
        self.tidy();
    }

    pub fn lose(&mut self, client: usize, since: Instant) {
        self.step(|world, at| {
            for device in world.iter_mut().filter(|device| device.is(client)) {
                device.holder = Holder::Lost { at, since };
            }
            world.retain(|device| {
                device.report.is_some() || !matches!(device.holder, Holder::Lost { .. })
            });
        });
    }

    /// A report that was answered at `answered`.
    pub fn report(
        &mut self,
        client: usize,
        socket: &str,
        doing: Option<Doing>,
        answered: Instant,
        grace: Duration,
    ) {
        // What may have been over by then was over in some of the worlds, the longest-lost first.
        for mut world in self.worlds.clone() {
            while let Some(lost) = longest_lost(&world, u64::MAX, |since| since + grace <= answered)
            {
                world.remove(lost);
                self.worlds.push(world.clone());
            }
        }
        self.step(|world, clock| {
            let Some(place) = world.iter().position(|device| device.is(client)) else {
                return;
            };
            if let Holder::Client {
                joined,
                is_new: is_new @ true,
                ..
            } = &mut world[place].holder
            {
                *is_new = false;
                let joined = *joined;
                if let Some(lost) = longest_lost(world, joined, |_| true) {
                    world[place].report = world[lost].report.take();
                }
            }
            set(&mut world[place], doing, Some(socket), clock);
            world.retain(|device| {
                device.report.is_some() || !matches!(device.holder, Holder::Lost { .. })
            });
        });
        self.tidy();
    }

    pub fn lease(&mut self, doing: Option<Doing>, is_short: bool) {
        self.step(|world, clock| {
            let place = world
                .iter()
                .position(Device::is_lease)
                .unwrap_or(world.len());
            if place == world.len() {
                world.push(Device {
                    holder: Holder::Lease { is_short },
                    report: None,
                });
            }
            world[place].holder = Holder::Lease { is_short };
            set(&mut world[place], doing, None, clock);
            world.retain(|device| device.report.is_some() || !device.is_lease());
        });
    }

    /// The server was started anew, at `since` or later: what was known is there as lost, if it keeps that.
    pub fn restart(&mut self, keeps: bool, since: Instant) {
        self.step(|world, at| {
            let known = top(world).cloned().filter(|_| keeps);
            let holder = Holder::Lost { at, since };
            world.clear();
            world.extend(known.map(|report| Device {
                holder,
                report: Some(report),
            }));
        });
        self.tidy();
    }

    /// All that ends by itself has ended.
    pub fn settle(&mut self) {
        self.step(|world, _| {
            world.retain(|device| {
                !matches!(
                    device.holder,
                    Holder::Lost { .. } | Holder::Lease { is_short: true }
                )
            });
        });
        self.tidy();
    }

    /// Keeps the worlds in which this is known of the user, if there are any.
    pub fn narrow(&mut self, known: Option<&Value>) -> bool {
        let fits = |world: &World| match (top(world), known) {
            (None, None) => true,
            (Some(((state, game, details), socket, _)), Some(known)) => {
                let told = [&known["state"], &known["game_id"], &known["details"]];
                told == [&json!(state), &json!(game), &json!(details)]
                    && socket
                        .as_ref()
                        .is_none_or(|socket| known["socket_id"] == *socket.as_str())
            }
            _ => false,
        };
        if !self.worlds.iter().any(fits) {
            return false;
        }
        self.worlds.retain(fits);
        true
    }

    /// What may be known, for people.
    pub fn show(&self) -> String {
        let worlds = self.worlds.iter().map(|world| match top(world) {
            None => "OFFLINE".to_owned(),
            Some(((state, game, details), socket, _)) => {
                format!(
                    "{state} {game:?} {details:?} as {}",
                    socket.as_deref().unwrap_or("its lease")
                )
            }
        });
        worlds.collect::<Vec<_>>().join(" or ")
    }

    pub fn worlds(&self) -> usize {
        self.worlds.len()
    }

    fn tidy(&mut self) {
        let mut unlike: Vec<World> = Vec::new();
        for world in self.worlds.drain(..) {
            if !unlike.contains(&world) {
                unlike.push(world);
            }
        }
        self.worlds = unlike;
    }
}

/// Of those lost before the count was at `before`, and so that `is_meant`, the one that has been lost for the longest.
fn longest_lost(world: &World, before: u64, is_meant: impl Fn(Instant) -> bool) -> Option<usize> {
    let lost = |device: &Device| match device.holder {
        Holder::Lost { at, since } if at < before && is_meant(since) => Some(at),
        _ => None,
    };
    (0..world.len())
        .filter(|place| lost(&world[*place]).is_some())
        .min_by_key(|place| lost(&world[*place]))
}

impl Device {
    fn is(&self, client: usize) -> bool {
        matches!(self.holder, Holder::Client { number, .. } if number == client)
    }

    fn is_lease(&self) -> bool {
        matches!(self.holder, Holder::Lease { .. })
    }
}
