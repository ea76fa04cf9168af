//! One document of text becomes one value, or the reason why not. What values mean must not live here.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::pointer::push_token;

/// What a document may not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of the text in bytes.
    pub max_bytes: usize,
    /// Levels of values: the document itself is the first. At most 128, whatever is written here, because the parser's stack is bounded too.
    pub max_depth: usize,
    /// Values of all sorts, the document and every member and item included.
    pub max_nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 4 * 1024 * 1024, max_depth: DEPTH, max_nodes: 200_000 }
    }
}

/// The parser itself gives up at this many containers in each other.
const DEPTH: usize = 128;

/// Pointers and parser messages are cut to this many bytes: keys are the outsider's.
const SHOWN: usize = 256;

/// Why a document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Over [`Limits::max_bytes`].
    #[error("expected JSON of at most {limit} bytes, found {found}; answer with less or split it up")]
    TooLarge {
        /// Bytes allowed.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// Over [`Limits::max_depth`].
    #[error("expected JSON of at most {limit} levels, found more at {pointer:?}; nest less")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
        /// Where the limit was passed.
        pointer: String,
    },
    /// Over [`Limits::max_nodes`].
    #[error("expected JSON of at most {limit} values, found more at {pointer:?}; answer with less")]
    TooManyNodes {
        /// Values allowed.
        limit: usize,
        /// Where the limit was passed.
        pointer: String,
    },
    /// One object has a key twice, so two readers could see two different documents.
    #[error("expected every key of an object once, found {pointer:?} twice; remove one of the two")]
    DuplicateKey {
        /// The second one.
        pointer: String,
    },
    /// Not JSON.
    #[error("expected JSON (RFC 8259), found {message}; mend the text there")]
    Syntax {
        /// What the parser says, with line and column.
        message: String,
    },
}

impl JsonError {
    /// CamelCase, bounded: for conditions and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "JsonTooLarge",
            Self::TooDeep { .. } => "JsonTooDeep",
            Self::TooManyNodes { .. } => "JsonTooManyValues",
            Self::DuplicateKey { .. } => "JsonDuplicateKey",
            Self::Syntax { .. } => "JsonSyntax",
        }
    }
}

/// Parses one document.
///
/// # Errors
/// What is over a limit, has a duplicate key, or is not JSON.
pub fn parse(text: &str, limits: &Limits) -> Result<Value, JsonError> {
    if text.len() > limits.max_bytes {
        return Err(JsonError::TooLarge { limit: limits.max_bytes, found: text.len() });
    }
    let progress = RefCell::new(Progress { path: Vec::new(), nodes: 0, numbers: Numbers::of(text), refused: None });
    let depth = limits.max_depth.min(DEPTH);
    let mut parser = serde_json::Deserializer::from_str(text);
    let parsed = Strict { limits, depth, progress: &progress }.deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    parsed.map_err(|error| {
        let progress = progress.into_inner();
        let message = error.to_string();
        match progress.refused {
            Some(refused) => refused,
            None if message.starts_with("recursion limit exceeded") => JsonError::TooDeep { limit: depth, pointer: progress.pointer(None) },
            None => JsonError::Syntax { message: shown(&message) },
        }
    })
}

struct Progress<'t> {
    path: Vec<Step>,
    nodes: usize,
    numbers: Numbers<'t>,
    refused: Option<JsonError>,
}

enum Step {
    Key(String),
    Index(usize),
}

impl Progress<'_> {
    fn pointer(&self, last: Option<&str>) -> String {
        let mut pointer = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) => push_token(&mut pointer, key),
                Step::Index(index) => push_token(&mut pointer, &index.to_string()),
            }
        }
        if let Some(key) = last {
            push_token(&mut pointer, key);
        }
        shown(&pointer)
    }
}

/// Builds the value itself, because the parser's own visitor silently keeps the last of two equal keys.
#[derive(Clone, Copy)]
struct Strict<'a, 't> {
    limits: &'a Limits,
    depth: usize,
    progress: &'a RefCell<Progress<'t>>,
}

