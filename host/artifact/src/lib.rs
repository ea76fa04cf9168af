//! The supply side of plugins: from a name to the verified bytes of a component, and back out again.
//!
//! ```text
//! Reference ──Source::resolve──▶ Digest ──Artifact::fetch──▶ Artifact<Fetched> ──verify──▶ Artifact<Verified> ──pull──▶ Component
//!                                                  ▲                                            │
//!                                                  └────────────── ContentStore ◀───────────────┘
//! ```
//!
//! A tag is resolved once; everything after goes by digest and is hashed. `Artifact<Fetched>` has no way to the
//! component's bytes: only [`Artifact::verify`] makes an `Artifact<Verified>`, and only that can be pulled. What is kept
//! in the [`ContentStore`] comes back as `Artifact<Fetched>` and passes the same verification with the registry down.
//!
//! Nothing here knows Kubernetes, compiles a component, or decides which authorities are required.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

mod artifact;
mod content;
mod credentials;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod push;
mod reference;
mod sign;
mod source;
mod verify;
mod version_range;

pub use artifact::{Artifact, ArtifactError, Component, Fetched, Limits, Stage, Verified};
pub use content::ContentStore;
pub use credentials::{Credentials, CredentialsError};
pub use error::Error;
pub use push::{Package, PushError, push};
pub use reference::{Digest, Reference, ReferenceError, Repository, Selector, Tag};
pub use sign::{KeyFileError, SignError, SigningKey, sign};
pub use source::{RegistryOptions, RetryPolicy, Source, SourceError, Transport};
pub use verify::{
    Authority, AuthorityError, AuthorityKind, Form, Identity, KeyError, KeylessError, Mode, Rejected, Rejection, Requirement, Subject,
    Verification, VerifiedBy, VerifyError, verify_digest,
};
pub use version_range::VersionRange;
