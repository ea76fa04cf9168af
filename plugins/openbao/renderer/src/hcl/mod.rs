//! Writes HCL version **1**, which is what OpenBao reads. `hcl-rs` writes version 2: it would leave `${` as an interpolation that
//! version 1 takes for a raw region, and its blocks and expressions say more than version 1 can. The part of the language that a
//! configuration needs is small and typed here, so that what cannot be read back cannot be written: keys are identifiers, a key occurs
//! once, integers have no leading zeros (version 1 reads `0600` as octal), and text has only escapes that version 1 knows.
//!
//! What the blocks mean is [`crate::config`]'s.

mod write;

use std::fmt;

pub use write::is_identifier;

/// The body of a file or of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Attribute(String, Value),
    Block(Block),
}

/// `ident "label" "label" { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    ident: String,
    labels: Vec<String>,
    repeats: bool,
    body: Body,
}

/// What an attribute may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Any text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list of texts.
    List(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<&[String]> for Value {
    fn from(texts: &[String]) -> Self {
        Self::List(texts.to_vec())
    }
}

/// Why a body cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HclError {
    /// Version 1 takes a second key silently, and which of the two wins depends on the reader.
    #[error("`{key}` occurs twice in {place}; HCL would silently keep one of the two: set it once")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where.
        place: Place,
    },
    /// Anything else would need quoting, and could end the line or the block.
    #[error("`{key}` in {place} is not an identifier: expected a letter or `_`, then letters, digits, `_` or `-`")]
    NotAnIdentifier {
        /// The key.
        key: String,
        /// Where.
        place: Place,
    },
}

/// The block in which something went wrong, for messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(Vec<String>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("the top level") } else { write!(f, "the block `{}`", self.0.join(" ")) }
    }
}

impl Body {
    /// An empty body.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more attribute.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.entries.push(Entry::Attribute(key.into(), value.into()));
        self
    }

    /// One more attribute, if there is a value.
    #[must_use]
    pub fn optional<T: Into<Value>>(self, key: &str, value: Option<T>) -> Self {
        match value {
            Some(value) => self.attribute(key, value),
            None => self,
        }
    }

    /// A block that occurs once with these labels.
    #[must_use]
    pub fn block<I>(self, ident: &str, labels: I, body: Body) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.push(ident, labels.into_iter().map(Into::into).collect(), false, body)
    }

    /// A block of which the reader makes a list, so that others may have the same labels.
    #[must_use]
    pub fn one_of_many<I>(self, ident: &str, labels: I, body: Body) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.push(ident, labels.into_iter().map(Into::into).collect(), true, body)
    }

    /// One more block without labels, if it has anything in it.
    #[must_use]
    pub fn filled(self, ident: &str, body: Body) -> Self {
        if body.entries.is_empty() { self } else { self.push(ident, Vec::new(), false, body) }
    }

    /// The text. Ends with a newline unless the body is empty; the same body is always the same text.
    pub fn render(&self) -> Result<String, HclError> {
        write::render(self)
    }

    fn push(mut self, ident: &str, labels: Vec<String>, repeats: bool, body: Body) -> Self {
        self.entries.push(Entry::Block(Block { ident: ident.to_owned(), labels, repeats, body }));
        self
    }
}

#[cfg(any(test, feature = "fuzzing"))]
pub mod read;
#[cfg(test)]
mod tests;