impl Strict<'_, '_> {
    fn refuse<E: de::Error>(&self, error: impl FnOnce(&Progress<'_>) -> JsonError) -> E {
        let mut progress = self.progress.borrow_mut();
        let refused = error(&progress);
        progress.refused = Some(refused);
        E::custom("refused")
    }

    fn enter(&self, step: Step) {
        self.progress.borrow_mut().path.push(step);
    }

    fn leave(&self) {
        self.progress.borrow_mut().path.pop();
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_, '_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let (nodes, level) = {
            let mut progress = self.progress.borrow_mut();
            progress.nodes += 1;
            (progress.nodes, progress.path.len() + 1)
        };
        if nodes > self.limits.max_nodes {
            return Err(self.refuse(|p| JsonError::TooManyNodes { limit: self.limits.max_nodes, pointer: p.pointer(None) }));
        }
        if level > self.depth {
            return Err(self.refuse(|p| JsonError::TooDeep { limit: self.depth, pointer: p.pointer(None) }));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_, '_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        self.progress.borrow_mut().numbers.seen += 1;
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        self.progress.borrow_mut().numbers.seen += 1;
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(self.progress.borrow_mut().numbers.exact(value).into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        loop {
            self.enter(Step::Index(array.len()));
            let Some(item) = items.next_element_seed(self)? else { break };
            self.leave();
            array.push(item);
        }
        self.leave();
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(self.refuse(|p| JsonError::DuplicateKey { pointer: p.pointer(Some(&key)) }));
            }
            self.enter(Step::Key(key.clone()));
            let value = members.next_value_seed(self)?;
            self.leave();
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// Numbers with a fraction, read again from the text: the parser is up to one unit in the last place off, so that what is applied would
/// not be what was answered, and the canonical form would not be the form of its own value.
struct Numbers<'t> {
    text: &'t [u8],
    at: usize,
    /// Numbers before `at`.
    passed: usize,
    /// Numbers that the parser has told.
    seen: usize,
}

impl<'t> Numbers<'t> {
    fn of(text: &'t str) -> Self {
        Self { text: text.as_bytes(), at: 0, passed: 0, seen: 0 }
    }

    /// The number that the parser tells now as `told`.
    fn exact(&mut self, told: f64) -> f64 {
        self.seen += 1;
        let mut token = "";
        while self.passed < self.seen {
            let Some(next) = self.next() else { return told };
            token = next;
        }
        token.parse().ok().filter(|exact: &f64| exact.is_finite()).unwrap_or(told)
    }

    fn next(&mut self) -> Option<&'t str> {
        loop {
            match *self.text.get(self.at)? {
                b'"' => self.skip_string(),
                b'-' | b'0'..=b'9' => break,
                _ => self.at += 1,
            }
        }
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|b| !matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')).unwrap_or(rest.len());
        self.at += length;
        self.passed += 1;
        std::str::from_utf8(&rest[..length]).ok()
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
    }
}

fn shown(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let end = (0..=SHOWN).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str, limits: &Limits) -> JsonError {
        parse(text, limits).unwrap_err()
    }

    #[test]
    fn a_duplicate_key_is_refused_with_its_pointer() {
        let error = refusal(r#"{"a":[0,{"b/c":{"~":1,"~":1}}]}"#, &Limits::default());
        assert_eq!(error, JsonError::DuplicateKey { pointer: "/a/1/b~1c/~0".into() });
        let escaped = refusal(r#"{"ab":1,"\u0061b":2}"#, &Limits::default());
        assert_eq!(escaped, JsonError::DuplicateKey { pointer: "/ab".into() });
    }

    #[test]
    fn ten_thousand_levels_are_refused_without_overflowing_the_stack() {
        for text in ["[".repeat(10_000), r#"{"a":"#.repeat(10_000), r#"[{"a":"#.repeat(5_000)] {
            assert_eq!(refusal(&text, &Limits::default()).reason(), "JsonTooDeep");
            let generous = Limits { max_depth: usize::MAX, ..Limits::default() };
            assert_eq!(refusal(&text, &generous).reason(), "JsonTooDeep");
        }
    }

    #[test]
    fn the_deepest_level_allowed_is_allowed() {
        let limits = Limits { max_depth: 3, ..Limits::default() };
        assert!(parse("[[1]]", &limits).is_ok());
        assert_eq!(refusal("[0,[0,[1]]]", &limits), JsonError::TooDeep { limit: 3, pointer: "/1/1/0".into() });
        let default = format!("{}1{}", "[".repeat(127), "]".repeat(127));
        assert!(parse(&default, &Limits::default()).is_ok());
    }

    #[test]
    fn size_and_count_are_limited() {
        let small = Limits { max_bytes: 10, ..Limits::default() };
        assert_eq!(refusal("[1,2,3,4,5]", &small), JsonError::TooLarge { limit: 10, found: 11 });
        let few = Limits { max_nodes: 3, ..Limits::default() };
        assert!(parse("[1,2]", &few).is_ok());
        assert_eq!(refusal(r#"{"a":1,"b":2,"c":3}"#, &few), JsonError::TooManyNodes { limit: 3, pointer: "/c".into() });
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for text in ["", "{", "[1,]", "{} {}", "\u{feff}{}", "nan", "1e999", r#""\ud800""#, "// no\n1", "'a'"] {
            let error = refusal(text, &Limits::default());
            assert_eq!(error.reason(), "JsonSyntax", "{text:?}");
            assert!(error.to_string().contains("column"), "{error}");
        }
    }

    #[test]
    fn numbers_are_exactly_those_of_the_text() {
        let text =
            r#"{"1.5":[1,944441.7666015625,"-2\"3"],"a":{"b":-7,"c":1.7976931348623157e308,"d":5e-324},"e":18446744073709551617,"f":-0}"#;
        let value = parse(text, &Limits::default()).unwrap();
        let read = |pointer: &str| value.pointer(pointer).and_then(Value::as_f64).unwrap();
        assert_eq!(read("/1.5/1"), 944441.7666015625);
        assert_eq!(read("/a/c"), f64::MAX);
        assert_eq!(read("/a/d"), 5e-324);
        assert_eq!(read("/e"), 18446744073709551617.0);
        assert_eq!(value["a"]["b"], -7);
    }

    #[test]
    fn a_hostile_key_does_not_become_a_long_message() {
        let key = "é".repeat(100_000);
        let error = refusal(&format!(r#"{{"{key}":1,"{key}":2}}"#), &Limits::default());
        assert!(error.to_string().len() < 1_000);
    }
}
