//! A reader of HCL version 1, as far as the writer goes, for tests and `fuzz/`: it follows the scanner and the unquoting of the original, raw regions
//! included, and refuses what the original refuses.

use std::iter::Peekable;
use std::str::Chars;

use super::{Block, Body, Entry, Value};

/// Reads a whole file.
pub fn read(text: &str) -> Result<Body, String> {
    let mut reader = Reader { rest: text.chars().peekable() };
    let body = reader.body(false)?;
    Ok(body)
}

/// Every key with its place, `seal/region`, and the number of labels of every block: what is written, less all text.
#[cfg(feature = "fuzzing")]
pub fn outline(body: &Body) -> Vec<String> {
    let lines = body.entries.iter().flat_map(|entry| match entry {
        Entry::Attribute(key, Value::List(texts)) => vec![format!("{key}[{}]", texts.len())],
        Entry::Attribute(key, _) => vec![key.clone()],
        Entry::Block(block) => {
            let name = format!("{} {}", block.ident, block.labels.len());
            let inner = outline(&block.body).into_iter().map(|line| format!("{name}/{line}"));
            std::iter::once(name.clone()).chain(inner).collect()
        }
    });
    lines.collect()
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn body(&mut self, nested: bool) -> Result<Body, String> {
        let mut entries = Vec::new();
        loop {
            self.space();
            match self.rest.peek() {
                None if nested => return Err("a block does not end".to_owned()),
                None => return Ok(Body { entries }),
                Some('}') if nested => {
                    self.rest.next();
                    return Ok(Body { entries });
                }
                Some(_) => entries.push(self.entry()?),
            }
        }
    }

    fn entry(&mut self) -> Result<Entry, String> {
        let key = self.word();
        if key.is_empty() {
            return Err(format!("expected a key before {:?}", self.rest.clone().take(20).collect::<String>()));
        }
        let mut labels = Vec::new();
        loop {
            self.space();
            match self.rest.peek() {
                Some('=') => {
                    self.rest.next();
                    self.space();
                    return Ok(Entry::Attribute(key, self.value()?));
                }
                Some('{') => {
                    self.rest.next();
                    return Ok(Entry::Block(Block { ident: key, labels, repeats: false, body: self.body(true)? }));
                }
                Some('"') => labels.push(self.text()?),
                other => return Err(format!("`{key}` is followed by {other:?}")),
            }
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        match self.rest.peek() {
            Some('"') => Ok(Value::Text(self.text()?)),
            Some('[') => {
                self.rest.next();
                let mut texts = Vec::new();
                loop {
                    self.space();
                    match self.rest.peek() {
                        Some(']') => {
                            self.rest.next();
                            return Ok(Value::List(texts));
                        }
                        Some(',') => drop(self.rest.next()),
                        _ => texts.push(self.text()?),
                    }
                }
            }
            _ => match self.word().as_str() {
                "true" => Ok(Value::Boolean(true)),
                "false" => Ok(Value::Boolean(false)),
                octal if octal.len() > 1 && octal.starts_with('0') => {
                    i64::from_str_radix(octal, 8).map(Value::Integer).map_err(|error| error.to_string())
                }
                number => number.parse().map(Value::Integer).map_err(|error| format!("{number}: {error}")),
            },
        }
    }

    fn text(&mut self) -> Result<String, String> {
        if self.rest.next() != Some('"') {
            return Err("expected a quote".to_owned());
        }
        let mut out = String::new();
        loop {
            match self.rest.next().ok_or("text does not end")? {
                '"' => return Ok(out),
                '\n' => return Err("a newline in text".to_owned()),
                '\0' | '\u{e123}' => return Err("a character that the scanner refuses".to_owned()),
                '\\' => out.push(self.escape()?),
                '$' if self.rest.peek() == Some(&'{') => self.raw(&mut out)?,
                character => out.push(character),
            }
        }
    }

    fn raw(&mut self, out: &mut String) -> Result<(), String> {
        out.push('$');
        let mut braces = 0;
        loop {
            let character = self.rest.next().ok_or("`${` does not end")?;
            out.push(character);
            match character {
                '{' => braces += 1,
                '}' => braces -= 1,
                _ => {}
            }
            if braces == 0 {
                return Ok(());
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        Ok(match self.rest.next().ok_or("text ends in an escape")? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '"' => '"',
            '\\' => '\\',
            'u' => {
                let digits: String = self.rest.by_ref().take(4).collect();
                u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).ok_or(format!("\\u{digits}"))?
            }
            other => return Err(format!("illegal escape \\{other}")),
        })
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(character) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            word.push(character);
        }
        word
    }

    fn space(&mut self) {
        while self.rest.next_if(|character| character.is_whitespace()).is_some() {}
    }
}
