//! From words to a [`Command`].

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use lexopt::{Arg, Parser};

use super::help::Topic;
use super::{Access, Command, DoctorCommand, SetCommand, UsersCommand, WatchCommand};
use crate::config::nearest;
use crate::users::Role;

/// The words after `rollcall`.
const COMMANDS: [&str; 9] = [
    "serve", "check", "users", "watch", "set", "health", "doctor", "help", "version",
];

/// The words after `rollcall users`.
const USERS_COMMANDS: [&str; 8] = [
    "add",
    "list",
    "key",
    "rotate",
    "activate",
    "deactivate",
    "password",
    "remove",
];

/// The words after `rollcall set`.
const STATES: [&str; 4] = ["ONLINE", "BUSY", "PLAYING", "OFFLINE"];

/// The role of a new user when none is said.
const DEFAULT_ROLE: Role = Role::User;

/// How long what is set holds when nothing is said: an evening may be longer, and forgetting should not be.
const DEFAULT_TTL: Duration = Duration::from_secs(3600);

/// The longest lease that a server gives.
const MAX_TTL: Duration = Duration::from_secs(86_400);

/// The largest whole number that JavaScript tells from its neighbours.
const MAX_GAME_ID: u64 = (1 << 53) - 1;

/// An option that some commands have.
struct OptionOf {
    name: &'static str,
    has_value: bool,
    commands: &'static [&'static str],
}

/// All of them but those that every command has.
const OPTIONS: [OptionOf; 7] = [
    OptionOf {
        name: "role",
        has_value: true,
        commands: &["users add"],
    },
    OptionOf {
        name: "key-file",
        has_value: true,
        commands: &["watch", "set", "doctor"],
    },
    OptionOf {
        name: "json",
        has_value: false,
        commands: &["watch", "set", "doctor"],
    },
    OptionOf {
        name: "for",
        has_value: true,
        commands: &["set"],
    },
    OptionOf {
        name: "details",
        has_value: true,
        commands: &["set"],
    },
    OptionOf {
        name: "origin",
        has_value: true,
        commands: &["doctor"],
    },
    OptionOf {
        name: "heartbeat",
        has_value: false,
        commands: &["doctor"],
    },
];

/// The options that were given, each once; of a repeated one the last counts.
#[derive(Default)]
struct Given(Vec<(&'static OptionOf, OsString)>);

impl Given {
    fn take(&mut self, name: &str) -> Option<OsString> {
        let place = self.0.iter().position(|(option, _)| option.name == name)?;
        Some(self.0.swap_remove(place).1)
    }

    fn take_text(&mut self, name: &str) -> Result<Option<String>, UsageError> {
        self.take(name).map(text).transpose()
    }

    /// Where the server is, and the key.
    fn access(&mut self, url: Option<&str>) -> Access {
        Access {
            url: url.map(str::to_owned),
            key_file: self.take("key-file").map(Into::into),
        }
    }
}

/// Understands the arguments, the program's own name not among them.
///
/// # Errors
///
/// For anything that is not a command as `--help` has it. The program then exits with status 2.
pub fn parse<I>(arguments: I) -> Result<Command, UsageError>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let mut parser = Parser::from_args(arguments);
    let mut words = Vec::new();
    let mut given = Given::default();
    let (mut help, mut version) = (false, false);
    while let Some(argument) = parser.next().map_err(UsageError::new)? {
        match argument {
            // Not at once: `--help=x` is noticed when the next argument is asked for.
            Arg::Short('h') | Arg::Long("help") => help = true,
            Arg::Short('V') | Arg::Long("version") => version = true,
            Arg::Long(name) => {
                let known = OPTIONS.iter().find(|option| option.name == name);
                let option = known.ok_or_else(|| unknown_option(name))?;
                let value = match option.has_value {
                    true => parser.value().map_err(UsageError::new)?,
                    false => OsString::new(),
                };
                given.take(option.name);
                given.0.push((option, value));
            }
            Arg::Value(word) => words.push(text(word)?),
            other => return Err(UsageError::new(other.unexpected())),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if help {
        return Ok(Command::Help(Topic::of(words.first().copied())));
    }
    if version {
        return Ok(Command::Version);
    }
    let command = command(&words, &mut given)?;
    match given.0.first() {
        None => Ok(command),
        Some((option, _)) => Err(misplaced(option)),
    }
}

fn command(words: &[&str], given: &mut Given) -> Result<Command, UsageError> {
    Ok(match words {
        [] | ["serve"] => Command::Serve,
        ["check"] => Command::Check,
        ["help"] => Command::Help(Topic::Program),
        ["help", topic] if COMMANDS.contains(topic) => Command::Help(Topic::of(Some(topic))),
        ["help", unknown] => return Err(unknown_word("command", unknown, &COMMANDS)),
        ["version"] => Command::Version,
        ["users", words @ ..] => Command::Users(users_command(words, given)?),
        ["watch", url @ ..] => Command::Watch(WatchCommand {
            access: given.access(at_most_one("watch", url)?),
            json: given.take("json").is_some(),
        }),
        ["set", words @ ..] => Command::Set(set_command(words, given)?),
        ["health", url @ ..] => Command::Health {
            url: at_most_one("health", url)?.map(str::to_owned),
        },
        ["doctor", url @ ..] => Command::Doctor(DoctorCommand {
            access: given.access(at_most_one("doctor", url)?),
            origin: given.take_text("origin")?,
            heartbeat: given.take("heartbeat").is_some(),
            json: given.take("json").is_some(),
        }),
        [known, extra, ..] if COMMANDS.contains(known) => {
            return Err(UsageError(format!("{known} takes no argument {extra:?}")));
        }
        [unknown, ..] => return Err(unknown_word("command", unknown, &COMMANDS)),
    })
}

/// The URL behind a command, if there is one.
fn at_most_one<'a>(command: &str, urls: &[&'a str]) -> Result<Option<&'a str>, UsageError> {
    match urls {
        [] => Ok(None),
        [url] => Ok(Some(url)),
        [_, extra, ..] => Err(UsageError(format!(
            "{command} takes one URL, and {extra:?} is one more"
        ))),
    }
}

