//! GameVault's access tokens: who has one is known by it, without a word with GameVault.
//!
//! A token is a JWT (RFC 7519) in the compact form, signed with HS256 by the secret that GameVault derives from its `AUTH_SEED`.
//! What GameVault claims is under `payload`; the times stand beside it.

use super::hmac::HmacKey;
use crate::users::UserId;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// No token of GameVault's is nearly as long.
const MAX_TOKEN_BYTES: usize = 4096;

/// Reads tokens.
#[derive(Clone)]
pub struct Tokens {
    key: HmacKey,
}

/// Why a token says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// GameVault has not made it; or not with this seed, or not as it makes access tokens.
    NotGenuine,
    /// It is genuine, and over, or does not hold yet.
    NotNow,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    payload: Payload,
    /// In seconds since 1970, as all times in a JWT.
    exp: f64,
    nbf: Option<f64>,
}

#[derive(Deserialize)]
struct Payload {
    sub: String,
}

impl Tokens {
    /// Those of the GameVault with this `AUTH_SEED`.
    pub fn of_seed(auth_seed: &str) -> Self {
        // The same step twice: from the operator's seed to that of all GameVault's secrets, and to the one of access tokens.
        let seed = hex_digest(auth_seed.as_bytes());
        let key = HmacKey::new(hex_digest(&seed));
        Self { key }
    }

    /// Whose the token is.
    ///
    /// # Errors
    /// It says nothing, at this time.
    pub fn read(&self, token: &str, now: SystemTime) -> Result<UserId, BadToken> {
        let (user_id, claims) = self.genuine(token).ok_or(BadToken::NotGenuine)?;
        let now = now.duration_since(UNIX_EPOCH);
        let now = now.unwrap_or(Duration::ZERO).as_secs_f64();
        let holds = now < claims.exp && claims.nbf.is_none_or(|from| from <= now);
        holds.then_some(user_id).ok_or(BadToken::NotNow)
    }

    /// Whose the token is, or was.
    pub(super) fn owner(&self, token: &str) -> Option<UserId> {
        self.genuine(token).map(|(user_id, _)| user_id)
    }

    fn genuine(&self, token: &str) -> Option<(UserId, Claims)> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        // RFC 8725, 3.1: one algorithm, and not the one that the token would like.
        let header: Header = decode(header)?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        if header.alg != "HS256" || !self.key.verifies(signed.as_bytes(), &signature) {
            return None;
        }
        let claims: Claims = decode(claims)?;
        let sub = &claims.payload.sub;
        // Digits only: `FromStr` would take a plus sign too.
        let is_number = sub.bytes().all(|byte| byte.is_ascii_digit());
        let user_id = sub.parse().ok().filter(|_| is_number)?;
        Some((user_id, claims))
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// The SHA-256, as lower-case hexadecimal digits.
fn hex_digest(bytes: &[u8]) -> [u8; 64] {
    let digit = |nibble: u8| match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + (nibble - 10),
    };
    let mut digits = [0; 64];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(Sha256::digest(bytes)) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GameVault's own derivation.
    #[test]
    fn the_secret_is_the_seeds() {
        let seed = hex_digest(b"test-seed");
        assert_eq!(
            &seed,
            b"d63cd08d82aa4eb48e0cc64fb466e909bfc3879664c5caa8d8cdeda73c044190"
        );
        assert_eq!(
            &hex_digest(&seed),
            b"ece53d7a2dfbb268ef97fb4dd6349af6426ae44668d4cac60ebb7bb80eb76690"
        );
    }
}
