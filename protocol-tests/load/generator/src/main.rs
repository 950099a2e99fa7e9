//! The load generator: `run`, beside this package, builds what it measures and starts it.
//!
//! * `server`: a server under measurement. `floor`: one that is none.
//! * `swarm`, `client`: thousands of clients in one thread.
//! * `scenario`, `overload`: what they do. `users`: who they are.
//! * `figure`: what comes of it, and what was promised. `report`: for people to read.

mod client;
mod figure;
mod floor;
mod overload;
mod report;
mod scenario;
mod server;
mod swarm;
mod users;

use figure::{Figure, Sample, Summary};
use overload::Excess;
use scenario::{Bench, Effort};
use server::{Kind, Programs};
use std::{env, error::Error, fs, path::PathBuf, process::ExitCode, time::Duration};
use users::Users;

const HELP: &str = "\
Measures Rollcall beside its peers.

  load --rollcall P --socketioxide P --node-gateway P [--quick | --smoke] [--alone] [--only WHAT] [--clients N] [--page FILE --plot FILE --machine TEXT]

  --quick   one run of what the targets speak of, in a few minutes
  --smoke   whether all of it works, with a few clients; the figures mean nothing
  --alone   measure no peers
  --only    one of everyday, polling, storm, herd, overload and deaf; the last two are part of a quick run only so
  --clients with so many clients alone, where there are several sizes
  --rate    for the overload: so many changes in a second are too many, instead of finding out how many are
  --page    write the figures into this page, and --plot into this picture
";

/// How much is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    Full,
    Quick,
    Smoke,
}

struct Arguments {
    programs: Programs,
    plan: Plan,
    is_alone: bool,
    only: Option<String>,
    clients: Option<usize>,
    rate: Option<f64>,
    page: Option<PathBuf>,
    plot: Option<PathBuf>,
    machine: String,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("floor") {
        let clients = env::args().nth(2).ok_or("how many clients?")?.parse()?;
        return Ok(floor::run(clients)?);
    }
    let arguments = arguments()?;
    let samples = measure(&arguments)?;
    let verdicts = Summary(&samples).verdicts();
    let (table, promises) = (report::table(&samples), report::promises(&verdicts));
    println!("\n{table}\n{promises}");
    if let Some(page) = &arguments.page {
        let machine = &arguments.machine;
        report::write_page(page, &format!("\n{machine}\n\n{table}\n{promises}\n"))?;
    }
    if let Some(plot) = &arguments.plot {
        report::plot(&samples, plot)?;
    }
    Ok(())
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    use lexopt::prelude::*;
    let mut programs = Programs {
        rollcall: PathBuf::new(),
        socketioxide: PathBuf::new(),
        node_gateway: PathBuf::new(),
    };
    let (mut plan, mut is_alone, mut only, mut clients, mut rate) =
        (Plan::Full, false, None, None, None);
    let (mut page, mut plot, mut machine) = (None, None, String::new());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rollcall") => programs.rollcall = parser.value()?.into(),
            Long("socketioxide") => programs.socketioxide = parser.value()?.into(),
            Long("node-gateway") => programs.node_gateway = parser.value()?.into(),
            Long("quick") => plan = Plan::Quick,
            Long("smoke") => plan = Plan::Smoke,
            Long("alone") => is_alone = true,
            Long("clients") => clients = Some(parser.value()?.parse()?),
            Long("rate") => rate = Some(parser.value()?.parse()?),
            Long("only") => only = Some(parser.value()?.string()?),
            Long("page") => page = Some(parser.value()?.into()),
            Long("plot") => plot = Some(parser.value()?.into()),
            Long("machine") => machine = parser.value()?.string()?,
            Long("help") => {
                print!("{HELP}");
                std::process::exit(0);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Arguments {
        programs,
        plan,
        is_alone,
        only,
        clients,
        rate,
        page,
        plot,
        machine,
    })
}

