//! Runs a control plane for other processes: prints the path of the administrator's kubeconfig, then serves until standard input ends.
//!
//! `cargo xtask` holds the pipe, so the servers go when it goes, however it ends.

use std::{
    error::Error,
    io::{self, Read, Write},
    process::ExitCode,
};

use banhbaoring_testing::control_plane::{ControlPlane, Options};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "control-plane: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let plane = ControlPlane::start(Options::default()).await?;
    writeln!(io::stdout(), "{}", plane.kubeconfig().display())?;
    io::stdout().flush()?;
    tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await??;
    drop(plane);
    Ok(())
}