fn set_command(words: &[&str], given: &mut Given) -> Result<SetCommand, UsageError> {
    let (&word, rest) = words
        .split_first()
        .ok_or_else(|| UsageError(format!("set needs one of the words {}", STATES.join(", "))))?;
    let known = STATES
        .into_iter()
        .find(|state| word.eq_ignore_ascii_case(state));
    let state = known.ok_or_else(|| unknown_word("state", &word.to_ascii_uppercase(), &STATES))?;
    let game_id = match (state, rest) {
        (_, []) => None,
        ("PLAYING", [id]) => Some(game_id(id)?),
        ("PLAYING", [_, extra, ..]) => {
            return Err(UsageError(format!(
                "set PLAYING takes one game, and {extra:?} is one more"
            )));
        }
        (_, [extra, ..]) => {
            return Err(UsageError(format!(
                "set {state} takes no argument {extra:?}"
            )));
        }
    };
    let ttl = given.take_text("for")?;
    let details = given.take_text("details")?;
    if state == "OFFLINE" && (ttl.is_some() || details.is_some()) {
        return Err(UsageError(
            "set OFFLINE takes back what was set: --for and --details have no place there"
                .to_owned(),
        ));
    }
    Ok(SetCommand {
        access: given.access(None),
        state,
        game_id,
        details,
        ttl: ttl.as_deref().map_or(Ok(DEFAULT_TTL), time_to_live)?,
        json: given.take("json").is_some(),
    })
}

fn game_id(word: &str) -> Result<u64, UsageError> {
    let id = word.parse().ok().filter(|id| *id <= MAX_GAME_ID);
    id.ok_or_else(|| {
        UsageError(format!(
            "{word:?} is no game: its id is a whole number from 0 to {MAX_GAME_ID}"
        ))
    })
}

fn time_to_live(word: &str) -> Result<Duration, UsageError> {
    let ttl = humantime::parse_duration(word).ok();
    let ttl = ttl.map(|ttl| Duration::from_secs(ttl.as_secs()));
    let possible = ttl.filter(|ttl| (Duration::from_secs(1)..=MAX_TTL).contains(ttl));
    possible.ok_or_else(|| {
        UsageError(format!(
            "--for {word:?} is no time from 1s to 24h, such as 90s, 45m, 2h or \"1h 30m\""
        ))
    })
}

fn users_command(words: &[&str], given: &mut Given) -> Result<UsersCommand, UsageError> {
    let (&verb, arguments) = words.split_first().ok_or_else(|| {
        UsageError(format!(
            "users needs one of the words {}",
            USERS_COMMANDS.join(", ")
        ))
    })?;
    if !USERS_COMMANDS.contains(&verb) {
        return Err(unknown_word("users command", verb, &USERS_COMMANDS));
    }
    let name = match (verb, arguments) {
        ("list", []) => return Ok(UsersCommand::List),
        ("list", [extra, ..]) => {
            return Err(UsageError(format!(
                "users list takes no argument {extra:?}"
            )));
        }
        (_, [name]) => (*name).to_owned(),
        (_, []) => return Err(UsageError(format!("users {verb} needs the name of a user"))),
        (_, [_, extra, ..]) => {
            return Err(UsageError(format!(
                "users {verb} takes one name, and {extra:?} is one more"
            )));
        }
    };
    Ok(match verb {
        "add" => UsersCommand::Add {
            name,
            role: match given.take_text("role")? {
                None => DEFAULT_ROLE,
                Some(word) => word
                    .parse()
                    .map_err(|error| UsageError(format!("{word:?} is no role: {error}")))?,
            },
        },
        "key" => UsersCommand::Key { name },
        "rotate" => UsersCommand::Rotate { name },
        "activate" => UsersCommand::Activate { name },
        "deactivate" => UsersCommand::Deactivate { name },
        "password" => UsersCommand::Password { name },
        "remove" => UsersCommand::Remove { name },
        other => return Err(unknown_word("users command", other, &USERS_COMMANDS)),
    })
}

fn text(word: OsString) -> Result<String, UsageError> {
    word.into_string()
        .map_err(|word| UsageError(format!("{word:?} is not UTF-8 text")))
}

fn unknown_word(sort: &str, word: &str, known: &[&str]) -> UsageError {
    let hint = match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("there are {}", known.join(", ")),
    };
    UsageError(format!("there is no {sort} {word:?}; {hint}"))
}

fn unknown_option(name: &str) -> UsageError {
    let known = OPTIONS.iter().map(|option| option.name);
    let hint = match nearest(name, known.chain(["help", "version"])) {
        Some(near) => format!("; did you mean --{near}?"),
        None => String::new(),
    };
    UsageError(format!("invalid option '--{name}'{hint}"))
}

/// An option where it means nothing.
fn misplaced(option: &OptionOf) -> UsageError {
    let commands: Vec<String> = option
        .commands
        .iter()
        .map(|command| format!("`{command}`"))
        .collect();
    UsageError(format!(
        "--{} is an option of {} only",
        option.name,
        commands.join(", ")
    ))
}

/// The arguments make no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError(String);

impl UsageError {
    fn new(problem: lexopt::Error) -> UsageError {
        UsageError(problem.to_string())
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n`rollcall --help` shows all commands", self.0)
    }
}

impl Error for UsageError {}