fn measure(arguments: &Arguments) -> Result<Vec<Sample>, Box<dyn Error>> {
    let plan = arguments.plan;
    let (runs, steps, settle) = match plan {
        Plan::Full => (5, vec![1000, 2000, 4000, 8000, 16_000], 10),
        Plan::Quick => (1, vec![2000, 8000, 16_000], 10),
        Plan::Smoke => (1, vec![50], 0),
    };
    let (storm, herd, polling, polling_idle) = if plan == Plan::Smoke {
        (40, 20, 20, 20)
    } else {
        (2000, 5000, 2000, 8000)
    };
    let (overload, deaf, mut excess) = if plan == Plan::Smoke {
        (20, 20, Excess::of_ms(50, 300, 300))
    } else {
        (2000, 1000, Excess::of_ms(3000, 20_000, 25_000))
    };
    // The others need minutes, or lose clients, with as many.
    let (storm_of_peers, herd_of_peers) = if plan == Plan::Smoke {
        (40, 20)
    } else {
        (1000, 1000)
    };
    excess.rate = arguments.rate;
    let effort = |kind, clients| Effort {
        settle: Duration::from_secs(settle),
        paced: match plan {
            Plan::Smoke => 3,
            Plan::Quick => 20,
            Plan::Full => 40,
        },
        // No server shall be at its limit here: below a core at 20 us a delivery.
        pace: Duration::from_millis(if clients > 8000 { 400 } else { 200 }),
        // One of Node's takes a quarter of a minute.
        bursts: match (kind, plan) {
            (Kind::Node, Plan::Full) => 2,
            (Kind::Node, Plan::Quick | Plan::Smoke) => 1,
            _ => 5,
        },
        burst: 50,
    };
    let steps = arguments.clients.map_or(steps, |clients| vec![clients]);
    let numbers = steps.iter().copied().chain([
        1,
        storm,
        storm_of_peers,
        polling + 1,
        polling_idle,
        2 * herd + 1,
        2 * herd_of_peers + 1,
        2 * overload,
        2 * deaf,
    ]);
    let folder = env::temp_dir().join(format!("rollcall-load-{}", std::process::id()));
    let users = Users::new(&folder, numbers.collect())?;
    let mut bench = Bench {
        programs: &arguments.programs,
        users: &users,
        samples: Vec::new(),
    };
    let servers: &[Kind] = if arguments.is_alone {
        &[Kind::Rollcall]
    } else {
        &[Kind::Rollcall, Kind::Socketioxide, Kind::Node]
    };

    let binary = fs::metadata(&arguments.programs.rollcall)?.len() as f64;
    bench.samples.push(Sample {
        kind: Kind::Rollcall,
        clients: 0,
        figure: Figure::Binary,
        value: binary,
    });
    let wants = |what| arguments.only.as_deref().is_none_or(|only| only == what);
    for run in 1..=runs {
        println!("run {run} of {runs}");
        for kind in servers {
            bench.bare(*kind)?;
        }
        for clients in steps.iter().filter(|_| wants("everyday")) {
            // Beside the size that the targets speak of, only the line between them matters.
            let is_aside = plan != Plan::Smoke && *clients != 8000;
            for kind in servers.iter().copied().chain([Kind::Floor]) {
                // Of the peers the other sizes are for the plot.
                let is_for_plot = plan == Plan::Full && run == 1;
                if !is_aside || kind == Kind::Rollcall || is_for_plot {
                    let effort = effort(kind, *clients);
                    let settle = match is_aside {
                        true => effort.settle / 5,
                        false => effort.settle,
                    };
                    bench.everyday(kind, *clients, Effort { settle, ..effort })?;
                }
            }
        }
        for kind in servers {
            let is_ours = *kind == Kind::Rollcall;
            if wants("polling") {
                // Nobody has promised anything for the peers.
                if is_ours {
                    bench.polling_idle(*kind, polling_idle, effort(*kind, polling_idle))?;
                }
                bench.polling(*kind, polling, effort(*kind, polling))?;
            }
            let sizes = |ours, of_peers| match (is_ours, plan) {
                (true, Plan::Quick | Plan::Smoke) => vec![ours],
                (true, Plan::Full) => vec![of_peers, ours],
                (false, Plan::Quick) => vec![],
                (false, Plan::Full | Plan::Smoke) => vec![of_peers],
            };
            for clients in sizes(storm, storm_of_peers)
                .iter()
                .filter(|_| wants("storm"))
            {
                bench.storm(*kind, *clients)?;
            }
            for clients in sizes(herd, herd_of_peers).iter().filter(|_| wants("herd")) {
                bench.herd(*kind, *clients)?;
            }
        }
        // Nobody has promised anything for the peers here, either. They take two minutes, and a quick run has five.
        let is_asked_for = |what| match plan {
            Plan::Quick => arguments.only.as_deref() == Some(what),
            Plan::Full | Plan::Smoke => run == 1 && wants(what),
        };
        if is_asked_for("overload") {
            bench.overload(overload, excess)?;
        }
        if is_asked_for("deaf") {
            bench.deaf(deaf, excess)?;
        }
    }
    Ok(bench.samples)
}
