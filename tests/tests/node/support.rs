//! The platform that the tests of this binary share. No assertions of tests live here.

use std::time::Instant;

use banhbaoring_tests::Release;
use tokio::sync::OnceCell;

/// A node with a release on it. Its keeper takes it down when this process ends: a static is never dropped.
pub struct Platform {
    pub release: Release,
    pub clock: Clock,
}

/// Tells what took how long, and of which test.
#[derive(Clone, Copy)]
pub struct Clock {
    about: &'static str,
    begin: Instant,
}

impl Clock {
    pub fn start(about: &'static str) -> Self {
        Self { about, begin: Instant::now() }
    }

    pub fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    pub fn tell(&self, what: &str) {
        println!("{:6.1} s  {:<9} {what}", self.begin.elapsed().as_secs_f64(), self.about);
    }
}

/// The platform of this binary; started by the first test that asks.
pub async fn platform() -> &'static Platform {
    static PLATFORM: OnceCell<Platform> = OnceCell::const_new();
    PLATFORM.get_or_init(Platform::start).await
}

impl Platform {
    async fn start() -> Self {
        let clock = Clock::start("platform");
        let release = Release::start(|what| clock.tell(what)).await.unwrap_or_else(|error| panic!("{error:#}"));
        Self { release, clock }
    }
}
