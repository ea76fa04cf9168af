//! The proxy of the harness before a registry: refuses or holds back what a test says.

use banhbaoring_testing::proxy::{Asked, Misbehaviour};
use banhbaoring_testing::{proxy, wait};

use crate::case::SOON;

pub struct Proxy {
    proxy: proxy::Proxy,
    pub address: String,
}

impl Proxy {
    pub async fn before(upstream: &str) -> Self {
        banhbaoring_testing::http::install_tls_provider();
        let proxy = proxy::Proxy::before(upstream, |_| None).await.unwrap();
        Self { address: proxy.address.clone(), proxy }
    }

    /// This status to the paths that end so: a tag must not be taken for the beginning of a longer one.
    pub fn refuse(&self, status: u16, end: &str) {
        let end = end.to_owned();
        self.proxy.from_now_on(move |asked| asked.path.ends_with(&end).then_some(Misbehaviour::Status(status)));
    }

    /// No answer to the paths that end so, until it is told otherwise.
    pub fn hold(&self, end: &str) {
        let end = end.to_owned();
        self.proxy.from_now_on(move |asked| asked.path.ends_with(&end).then_some(Misbehaviour::Held));
    }

    /// From now on everything is passed on, also what is held.
    pub fn behave(&self) {
        self.proxy.from_now_on(|_| None);
    }

    /// Methods and paths of requests so far whose path contains the text.
    pub fn asked(&self, part: &str) -> Vec<String> {
        self.proxy.asked(part).into_iter().map(|Asked { method, path, .. }| format!("{method} {path}")).collect()
    }

    pub async fn until_asked(&self, part: &str) {
        let asked = wait::until(SOON, format!("a request for {part}"), async || {
            if self.asked(part).is_empty() { Err(format!("{:?}", self.asked(""))) } else { Ok(()) }
        });
        asked.await.unwrap();
    }
}
