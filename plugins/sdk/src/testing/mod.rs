//! For the tests of a plugin, natively: requests to start from, and golden cases.
//!
//! A golden case is a folder with a `request.yaml` and the `response.yaml` that it must give. The format is the generated types as
//! serde writes them, with one addition: where a field holds JSON text, the file holds that JSON as YAML under the tag `!json`. The
//! same files are run through the real sandbox by whoever loads the component: see [`Golden`] for reading them.

mod golden;
mod request;

pub use golden::{Golden, GoldenError, Outcome, check, check_review, check_seal, describe, read, write};
pub use request::{platform, request, review_request, seal_request};

/// The tests that every unseal provider has: its golden cases hold and its descriptor is stable. They lie in `tests/goldens` of the crate.
#[macro_export]
macro_rules! seal_goldens {
    ($plugin:ty) => {
        #[test]
        fn the_goldens_hold() {
            $crate::testing::check_seal::<$plugin>(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens"))
                .unwrap_or_else(|error| panic!("{error}"));
        }

        #[test]
        fn the_descriptor_is_stable() {
            $crate::testing::describe::<$plugin>(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/describe.yaml"))
                .unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(<$plugin as $crate::Plugin>::describe(), <$plugin as $crate::Plugin>::describe());
        }
    };
}
