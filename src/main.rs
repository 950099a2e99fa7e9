//! The program: does what the command line says.

#[cfg(feature = "mimalloc")]
mod allocator;

use rollcall::{
    cli::{self, Command},
    config::Config,
    daemon,
};
use std::{
    env,
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    let command = match cli::parse(env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => return fail(&error, 2),
    };
    match run(&command) {
        Ok(status) => ExitCode::from(status),
        Err(error) => fail(&*error, 1),
    }
}

/// Does it; the status to exit with.
fn run(command: &Command) -> Result<u8, Box<dyn Error>> {
    let lookup = |name: &str| env::var_os(name);
    let mut out = io::stdout();
    match command {
        Command::Serve => daemon::run(&configuration()?)?,
        Command::Check => cli::check(env::vars_os(), &mut out)?,
        Command::Help(topic) => cli::print(&mut out, &cli::help(*topic))?,
        Command::Version => cli::print(&mut out, &format!("rollcall {}\n", cli::VERSION))?,
        Command::Users(command) => {
            cli::run_users(command, &configuration()?, io::stdin(), &mut out)?
        }
        Command::Watch(command) => return Ok(cli::watch(command, lookup, &mut out)?),
        Command::Set(command) => cli::set(command, lookup, &mut out)?,
        Command::Health { url } => cli::health(url.as_deref(), lookup, &mut out)?,
        Command::Doctor(command) => {
            let is_well = cli::doctor::doctor(command, lookup, &mut out)?;
            return Ok(u8::from(!is_well));
        }
    }
    Ok(0)
}

fn configuration() -> Result<Config, Box<dyn Error>> {
    Ok(Config::read(|name| env::var_os(name))?)
}

fn fail(error: &dyn Error, status: u8) -> ExitCode {
    // Where standard error is closed, the status has to say it all.
    let _unwritable = writeln!(io::stderr(), "rollcall: {error}");
    ExitCode::from(status)
}
