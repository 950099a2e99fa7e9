//! The story: what all clients do, made from a seed before anything happens, so that parts of it can be left out.

use crate::{
    CLIENTS, USERS,
    model::Doing,
    support::Random,
    ways::{Cut, Loss, Way},
};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

/// What is done for a user, mostly by one of its clients. What cannot be done just then is left out.
#[derive(Debug, Clone)]
pub enum Op {
    Join(usize, Way),
    Report(usize, Option<Doing>),
    /// Many reports at once.
    Burst(usize, Vec<Doing>),
    /// Socket.IO's goodbye, or Engine.IO's.
    Leave(usize, bool),
    /// Leaves the namespace and joins it again, in the same session.
    Rejoin(usize),
    Lose(usize, Loss),
    /// Is lost, comes back at once, and reports.
    Flap(usize, Loss, Way, Option<Doing>),
    Upgrade(usize, Option<Cut>),
    Watch(usize, Option<Vec<u64>>),
    Get(usize),
    Rotate,
    Lease(Option<Doing>, bool),
}

/// What happens between two quiet points, or ends at one.
#[derive(Debug, Clone)]
pub enum Phase {
    /// Each user does its own, one thing after another; all users at once. These clients do not read meanwhile.
    Round {
        stalled: Vec<usize>,
        steps: Vec<(usize, Op)>,
    },
    /// The server stops, or is killed, and starts anew. No quiet point follows: the return is a part of it.
    Restart { kill: bool },
}

pub type Story = Vec<Phase>;

/// Whose client it is.
pub fn user_of(client: usize) -> usize {
    client % USERS + 1
}

pub fn tell(seed: u64) -> Story {
    let mut teller = Teller {
        random: Random::new(seed),
        there: BTreeMap::new(),
    };
    let mut story = Vec::new();
    // A few alone, some of whom get more than they read.
    let few = CLIENTS / 8;
    let mut first = teller.round(few, 100, 2);
    if teller.random.chance(50) {
        story.push(Phase::Round {
            stalled: Vec::new(),
            steps: first,
        });
        first = Vec::new();
        let (stalled, bursting): (Vec<usize>, Vec<usize>) = teller
            .there
            .keys()
            .partition(|client| user_of(**client).is_multiple_of(2));
        for client in bursting.into_iter().take(4) {
            // More than is told at once.
            let games = (0..400).map(|game| ("PLAYING", Some(game), None));
            first.push((user_of(client), Op::Burst(client, games.collect())));
        }
        story.push(Phase::Round {
            stalled,
            steps: first,
        });
    } else {
        story.push(Phase::Round {
            stalled: Vec::new(),
            steps: first,
        });
    }
    for _ in 0..2 {
        story.push(Phase::Round {
            stalled: Vec::new(),
            steps: teller.round(CLIENTS, 90, 4),
        });
    }
    story.push(Phase::Restart {
        kill: teller.random.chance(25),
    });
    let before = std::mem::take(&mut teller.there);
    let mut steps = Vec::new();
    for client in before.into_keys().filter(|client| client % 5 > 0) {
        let way = teller.way();
        steps.push((user_of(client), Op::Join(client, way)));
        let doing = teller.doing();
        steps.push((user_of(client), Op::Report(client, doing)));
        teller.there.insert(client, way);
    }
    story.push(Phase::Round {
        stalled: Vec::new(),
        steps,
    });
    story.push(Phase::Round {
        stalled: Vec::new(),
        steps: teller.round(CLIENTS, 40, 3),
    });
    story
}

struct Teller {
    random: Random,
    /// Which clients are there by what was told so far, and how they came.
    there: BTreeMap<usize, Way>,
}

impl Teller {
    /// Up to `more` things for each user, of whose absent clients `percent` join; of the first `clients`.
    fn round(&mut self, clients: usize, percent: u64, more: u64) -> Vec<(usize, Op)> {
        let mut steps = Vec::new();
        for user in 1..=USERS {
            let own: Vec<usize> = (0..clients)
                .filter(|client| user_of(*client) == user)
                .collect();
            for client in &own {
                if !self.there.contains_key(client) && self.random.chance(percent) {
                    let way = self.way();
                    self.there.insert(*client, way);
                    steps.push((user, Op::Join(*client, way)));
                    if self.random.chance(70) {
                        let doing = self.doing();
                        steps.push((user, Op::Report(*client, doing)));
                    }
                }
            }
            for _ in 0..self.random.below(more + 1) {
                if let Some(client) = own.get(self.random.below(own.len().max(1) as u64) as usize) {
                    let op = self.op(*client);
                    steps.push((user, op));
                }
            }
        }
        steps
    }

