//! What `rollcall --help` says, and `rollcall COMMAND --help`.

use crate::config;

/// The program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The program as a whole.
    Program,
    /// One of its commands.
    Command(&'static str),
}

/// What stands before the settings.
const PROGRAM: &str = "\
Usage: rollcall [COMMAND]

Tells everyone who is online, busy or playing: a presence server that speaks GameVault's activity gateway over Socket.IO.

Commands:
  serve                    Run the server; also without a command. The first start makes an admin and prints the key.
  check                    Validate the configuration and the user file, and show the configuration.
  users add NAME [--role guest|user|editor|admin]
                           Add a user, of role user unless said, and print its key.
  users list               Show all users, without their keys.
  users key NAME           Print a user's key.
  users rotate NAME        Give a user a new key and print it; the old one is void.
  users activate NAME      Let a user in.
  users deactivate NAME    Let a user in no longer. (An admin comes in all the same.)
  users password NAME      Give a user a password, read from standard input or asked for.
  users remove NAME        Remove a user. The name is free again, the id is not.
  watch [URL]              Show what everyone does, as it changes.
  set STATE [GAME]         Say what one does: ONLINE, BUSY, PLAYING or OFFLINE.
  health [URL]             Exit with 0 if the server is alive, with 1 if not.
  doctor [URL]             Say in plain words what is wrong with a deployment.
  help [COMMAND]           Show this, or more of a command; also COMMAND --help, -h.
  version, --version, -V   Show the version.

A running server takes a change of the users within two seconds, and disconnects those who may stay no longer.

Examples:
  rollcall
  SERVER_PORT=9000 rollcall serve
  key=$(rollcall users add alice)
  rollcall users add bob --role admin
  rollcall users password alice < password.txt
  USERS_FILE=/srv/rollcall/users.json rollcall users list
  ROLLCALL_KEY=$key rollcall watch http://localhost:8080
  ROLLCALL_KEY=$key rollcall set PLAYING 42 --for 2h
  rollcall doctor https://games.example

Exit status: 0 when all went well, 1 when something did not, 2 when the command was not understood.

Settings, from the environment, with their defaults. A variable with _FILE behind its name, such as SERVER_PORT_FILE, names a
file that holds the value, and wins. An empty value is none.

";

const SERVE: &str = "\
Usage: rollcall [serve]

Runs the server until it is told to stop by SIGTERM or Ctrl-C. It is configured by the environment: `rollcall help` has all
settings, and `rollcall check` says whether they are good. The first start makes a user, admin, and prints the key.

Examples:
  rollcall
  SERVER_PORT=9000 SERVER_LOG_LEVEL=debug rollcall serve
";

const CHECK: &str = "\
Usage: rollcall check

Says whether the server would start: validates the environment, the user file and the client bundle, if there is one, and prints
the configuration, secrets blanked, as a file of variables.

Examples:
  rollcall check
  SERVER_PORT=9000 rollcall check > rollcall.env
";

const USERS: &str = "\
Usage: rollcall users add NAME [--role guest|user|editor|admin]
       rollcall users list
       rollcall users key|rotate|activate|deactivate|password|remove NAME

Looks at the users in USERS_FILE, or changes them. A running server takes a change within two seconds, and disconnects those who
may stay no longer. Keys are printed on standard output, and nothing else is.

Options:
  --role ROLE     The role of a new user; user unless said.

Examples:
  key=$(rollcall users add alice)
  rollcall users add bob --role admin
  rollcall users list
  rollcall users rotate alice
  rollcall users password alice < password.txt
  USERS_FILE=/srv/rollcall/users.json rollcall users remove bob
";

const WATCH: &str = "\
Usage: rollcall watch [URL] [--json] [--key-file FILE]

Shows what everyone does, as it changes: in a terminal the roster, elsewhere a line for each change, which is the time, the name,
the state, the game and the details, with a tab between each two. It works with every server that speaks the contract, the
original GameVault included. Names are those of GET /api/users, or else ids. A connection that is lost is tried again; a key that
is refused ends it, with 1.

Options:
  --json            A JSON object a line.
  --key-file FILE   The file with the API key.
";

