//! Generated Secrets: material is made here, written once, and never logged, returned or given to a plugin.
//!
//! ```text
//! generate   entries + randomness + clock → values          pure
//! text, x509, hashing   the generators                      pure
//! write      values → one server-side apply; publications; hashes for pods
//! ```
//! An identity is only ever completed: a key that is there is never changed, whoever wrote it. Of a renewable Secret the certificates are made
//! anew, and an authority keeps its key.

mod error;
pub(crate) mod generate;
mod hashing;
pub(crate) mod material;
mod public;
#[cfg(test)]
mod tests;
mod text;
mod write;
mod x509;

pub use error::SecretError;
