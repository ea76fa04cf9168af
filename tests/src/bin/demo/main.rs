//! `cargo xtask demo`: the main job, end to end, on real servers of this machine. This file reads the command line; each demo is a module.
#![allow(clippy::print_stdout, reason = "the demo is what it prints")]

mod clock;
mod node;
mod plane;

use anyhow::{Result, bail};

#[tokio::main]
async fn main() -> Result<()> {
    banhbaoring_testing::http::install_tls_provider();
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => plane::run().await,
        ["--node"] => node::run().await,
        _ => bail!("expected nothing or `--node`, found `{}`", words.join(" ")),
    }
}
