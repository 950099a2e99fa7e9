//! What stands for `tls` in a build without it: nothing is encrypted, and nothing is sent where it should be.

use super::{Fault, dial::Carrier};
use std::net::TcpStream;

/// Whether this build can ask over https.
pub const IS_BUILT: bool = false;

/// # Errors
/// Always.
pub(super) fn encrypt(_host: &str, _tcp: TcpStream) -> Result<Box<dyn Carrier>, Fault> {
    Err(Fault::NoTls)
}
