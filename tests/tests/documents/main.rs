//! What people read first is true: links lead somewhere, reasons are ones that somebody tells, commands are ones that the command line has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use banhbaoring_testing::tools::workspace_root;
use banhbaoring_tests::Banhbaoring;

/// Files below a folder whose names end so, without what is built or fetched.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files(&entry, end));
        } else if entry.to_string_lossy().ends_with(end) {
            found.push(entry);
        }
    }
    found
}

fn documents() -> Vec<(PathBuf, String)> {
    let root = workspace_root();
    let mut paths = vec![root.join("README.md")];
    paths.extend(files(&root.join("docs"), ".md"));
    paths.extend(files(&root.join("examples"), ".md"));
    assert!(paths.len() >= 6, "{paths:?}");
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// As GitHub makes anchors of headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
    headings.map(|heading| anchor(heading).replace(' ', "-")).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for (path, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let at = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(at.exists(), "{}: {target} leads nowhere", path.display());
            let found = anchor.is_empty() || anchors(&fs::read_to_string(&at).unwrap()).contains(anchor);
            assert!(found, "{}: {target} has no such heading", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 15, "{seen} links were found");
}

#[test]
fn reasons_are_ones_that_somebody_tells() {
    let root = workspace_root();
    let sources = ["host", "plugins"].iter().flat_map(|folder| files(&root.join(folder), ".rs"));
    let code: String = sources
        .filter(|path| !path.components().any(|part| part.as_os_str() == "tests"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut seen = 0;
    for (path, text) in documents() {
        let mut is_of_reasons = false;
        for line in text.lines() {
            if !line.starts_with('|') {
                is_of_reasons = false;
                continue;
            }
            let first = line.split('|').nth(1).unwrap_or_default();
            is_of_reasons |= first.contains("reason");
            let words = first.split('`').skip(1).step_by(2).filter(|word| is_of_reasons && !word.contains('…'));
            for word in words {
                assert!(code.contains(&format!("\"{word}\"")), "{}: nobody tells the reason {word}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen >= 30, "{seen} reasons were found");
}

#[tokio::test]
async fn commands_are_ones_that_the_command_line_has() {
    let binary = Banhbaoring::find().unwrap();
    let tasks = fs::read_to_string(workspace_root().join("xtask/src/main.rs")).unwrap().to_lowercase();
    let mut seen = 0;
    for (path, text) in documents() {
        for line in text.lines().filter_map(|line| line.strip_prefix("$ ")) {
            let line = line.split('#').next().unwrap_or_default();
            if let Some(task) = line.strip_prefix("cargo xtask ") {
                let task = task.split_whitespace().next().unwrap();
                assert!(tasks.contains(task), "{}: cargo xtask has no {task}", path.display());
            }
            let mut words = line.split_whitespace().skip_while(|word| word.contains('='));
            if words.next() != Some("banhbaoring") {
                continue;
            }
            let words: Vec<&str> = words.collect();
            let depth = if words.first() == Some(&"plugin") { 2 } else { 1 };
            let mut call = words[..depth].to_vec();
            call.push("--help");
            let help = binary.call(&call, &[]).await.unwrap();
            assert_eq!(help.code, 0, "{}: {line}\n{}", path.display(), help.stderr);
            let known: BTreeSet<&str> = help.stdout.split(|c: char| c.is_whitespace() || c == ',' || c == '[').collect();
            for option in words.iter().filter(|word| word.starts_with('-')) {
                assert!(known.contains(option), "{}: {line}: no {option} in\n{}", path.display(), help.stdout);
            }
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen} commands were found");
}
