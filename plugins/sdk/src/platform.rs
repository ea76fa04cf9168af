//! What the cluster can do, as the host found it.

use crate::wit::Platform;

/// Questions about the platform.
pub trait PlatformExt {
    /// The API `group/version/Kind` (`apps/v1/StatefulSet`, `v1/Pod`) is served.
    fn serves(&self, api: &str) -> bool;
}

impl PlatformExt for Platform {
    fn serves(&self, api: &str) -> bool {
        self.apis.iter().any(|served| served == api)
    }
}
