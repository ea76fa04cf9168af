//! SHA-256 as text. Of configuration and messages; never of anything that is secret, which does not come here.

use sha2::{Digest, Sha256};

/// 64 hexadecimal digits.
pub fn hex(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
