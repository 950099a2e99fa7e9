//! The session on long-polling, its upgrade and its heartbeat, by any operations in virtual time: the stories of
//! `engineio.rs`, told by the input.

use super::{
    Target,
    story::{Choices, Story},
};
use arbitrary::Unstructured;
use std::collections::HashSet;

pub const TARGET: Target = Target {
    name: "session",
    run,
    seeds,
    words: &[],
};

/// Longer ones say nothing new.
const STEPS: usize = 400;

/// What happens next is what the input says; at its end, always the first that can.
struct Told<'a>(Unstructured<'a>);

impl Choices for Told<'_> {
    fn below(&mut self, end: u64) -> u64 {
        self.0.int_in_range(0..=end - 1).unwrap_or(0)
    }
}

fn run(input: &[u8]) {
    let mut taken = HashSet::new();
    let mut story = Story::open(Told(Unstructured::new(input)), &mut taken);
    for _ in 0..STEPS {
        if story.choices.0.is_empty() || story.is_told() {
            break;
        }
        story.go_on();
    }
    story.end();
}

/// A story is a byte for the version, and two for each step: see `Story::go_on`.
fn seeds() -> Vec<Vec<u8>> {
    const SENDS: u16 = 0;
    const SAYS: u16 = 150;
    const FLUSHES: u16 = 250;
    const POSTED: u16 = 350;
    const READS: u16 = 450;
    const POLLS: u16 = 550;
    const WEBSOCKET: u16 = 670;
    const PROBES: u16 = 720;
    const MOVES: u16 = 780;
    const RECEIVES: u16 = 800;
    const ABORTS: u16 = 900;
    const SECOND: u16 = 910;
    const PONGS: u16 = 919;
    const WRONG_WAY: u16 = 930;
    const BYE: u16 = 931;
    const SERVER_CLOSES: u16 = 932;
    const PAUSES: u16 = 987;
    const WAKES: u16 = 995;
    let stories: &[&[u16]] = &[
        &[POLLS, SENDS, READS, SAYS, FLUSHES, POSTED, POLLS],
        &[
            POLLS, WEBSOCKET, PROBES, RECEIVES, SENDS, READS, MOVES, RECEIVES, SENDS, SAYS,
            FLUSHES, RECEIVES,
        ],
        &[WEBSOCKET, MOVES, RECEIVES, ABORTS],
        &[WEBSOCKET, PROBES, ABORTS, WEBSOCKET, SECOND, RECEIVES],
        &[
            POLLS, WAKES, READS, PONGS, FLUSHES, POSTED, WAKES, PAUSES, WAKES,
        ],
        &[SAYS, FLUSHES, WAKES, WAKES],
        &[WRONG_WAY, FLUSHES, POSTED],
        &[BYE, FLUSHES, POSTED],
        &[POLLS, SERVER_CLOSES],
    ];
    let written = |(version, story): (u8, &&[u16])| {
        let steps = story.iter().flat_map(|step| step.to_be_bytes());
        [version].into_iter().chain(steps).collect()
    };
    let versions = [0, 80].into_iter();
    versions
        .flat_map(|version| stories.iter().map(move |story| written((version, story))))
        .collect()
}
