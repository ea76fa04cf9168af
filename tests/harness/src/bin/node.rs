//! Runs a cluster of one node for other processes: prints the path of the administrator's kubeconfig, then serves until standard input ends.
//!
//! `node keep FOLDER` and `node inside FOLDER NUMBER` are the processes that it is made of; the library starts them.

use std::{
    env,
    error::Error,
    io::{self, Read, Write},
    path::Path,
    process::ExitCode,
};

use banhbaoring_testing::node::{Node, inside, keeper, slot::Slot};

fn main() -> ExitCode {
    let words: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "node {}: {error}", words.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), Box<dyn Error>> {
    match words {
        [] => serve(),
        ["keep", folder] => Ok(keeper::keep(Path::new(folder))?),
        ["inside", folder, number] => {
            let slot = Slot::parse(number).ok_or_else(|| format!("expected the number of a node, found {number}"))?;
            Ok(inside::serve(Path::new(folder), slot)?)
        }
        _ => Err("expected no arguments".into()),
    }
}

#[tokio::main]
async fn serve() -> Result<(), Box<dyn Error>> {
    let node = Node::start().await?;
    writeln!(io::stdout(), "{}", node.kubeconfig().display())?;
    io::stdout().flush()?;
    tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(node.stop()?)
}
