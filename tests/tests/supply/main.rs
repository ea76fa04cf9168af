//! What may run: plugins in real registries, signed by our command line and by the real cosign, or not as they should be; and the operator as
//! a process, which tells each of these cases apart by a condition on its Plugin while the version that was active goes on serving.
//!
//! How signatures are read is tested in `host/artifact`; here only what people see of it, and what keeps running.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and documents itself by its name"
)]

mod accepted;
mod case;
mod images;
mod keyless;
mod policies;
mod proxy;
mod refused;
mod registries;
mod restart;

use banhbaoring_testing::registry::ReferrersRegistry;
use banhbaoring_tests::Stage;
use tokio::sync::OnceCell;

pub async fn stage() -> &'static Stage {
    Stage::shared().await.unwrap()
}

/// A registry without and one with the Referrers API, for what must be the same on both.
pub async fn both_registries() -> [(&'static str, String); 2] {
    static REFERRERS: OnceCell<ReferrersRegistry> = OnceCell::const_new();
    let referrers = REFERRERS.get_or_try_init(ReferrersRegistry::start).await.unwrap();
    [("fallback", stage().await.publisher.registry.host()), ("referrers", referrers.host())]
}
