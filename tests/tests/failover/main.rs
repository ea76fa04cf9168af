//! Operators that die, are stopped, take over from each other and start without a registry. One platform serves all tests of this binary, one
//! after the other: all operators of one platform take part in one election.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a random test prints its seed")]

mod errands;
mod hanging;
mod kills;
mod outage;
mod runs;
mod succession;

use banhbaoring_testing::control_plane::Options;
use banhbaoring_tests::team::PATIENCE;
use banhbaoring_tests::{Operator, Team, World};
use tokio::sync::{Mutex, MutexGuard};

/// The platform of this binary, for one test at a time; started by the first that asks.
async fn world() -> WorldGuard {
    static WORLD: Mutex<Option<World>> = Mutex::const_new(None);
    let mut guard = WORLD.lock().await;
    if guard.is_none() {
        *guard = Some(World::start(Options { audit: true, ..Options::default() }).await.expect("the platform"));
    }
    WorldGuard(guard)
}

/// Leaves the platform to the next test: without owners, and with a Lease that nobody has to wait for.
async fn finish(team: &Team, operator: &Operator) {
    team.kubectl.run(&["delete", "openbaoclusters", "--all", "--wait=false"]).await.expect("deleted");
    assert!(operator.server().stop(PATIENCE).await, "it ends when it is asked to: {}", operator.server().log_tail());
}

struct WorldGuard(MutexGuard<'static, Option<World>>);

impl std::ops::Deref for WorldGuard {
    type Target = World;

    fn deref(&self) -> &World {
        self.0.as_ref().expect("it was started")
    }
}
