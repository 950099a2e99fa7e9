//! What the operator sees at the start, on standard output.

use super::ports::Ports;
use crate::{cli, users::ApiKey};
use std::{env, io};

/// Says where the server is, and on the first start how to get in: what is printed can be pasted.
pub(super) fn greet(ports: &Ports, first_key: Option<&ApiKey>, is_online: bool) -> io::Result<()> {
    let mut text: String = ports
        .urls()
        .map(|url| format!("Rollcall listening on {url}\n"))
        .collect();
    if let Some(key) = first_key {
        let (key, program) = (key.reveal(), program());
        let address = ports.address;
        let url = match address.ip().is_unspecified() {
            true => format!("http://localhost:{}", address.port()),
            false => format!("http://{address}"),
        };
        let page = match is_online {
            true => format!("Open {url}/ and paste it there, to see who is here. "),
            false => String::new(),
        };
        text.push_str(&format!(
            "
This is the first start, so there is a user now: admin, with the API key

    {key}

{page}It is not shown again; `{program} users key admin` tells it. To try it by hand:

    curl -H 'X-Api-Key: {key}' {url}/api/users/me
"
        ));
        if is_online {
            text.push_str(&format!(
                "    npm install socket.io-client && node -e '
      const socket = require(\"socket.io-client\")(\"{url}\", {{
        transports: [\"websocket\"], extraHeaders: {{ \"X-Api-Key\": \"{key}\" }} }});
      socket.onAny(console.log);
      socket.on(\"connect\", () => socket.emit(\"set-activity\", {{ state: \"ONLINE\" }}));'
"
            ));
        }
        text.push('\n');
    }
    cli::print(&mut io::stdout(), &text)
}

/// This program, as a shell finds it from here: by the name by which it was started.
fn program() -> String {
    let name = env::args_os().next().unwrap_or_else(|| "rollcall".into());
    let name = name.to_string_lossy();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if name.bytes().all(is_plain) {
        name.into_owned()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}
