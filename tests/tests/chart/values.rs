//! What helm says of the chart before it reaches a cluster.

use banhbaoring_testing::scratch::Scratch;
use banhbaoring_tests::helm::{Helm, chart};
use serde_json::{Value, json};

use crate::support::{KEY, of_kind, render, with_plugins};

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_is_lint_clean_also_in_the_eyes_of_the_strict() {
    let scratch = Scratch::new("lint").unwrap();
    let file = scratch.write("values.json", with_plugins().to_string()).unwrap().display().to_string();
    let chart = chart().display().to_string();
    for values in [&[][..], &["-f", &file]] {
        let said = Helm::new(None).unwrap().run(&[&["lint", "--strict", &chart], values].concat()).await.unwrap();
        assert!(said.contains("1 chart(s) linted, 0 chart(s) failed") && !said.contains("[WARNING]"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_or_impossible_value_is_refused_by_name() {
    let digest = format!("sha256:{}", "A".repeat(64));
    let wrong: [(Value, &str); 12] = [
        (json!({"replica": 3}), "replica"),
        (json!({"replicas": "three"}), "replicas"),
        (json!({"image": {"tags": "v1"}}), "tags"),
        (json!({"image": {"digest": digest}}), "digest"),
        (json!({"firstParty": {"plugins": {"unseal-ocikms": {"enabled": true}}}}), "unseal-ocikms"),
        (json!({"firstParty": {"plugins": {"openbao": {"enable": true}}}}), "enable"),
        (json!({"firstParty": {"registry": "oci://registry.example.com/x"}}), "registry"),
        (json!({"firstParty": {"interval": "ten minutes"}}), "interval"),
        (json!({"releaseKey": {"data": "cosign.pub"}}), "data"),
        (json!({"thirdParty": {"accounts": ["*"]}}), "accounts"),
        (json!({"networkPolicy": {"enabled": "yes"}}), "enabled"),
        (json!({"volumes": {"data": "big"}}), "volumes"),
    ];
    for (values, named) in wrong {
        let error = render(&values, &[]).await.expect_err(&values.to_string()).to_string();
        assert!(error.contains("don't meet the specifications of the schema") && error.contains(named), "{values}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_come_with_the_one_key_that_they_are_signed_with_or_not_at_all() {
    let registry = json!({"registry": "registry.example.com/banhbaoring"});
    let both = json!({"data": KEY, "secret": {"name": "key"}});
    for (values, said) in [
        (json!({"firstParty": registry}), "firstParty.registry needs releaseKey.data or releaseKey.secret.name"),
        (json!({"firstParty": registry, "releaseKey": both}), "not both"),
    ] {
        let error = render(&values, &[]).await.expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
    }
    let bare = render(&json!({}), &[]).await.unwrap();
    assert!(of_kind(&bare, "Plugin").is_empty() && of_kind(&bare, "PluginPolicy").is_empty());

    let full = render(&with_plugins(), &[]).await.unwrap();
    let accepted = json!([{"name": "release", "key": {"data": KEY}}]);
    let policies = of_kind(&full, "PluginPolicy");
    assert_eq!(policies.len(), 1);
    assert_eq!(policies[0]["spec"], json!({"images": ["registry.example.com/banhbaoring/**"], "mode": "enforce", "authorities": accepted}));
    let plugins = of_kind(&full, "Plugin");
    assert_eq!(plugins.len(), banhbaoring_tests::FIRST_PARTY.len());
    for plugin in plugins {
        assert_eq!(plugin["spec"]["verify"], json!({"mode": "enforce", "authorities": accepted}), "{plugin}");
    }
}
