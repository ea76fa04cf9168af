//! Every plugin of this repository as WebAssembly through the real sandbox: it imports nothing, describes itself, and gives for its golden
//! requests the very answers that it gives natively. The components are those of `cargo xtask plugins`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use banhbaoring_sandbox::{CallLimits, EngineSettings, Interface, Module, Sandbox, TrustedComponent, golden};
use banhbaoring_sdk::testing::{Golden, Outcome};
use serde_json::Value;

const PREFIX: &str = "banhbaoring-plugin-";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Name and folder of every plugin of the workspace.
fn plugins() -> Vec<(String, PathBuf)> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut found = Vec::new();
    for member in manifest.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\",")) {
        let folder = root().join(member);
        let Ok(package) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        let name = package.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        if let Some(name) = name.and_then(|name| name.strip_prefix(PREFIX)) {
            found.push((name.to_owned(), folder));
        }
    }
    assert!(found.len() >= 6, "{found:?}");
    found
}

fn component(name: &str) -> TrustedComponent {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let path = target.join("plugins").join(format!("{name}.wasm"));
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask plugins` builds it", path.display()));
    TrustedComponent::local_file(bytes)
}

/// All of them, compiled side by side.
fn modules() -> Vec<(String, PathBuf, Module)> {
    let sandbox = Sandbox::new(EngineSettings::default(), None).unwrap();
    let plugins = plugins();
    let components: Vec<_> = plugins.iter().map(|(name, _)| (component(name), CallLimits::default())).collect();
    let modules = std::sync::Mutex::new(Vec::new());
    sandbox.load_all(&components, |index, loaded| {
        let (name, folder) = plugins[index].clone();
        let module = loaded.unwrap_or_else(|error| panic!("{name}: {error}"));
        modules.lock().unwrap().push((name, folder, module));
    });
    modules.into_inner().unwrap()
}

#[test]
fn every_plugin_imports_nothing_and_answers_its_goldens_as_it_does_natively() {
    let mut cases = 0;
    let mut problems = Vec::new();
    for (name, folder, module) in modules() {
        let descriptor = module.describe().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(descriptor.name, name);
        assert!(module.interfaces().contains(&Interface::Metadata));
        let reviews = folder.join("tests/reviews");
        let reviews = if reviews.is_dir() { Golden::<Value>::all(&reviews).unwrap() } else { Vec::new() };
        for case in Golden::<Value>::all(&folder.join("tests/goldens")).unwrap().into_iter().chain(reviews) {
            let call = match &case.request {
                request if request.get("component").is_some() => golden::reconcile,
                request if request.get("operation").is_some() => golden::review,
                _ => golden::render_seal,
            };
            let answer = call(&module, case.request.clone()).unwrap_or_else(|error| panic!("{name}, {}: {error}", case.name));
            let answer: Outcome<Value> = serde_json::from_value(answer).unwrap();
            let expected = fs::read_to_string(&case.response).unwrap();
            let found = tempfile::NamedTempFile::new().unwrap();
            banhbaoring_sdk::testing::write(found.path(), &answer).unwrap();
            // Never written from here: the native run says what is right.
            if fs::read_to_string(found.path()).unwrap() != expected {
                problems.push(format!("{name}, {}", case.name));
            }
            cases += 1;
        }
    }
    assert!(problems.is_empty(), "native and WebAssembly differ (or the components are older than the goldens): {problems:?}");
    assert!(cases > 10, "{cases}");
}
