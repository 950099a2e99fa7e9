//! Words, as they stand in HTML.

use super::{schemas, tree::Tree};
use std::fmt::{self, Display, Formatter, Write};

/// A text that is nothing but text.
pub(super) struct Escaped<'a>(pub(super) &'a str);

/// The same, as code.
pub(super) struct Code<'a>(pub(super) &'a str);

/// Words, in which code stands between backticks.
pub(super) struct Prose<'a>(pub(super) &'a str);

/// An id of letters, digits and hyphens, made of a text.
pub(super) struct Id<'a>(pub(super) &'a str);

/// What a value may be by this schema.
pub(super) struct Kind<'a>(pub(super) &'a Tree);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|next| match next {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            other => f.write_char(other),
        })
    }
}

impl Display for Code<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "<code>{}</code>", Escaped(self.0))
    }
}

impl Display for Prose<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut parts = self.0.split('`').enumerate();
        parts.try_for_each(|(place, part)| match place % 2 {
            0 => Escaped(part).fmt(f),
            _ => Code(part).fmt(f),
        })
    }
}

impl Display for Id<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut letters = self.0.trim_matches('/').chars();
        letters.try_for_each(|next| match next.is_ascii_alphanumeric() {
            true => f.write_char(next),
            false => f.write_char('-'),
        })
    }
}

impl Display for Kind<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let schema = self.0;
        let name = schemas::name(schema);
        if !name.is_empty() {
            return write!(f, "<a href=\"#{name}\">{name}</a>");
        }
        if let Some(options) = schema.get("anyOf") {
            return several(options.items(), " or ", f, |option, f| Kind(option).fmt(f));
        }
        if let Some(values) = schema.get("enum") {
            return several(values.items(), ", ", f, value);
        }
        if let Some(fixed) = schema.get("const") {
            return value(fixed, f);
        }
        match schema.get("type") {
            Some(Tree::List(types)) => several(types, " or ", f, word)?,
            Some(one) => word(one, f)?,
            None => f.write_str("anything")?,
        }
        if let Some(items) = schema.get("items") {
            write!(f, " of {}", Kind(items))?;
        }
        LIMITS.iter().try_for_each(|(limit, before, after)| {
            let number = schema.say(limit);
            match number.is_empty() {
                true => Ok(()),
                false => write!(f, ", {before} {number}{after}"),
            }
        })
    }
}

/// The limits that a schema may have, and the words around each.
const LIMITS: [(&str, &str, &str); 5] = [
    ("minimum", "from", ""),
    ("maximum", "to", ""),
    ("minLength", "at least", " character"),
    ("maxLength", "at most", " characters"),
    ("maxItems", "at most", ""),
];

type Shown = fn(&Tree, &mut Formatter<'_>) -> fmt::Result;

fn several(trees: &[Tree], between: &str, f: &mut Formatter<'_>, show: Shown) -> fmt::Result {
    for (place, tree) in trees.iter().enumerate() {
        f.write_str(if place == 0 { "" } else { between })?;
        show(tree, f)?;
    }
    Ok(())
}

fn word(tree: &Tree, f: &mut Formatter<'_>) -> fmt::Result {
    match tree {
        Tree::Text(text) => Escaped(text).fmt(f),
        other => other.fmt(f),
    }
}

fn value(tree: &Tree, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("<code>")?;
    word(tree, f)?;
    f.write_str("</code>")
}
