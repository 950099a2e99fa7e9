//! A tree as YAML, in blocks. Texts are quoted as in JSON, so nothing in them can mean something else.

use super::tree::{Tree, quote};
use std::fmt::{self, Display, Write};

/// A tree, to be displayed as YAML.
pub(super) struct Yaml<'a>(pub(super) &'a Tree);

impl Display for Yaml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        block(self.0, 0, f)?;
        f.write_char('\n')
    }
}

/// Writes a tree where the line is indented as far as it should be already.
fn block(tree: &Tree, indent: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match tree {
        Tree::Object(members) if !members.is_empty() => {
            for (place, (name, value)) in members.iter().enumerate() {
                line(place, indent, f)?;
                key(name, f)?;
                f.write_char(':')?;
                if value.members().is_empty() && value.items().is_empty() {
                    f.write_char(' ')?;
                } else {
                    line(1, indent + 2, f)?;
                }
                block(value, indent + 2, f)?;
            }
            Ok(())
        }
        Tree::List(items) if !items.is_empty() => {
            for (place, item) in items.iter().enumerate() {
                line(place, indent, f)?;
                f.write_str("- ")?;
                block(item, indent + 2, f)?;
            }
            Ok(())
        }
        // An empty list or object, or what has no parts: as in JSON.
        whole => whole.fmt(f),
    }
}

/// A new line, unless it is the first of its block.
fn line(place: usize, indent: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match place {
        0 => Ok(()),
        _ => write!(f, "\n{:indent$}", ""),
    }
}

/// A name, in quotes unless it is plainly a word. (Some words mean true, false or null; none of them is a name here.)
fn key(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let is_word = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    match is_word {
        true => f.write_str(name),
        false => quote(name, f),
    }
}
