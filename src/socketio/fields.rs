//! What is in JSON that somebody else wrote, without recursion: nothing that is nested is looked into before it is asked for.

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Borrow, collections::BTreeMap, fmt};

/// The fields of a JSON object, if it is one. Of a field that is there twice the last counts, as everywhere in JavaScript.
pub(crate) fn fields(json: &str) -> Option<BTreeMap<Name, &RawValue>> {
    if !json.starts_with('{') {
        return None;
    }
    serde_json::from_str(json).ok()
}

/// The name of a field: bytes, because JSON allows names that are no Unicode, and they are none of ours.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(Vec<u8>);

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                Ok(Name(name.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// What a JSON value says, if it is a whole number without a sign. JSON knows one kind of number, so `42.0` and `4.2e1`
/// are 42; but it is the text that counts, because many a fraction has no floating point number but a whole one.
pub(crate) fn whole(json: &str) -> Option<u64> {
    let (mantissa, exponent) = json.split_once(['e', 'E']).unwrap_or((json, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !integer.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = [integer, fraction].concat();
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // How far the decimal point is behind the last digit that says something.
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let places = i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.parse::<i64>().ok()?;
    let shift = exponent.checked_add(zeros)?.checked_sub(places)?;
    let power = 10_u64.checked_pow(u32::try_from(shift).ok()?)?;
    significant.parse::<u64>().ok()?.checked_mul(power)
}
