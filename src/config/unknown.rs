//! Variables that look like settings and are none: a slip of the finger, or somebody else's.

use std::collections::BTreeSet;
use std::ffi::OsString;

use super::SETTINGS;

/// Up to so many wrong letters a word counts as another one misspelt.
const MAX_SLIPS: usize = 3;

/// One warning for each of the environment's variables that is nearly a setting, and a single one
/// for the others that begin like settings (`SERVER_`, …): GameVault has many such, and shares its
/// environment with Rollcall where both run side by side.
pub fn unknown_variables(names: impl IntoIterator<Item = OsString>) -> Vec<String> {
    let prefixes: BTreeSet<&str> = SETTINGS
        .iter()
        .filter_map(|setting| setting.name.split('_').next())
        .collect();
    // A name that is not UTF-8 is none that a person has typed in error.
    let names: BTreeSet<String> = names
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .collect();
    let unknown = names.iter().filter(|name| {
        name.split_once('_')
            .is_some_and(|(prefix, _)| prefixes.contains(prefix))
    });

    let (mut warnings, mut others) = (Vec::new(), Vec::new());
    for name in unknown {
        // The settings themselves are tried first: USERS_FILE is one, not the file of USERS.
        let known = |name: &str| SETTINGS.iter().any(|setting| setting.name == name);
        let plain = name.strip_suffix("_FILE").unwrap_or(name);
        if known(name) || known(plain) {
            continue;
        }
        match nearest(name, SETTINGS.iter().map(|setting| setting.name)) {
            Some(near) => warnings.push(format!(
                "{name} is no setting and was ignored: did you mean {near}?"
            )),
            None => others.push(name.as_str()),
        }
    }
    if !others.is_empty() {
        warnings.push(format!(
            "no settings of Rollcall, and ignored: {}",
            others.join(", ")
        ));
    }
    warnings
}

/// The candidate that `word` is probably meant to be: a few letters away, and nearer than the
/// others.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // In a short word three other letters make another word.
    let allowed = MAX_SLIPS.min(word.chars().count() / 3);
    let distances = candidates
        .into_iter()
        .map(|candidate| (slips(word, candidate), candidate));
    distances
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, dropped or changed to make one word of the other (Levenshtein).
/// Row by row of the usual table; each row is made from the last.
fn slips(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut next = vec![index + 1];
        let mut left = index + 1;
        for (other, above) in to.iter().zip(row.windows(2)) {
            let [diagonal, above] = above else { continue };
            left = (diagonal + usize::from(letter != *other))
                .min(above + 1)
                .min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
