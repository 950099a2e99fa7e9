//! A tree: a JSON text whose members stay in order, because people read it.

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use std::fmt::{self, Write};

/// A JSON text, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tree {
    /// A number, a boolean or null, as JSON writes it.
    Plain(String),
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    pub(super) fn read(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn texts(texts: &[&str]) -> Self {
        Self::List(texts.iter().map(|text| Self::text(*text)).collect())
    }

    pub(super) fn object(members: &[(&str, Self)]) -> Self {
        let named = |(name, value): &(&str, Self)| ((*name).to_owned(), value.clone());
        Self::Object(members.iter().map(named).collect())
    }

    /// A reference to what stands elsewhere in the same document.
    pub(super) fn reference(pointer: String) -> Self {
        Self::object(&[("$ref", Self::Text(pointer))])
    }

    /// The member of this name, if it is an object that has one.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let mut members = self.members().iter();
        members
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// The same, down a path.
    pub(super) fn find(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |tree, name| tree.get(name))
    }

    /// The same as text; empty if there is none.
    pub(super) fn say(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Self::Text(text) | Self::Plain(text)) => text,
            _ => "",
        }
    }

    /// Puts something at the end of a path, whose beginnings become objects if they are not there yet; where it was, or last.
    pub(super) fn put(&mut self, path: &[&str], value: Self) {
        let [name, rest @ ..] = path else {
            *self = value;
            return;
        };
        let Self::Object(members) = self else {
            return;
        };
        if let Some((_, member)) = members.iter_mut().find(|(known, _)| known == name) {
            return member.put(rest, value);
        }
        let mut member = Self::Object(Vec::new());
        member.put(rest, value);
        members.push(((*name).to_owned(), member));
    }

    /// None, if it is no object.
    pub(super) fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    /// None, if it is no list.
    pub(super) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// Shows all that is in it, itself first.
    pub(super) fn walk<'a>(&'a self, see: &mut impl FnMut(&'a Self)) {
        see(self);
        for item in self.items() {
            item.walk(see);
        }
        for (_, value) in self.members() {
            value.walk(see);
        }
    }
}

/// As JSON, on one line.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Text(text) => quote(text, f),
            Self::List(items) => {
                f.write_char('[')?;
                for (place, item) in items.iter().enumerate() {
                    f.write_str(if place == 0 { "" } else { "," })?;
                    item.fmt(f)?;
                }
                f.write_char(']')
            }
            Self::Object(members) => {
                f.write_char('{')?;
                for (place, (name, value)) in members.iter().enumerate() {
                    f.write_str(if place == 0 { "" } else { "," })?;
                    quote(name, f)?;
                    f.write_char(':')?;
                    value.fmt(f)?;
                }
                f.write_char('}')
            }
        }
    }
}

/// A JSON string; in YAML it is one, too.
pub(super) fn quote(text: &str, f: &mut impl Write) -> fmt::Result {
    f.write_char('"')?;
    for next in text.chars() {
        match next {
            '"' | '\\' => write!(f, "\\{next}")?,
            '\n' => f.write_str("\\n")?,
            control if control.is_control() => write!(f, "\\u{:04x}", u32::from(control))?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Plain("null".to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Plain(value.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Plain(number.to_string()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}
