//! What `rollcall --help` says.

use crate::config;

/// The program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What stands before the settings.
const COMMANDS: &str = "\
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
  help, --help, -h         Show this.
  version, --version, -V   Show the version.

A running server takes a change of the users within two seconds, and disconnects those who may stay no longer.

Examples:
  rollcall
  SERVER_PORT=9000 rollcall serve
  key=$(rollcall users add alice)
  rollcall users add bob --role admin
  rollcall users password alice < password.txt
  USERS_FILE=/srv/rollcall/users.json rollcall users list

Exit status: 0 when all went well, 1 when something did not, 2 when the command was not understood.

Settings, from the environment, with their defaults. A variable with _FILE behind its name, such as SERVER_PORT_FILE, names a
file that holds the value, and wins. An empty value is none.

";

/// The whole text, with every command and every setting.
pub fn help() -> String {
    format!("Rollcall {VERSION}\n\n{COMMANDS}{}", config::help())
}
