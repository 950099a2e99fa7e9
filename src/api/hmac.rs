//! HMAC-SHA256 (RFC 2104).

use sha2::{Digest, Sha256};

/// The block of SHA-256.
const BLOCK_BYTES: usize = 64;

/// A key, as long as a block.
#[derive(Clone)]
pub(super) struct HmacKey([u8; BLOCK_BYTES]);

impl HmacKey {
    pub(super) fn new(key: [u8; BLOCK_BYTES]) -> Self {
        Self(key)
    }

    /// Whether this is what the owner of the key makes of the message. How long it takes does not depend on how much of
    /// it is right.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let inner = self.keyed(0x36).chain_update(message).finalize();
        let expected = self.keyed(0x5c).chain_update(inner).finalize();
        let differing = expected.iter().zip(signature);
        signature.len() == expected.len() && differing.fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }

    fn keyed(&self, pad: u8) -> Sha256 {
        Sha256::new_with_prefix(self.0.map(|byte| byte ^ pad))
    }
}
