//! Good documents, bent: changes of a document that keep most of it, since bytes of chance alone never get past the first look of a reader.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// A change of a document.
#[derive(Debug, Arbitrary)]
pub struct Edit<'a> {
    at: u16,
    removes: u8,
    inserts: &'a [u8],
}

/// The document with all changes, one after the other; places beyond its end count from its beginning again.
pub fn edited(text: &[u8], edits: &[Edit<'_>]) -> Vec<u8> {
    let mut text = text.to_vec();
    for Edit { at, removes, inserts } in edits {
        let at = usize::from(*at) % (text.len() + 1);
        let end = (at + usize::from(*removes)).min(text.len());
        text.splice(at..end, inserts.iter().copied());
    }
    text
}
