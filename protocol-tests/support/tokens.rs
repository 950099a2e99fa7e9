//! Tokens as GameVault makes them.

// Each test is a crate of its own, and uses a part of this.
#![allow(dead_code)]

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a clock").as_secs()
}

fn hex(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes);
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// HMAC-SHA256 (RFC 2104), by the book, for keys of 64 bytes.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = Sha256::digest([&pad(0x36)[..], message].concat());
    Sha256::digest([&pad(0x5c)[..], &inner].concat()).to_vec()
}

/// A token with this header and these claims.
pub fn sign(auth_seed: &str, header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let key = hex(hex(auth_seed.as_bytes()).as_bytes());
    let signature = hmac(key.as_bytes(), signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

pub fn header() -> Value {
    json!({"alg": "HS256", "typ": "JWT"})
}

/// What GameVault says of a user, until then.
pub fn claims(id: u64, exp: u64) -> Value {
    let payload = json!({"sub": id.to_string(), "username": "somebody", "role": 1});
    json!({"payload": payload, "iat": exp - 300, "exp": exp})
}

/// The header of a request with a token of this user.
pub fn bearer(auth_seed: &str, id: u64) -> String {
    let token = sign(auth_seed, &header(), &claims(id, now() + 300));
    format!("Authorization: Bearer {token}")
}