const SET: &str = "\
Usage: rollcall set ONLINE|BUSY [--for TIME] [--details TEXT]
       rollcall set PLAYING [GAME] [--for TIME] [--details TEXT]
       rollcall set OFFLINE

Says what one does, for an hour unless said, and prints what everyone is told now: another device may say more. OFFLINE takes back
what was set. GAME is the game's id. It needs a server that has leases, as Rollcall has.

Options:
  --for TIME        For how long: 1s to 24h, such as 90s, 45m, 2h or \"1h 30m\".
  --details TEXT    In one's own words, 128 characters at most.
  --json            What everyone is told, as JSON.
  --key-file FILE   The file with the API key.
";

const HEALTH: &str = "\
Usage: rollcall health [URL]

Asks the server at GET /healthz whether it is alive, and exits with 0 or 1: for containers in which there is no curl. Without a URL
it asks the server of this environment, by SERVER_HOST and SERVER_PORT.

Examples:
  rollcall health
  SERVER_PORT=9000 rollcall health
  rollcall health http://10.0.0.7:8080
  HEALTHCHECK CMD [\"/rollcall\", \"health\"]     in a Dockerfile
";

const DOCTOR: &str = "\
Usage: rollcall doctor [URL] [--origin ORIGIN] [--heartbeat] [--json] [--key-file FILE]

Examines a deployment from outside, as a client sees it, and says what is wrong and what to do: name, connection, TLS, path, key,
long-polling, sticky sessions, buffering, WebSocket, CORS, clock. Exits with 1 if something fails. Without a key it sees less.

Options:
  --origin ORIGIN   A web page's origin, such as https://games.example, which is to be let in.
  --heartbeat       Wait for the server's ping as well, half a minute, which some proxies do not.
  --json            A JSON object a line.
  --key-file FILE   The file with the API key.
";

/// What is the same for all who ask a server.
const ASKING: &str = "
Environment:
  ROLLCALL_URL      The server, where no URL is given; http://localhost with SERVER_PORT (8080) without.
  ROLLCALL_KEY      The API key, or ROLLCALL_KEY_FILE, a file with it; asked for in a terminal. Never an argument: everyone sees those.
";

const WATCH_EXAMPLES: &str = "
Examples:
  rollcall watch
  ROLLCALL_KEY_FILE=key.txt rollcall watch https://games.example
  rollcall watch --json | jq -r 'select(.state == \"PLAYING\") | .username'
";

const SET_EXAMPLES: &str = "
Examples:
  rollcall set PLAYING 42 --for 2h
  rollcall set BUSY --details \"at dinner\"
  ROLLCALL_URL=https://games.example rollcall set OFFLINE
";

const DOCTOR_EXAMPLES: &str = "
Examples:
  rollcall doctor https://games.example
  ROLLCALL_KEY_FILE=key.txt rollcall doctor https://games.example --origin https://www.games.example
  rollcall doctor --heartbeat --json
";

const OTHER: &str = "\
Usage: rollcall help [COMMAND]
       rollcall version

Shows all commands and settings, or more of one command; or which version this is.

Examples:
  rollcall help
  rollcall help users
  rollcall version
";

impl Topic {
    /// By the first word of a command line; one that is no command is about the program.
    pub(super) fn of(word: Option<&str>) -> Topic {
        let commands = [
            "serve", "check", "users", "watch", "set", "health", "doctor", "version",
        ];
        let known = commands.into_iter().find(|known| Some(*known) == word);
        known.map_or(Topic::Program, Topic::Command)
    }
}

/// The text about a topic; of the program, with every command and every setting.
pub fn help(topic: Topic) -> String {
    let parts: &[&str] = match topic {
        Topic::Program => {
            return format!("Rollcall {VERSION}\n\n{PROGRAM}{}", config::help());
        }
        Topic::Command("serve") => &[SERVE],
        Topic::Command("check") => &[CHECK],
        Topic::Command("users") => &[USERS],
        Topic::Command("watch") => &[WATCH, ASKING, WATCH_EXAMPLES],
        Topic::Command("set") => &[SET, ASKING, SET_EXAMPLES],
        Topic::Command("health") => &[HEALTH],
        Topic::Command("doctor") => &[DOCTOR, ASKING, DOCTOR_EXAMPLES],
        Topic::Command(_) => &[OTHER],
    };
    parts.concat()
}
