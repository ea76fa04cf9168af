//! Names of artifacts, as resources and command lines write them: what is taken is printed so that it is taken again, and leads to no other host.
#![no_main]

use banhbaoring_artifact::{Digest, Reference, Repository, Selector, VersionRange};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<Reference>() {
        let printed = reference.to_string();
        assert_eq!(printed.parse::<Reference>().as_ref(), Ok(&reference), "{printed}");
        let (host, path) = (reference.repository.host(), reference.repository.path());
        assert!(text.contains(host) && text.contains(path), "{host} and {path} are not in {text}");
        // Both become parts of a URL.
        assert!(!host.contains(['/', '@', '?', '#', '\\', '%']) && !path.contains(['?', '#', '\\', '%', '@', ':']), "{host} {path}");
        assert!(!path.split('/').any(|part| part.is_empty() || part == "." || part == ".."), "{path}");
    }
    if let Ok(repository) = text.parse::<Repository>() {
        assert_eq!(repository.to_string().parse::<Repository>(), Ok(repository));
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(range) = text.parse::<VersionRange>() {
        assert_eq!(range.to_string().parse::<VersionRange>(), Ok(range.clone()));
        let highest = range.highest(["1.0.0", "v1.2.3", "2.0.0-rc.1", "3.0.0_a", "latest", ""]);
        assert!(highest.is_none_or(|(tag, _)| ["1.0.0", "v1.2.3", "2.0.0-rc.1", "3.0.0_a"].contains(&tag.as_str())));
    }
    let _ = Selector::from_fields(Some(text), Some(text), Some(text));
});