    fn op(&mut self, client: usize) -> Op {
        let way = self.way();
        let doing = self.doing();
        if let Entry::Vacant(place) = self.there.entry(client) {
            place.insert(way);
            return Op::Join(client, way);
        }
        match self.random.below(40) {
            0..12 => Op::Report(client, doing),
            12..15 => {
                self.there.remove(&client);
                Op::Leave(client, self.random.chance(50))
            }
            15..18 => {
                self.there.remove(&client);
                Op::Lose(client, self.loss())
            }
            18..24 => {
                self.there.insert(client, way);
                let loss =
                    [Loss::Reset, Loss::CloseFrame, Loss::HalfClose][self.random.below(3) as usize];
                Op::Flap(client, loss, way, doing)
            }
            24..26 => Op::Rejoin(client),
            26..28 => Op::Upgrade(client, None),
            28..31 => Op::Upgrade(client, self.cut()),
            31..34 => {
                let users = (1..=USERS as u64)
                    .filter(|_| self.random.chance(20))
                    .collect();
                Op::Watch(client, Some(users).filter(|_| !client.is_multiple_of(3)))
            }
            34..35 => Op::Get(client),
            35..36 => {
                self.there
                    .retain(|other, _| user_of(*other) != user_of(client));
                Op::Rotate
            }
            _ => Op::Lease(doing, self.random.chance(30)),
        }
    }

    fn way(&mut self) -> Way {
        match self.random.below(8) {
            0..3 => Way::WebSocket {
                is_narrow: self.random.chance(50),
            },
            3..5 => Way::Polling { upgrade: None },
            5..7 => Way::Polling {
                upgrade: Some(None),
            },
            _ => Way::Polling {
                upgrade: Some(self.cut()),
            },
        }
    }

    fn cut(&mut self) -> Option<Cut> {
        let cuts = [
            Cut::AtOnce,
            Cut::BeforeProbe,
            Cut::AfterProbe,
            Cut::BeforeUpgrade,
        ];
        Some(cuts[self.random.below(4) as usize])
    }

    fn loss(&mut self) -> Loss {
        match self.random.below(8) {
            0..2 => Loss::Reset,
            2..4 => Loss::CloseFrame,
            4..7 => Loss::HalfClose,
            _ => Loss::Silence,
        }
    }

    /// Few values, so that the same is often said again.
    fn doing(&mut self) -> Option<Doing> {
        let details = [None, None, Some("a"), Some("b")][self.random.below(4) as usize];
        match self.random.below(9) {
            0 => None,
            1 | 2 => Some(("ONLINE", None, details)),
            3 | 4 => Some(("BUSY", None, details)),
            _ => {
                let game = [None, Some(7), Some(8)][self.random.below(3) as usize];
                Some(("PLAYING", game, details))
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------
// Leaving parts out.

/// How many parts it has that can be left out.
pub fn parts(story: &Story) -> usize {
    let parts = story.iter().map(|phase| match phase {
        Phase::Round { stalled, steps } => stalled.len() + steps.len(),
        Phase::Restart { .. } => 1,
    });
    parts.sum()
}

/// The story of those parts that are kept, by number and user.
pub fn keep(story: &Story, mut is_kept: impl FnMut(usize, Option<usize>) -> bool) -> Story {
    let mut number = 0;
    let mut next = |user| {
        number += 1;
        is_kept(number - 1, user)
    };
    let mut kept = Vec::new();
    for phase in story {
        match phase {
            Phase::Round { stalled, steps } => kept.push(Phase::Round {
                stalled: stalled
                    .iter()
                    .copied()
                    .filter(|client| next(Some(user_of(*client))))
                    .collect(),
                steps: steps
                    .iter()
                    .filter(|(user, _)| next(Some(*user)))
                    .cloned()
                    .collect(),
            }),
            Phase::Restart { .. } if next(None) => kept.push(phase.clone()),
            Phase::Restart { .. } => {}
        }
    }
    kept.retain(|phase| !matches!(phase, Phase::Round { stalled, steps } if stalled.is_empty() && steps.is_empty()));
    kept
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restart { kill } => writeln!(
                f,
                "the server {} and starts anew",
                if *kill { "is killed" } else { "stops" }
            ),
            Self::Round { stalled, steps } => {
                if !stalled.is_empty() {
                    writeln!(
                        f,
                        "until all is done, these clients do not read: {stalled:?}"
                    )?;
                }
                let mut users: Vec<usize> = steps.iter().map(|(user, _)| *user).collect();
                users.sort_unstable();
                users.dedup();
                for user in users {
                    writeln!(f, "user {user}:")?;
                    for (_, op) in steps.iter().filter(|(its, _)| *its == user) {
                        match op {
                            Op::Burst(client, doings) => {
                                writeln!(f, "    Burst({client}, {} games)", doings.len())?
                            }
                            op => writeln!(f, "    {op:?}")?,
                        }
                    }
                }
                writeln!(f, "a quiet point")
            }
        }
    }
}
