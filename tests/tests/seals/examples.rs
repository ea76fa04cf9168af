//! Every example is rendered by the first-party plugins and admitted under the very permissions that they ask for.

use std::collections::BTreeSet;

use banhbaoring_testing::guests;
use banhbaoring_testing::scratch::Scratch;
use banhbaoring_testing::tools::workspace_root;
use banhbaoring_tests::survey::name_of;
use banhbaoring_tests::{Banhbaoring, FIRST_PARTY};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_admitted_under_the_permissions_that_its_plugins_ask_for() {
    let scratch = Scratch::new("examples").unwrap();
    for plugin in FIRST_PARTY {
        let component = std::fs::read(guests::component(plugin).unwrap()).unwrap();
        scratch.write(&format!("{plugin}.wasm"), component).unwrap();
    }
    let files: Vec<_> = std::fs::read_dir(workspace_root().join("examples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let texts: Vec<String> = files
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert!(texts.len() >= 7, "{files:?}");
    let owners = texts.iter().map(|text| serde_yaml::from_str::<Value>(text).unwrap()["metadata"]["name"].as_str().unwrap().to_owned());

    // One call for all: the plugins are compiled once.
    let file = scratch.write("examples.yaml", texts.join("\n---\n")).unwrap().display().to_string();
    let plugins = scratch.path().display().to_string();
    let arguments = ["render", "-f", &file, "--plugins", &plugins, "-o", "json", "--api", "cert-manager.io/v1/Certificate"];
    let output = Banhbaoring::find().unwrap().call(&arguments, &[]).await.unwrap();
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "nothing is refused and nothing is missing");
    let rendered: Value = serde_json::from_str(&output.stdout).unwrap();
    let names: BTreeSet<String> = rendered["items"].as_array().unwrap().iter().map(name_of).collect();
    for owner in owners {
        let of_owner = [("ConfigMap", "-config"), ("Role", ""), ("Secret", "-tls-server"), ("ServiceAccount", ""), ("StatefulSet", "")];
        for (kind, suffix) in of_owner {
            assert!(names.contains(&format!("{kind}/{owner}{suffix}")), "{kind} of {owner}: {names:?}");
        }
    }
}
