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
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error, 1),
    }
}

fn run(command: &Command) -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout();
    match command {
        Command::Serve => daemon::run(&configuration()?)?,
        Command::Check => cli::check(env::vars_os(), &mut out)?,
        Command::Help => cli::print(&mut out, &cli::help())?,
        Command::Version => cli::print(&mut out, &format!("rollcall {}\n", cli::VERSION))?,
        Command::Users(command) => {
            cli::run_users(command, &configuration()?, io::stdin(), &mut out)?
        }
    }
    Ok(())
}

fn configuration() -> Result<Config, Box<dyn Error>> {
    Ok(Config::read(|name| env::var_os(name))?)
}

fn fail(error: &dyn Error, status: u8) -> ExitCode {
    // Where standard error is closed, the status has to say it all.
    let _unwritable = writeln!(io::stderr(), "rollcall: {error}");
    ExitCode::from(status)
}
