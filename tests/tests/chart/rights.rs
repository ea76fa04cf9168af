//! What the accounts of a release may do, as the API server tells it: nothing by a wildcard, no list of Secrets, and of the host nothing but what it does.

use std::collections::BTreeSet;

use banhbaoring_testing::kubectl::Kubectl;
use banhbaoring_tests::FIRST_PARTY;
use serde_json::Value;

use crate::support::{ACCOUNT, NAMESPACE, of_kind, render, with_plugins};

/// The table of `kubectl auth can-i --list`, resources only: what, names, verbs.
struct Allowed {
    resource: String,
    names: String,
    verbs: Vec<String>,
}

async fn allowed(kubectl: &Kubectl, user: &str, namespace: &str) -> Vec<Allowed> {
    let table = kubectl.in_namespace(namespace).run(&["auth", "can-i", "--list", "--as", user]).await.unwrap();
    let mut lines = table.lines();
    let header = lines.next().unwrap();
    let [urls, names, verbs] = ["Non-Resource URLs", "Resource Names", "Verbs"].map(|title| header.find(title).unwrap());
    let column = |line: &str, from: usize, to: usize| line.get(from..to.min(line.len())).unwrap_or_default().trim().to_owned();
    lines
        .map(|line| Allowed {
            resource: column(line, 0, urls),
            names: column(line, names, verbs),
            verbs: column(line, verbs, line.len()).trim_matches(['[', ']']).split_whitespace().map(str::to_owned).collect(),
        })
        // The others are paths of the API server's own that every account may get.
        .filter(|allowed| !allowed.resource.is_empty())
        .collect()
}

fn user(account: &str) -> String {
    format!("system:serviceaccount:{NAMESPACE}:{account}")
}

/// Looks at every account of an installed release.
pub(crate) async fn are_narrow(kubectl: &Kubectl) {
    let accounts = std::iter::once(ACCOUNT.to_owned()).chain(FIRST_PARTY.iter().map(|plugin| format!("plugin-{plugin}")));
    for account in accounts {
        for namespace in [NAMESPACE, "default"] {
            let allowed = allowed(kubectl, &user(&account), namespace).await;
            tell(&account, namespace, &allowed);
            assert!(allowed.iter().any(|allowed| allowed.resource.starts_with("selfsubjectaccessreviews")), "{account}: the table is read");
            for Allowed { resource, names, verbs } in &allowed {
                assert!(!resource.contains('*') && !verbs.contains(&"*".to_owned()), "{account}: {resource} {names} {verbs:?}");
                let lists = verbs.iter().any(|verb| ["list", "watch", "deletecollection"].contains(&verb.as_str()));
                assert!(resource != "secrets" || !lists, "{account} in {namespace}: {verbs:?}");
            }
            // A line for each name.
            let acts_as = |allowed: &&Allowed| allowed.verbs.contains(&"impersonate".to_owned());
            let names: Vec<String> =
                allowed.iter().filter(acts_as).map(|allowed| allowed.names.trim_matches(['[', ']']).to_owned()).collect();
            let expected = if account == ACCOUNT && namespace == NAMESPACE {
                FIRST_PARTY.map(|plugin| format!("plugin-{plugin}")).to_vec()
            } else {
                vec![]
            };
            assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), expected.into_iter().collect(), "{account} in {namespace}");
        }
        for verb in ["list", "watch", "deletecollection"] {
            let everywhere = ["auth", "can-i", verb, "secrets", "--all-namespaces", "--as", &user(&account)];
            let answer = kubectl.run(&everywhere).await;
            assert!(answer.is_err(), "{account}: {verb} secrets: {answer:?}");
        }
    }
    the_host_cannot(kubectl).await;
}

/// The table, without what every account may ask about itself: for those who want to read it.
fn tell(account: &str, namespace: &str, allowed: &[Allowed]) {
    println!("{account} in {namespace}");
    for Allowed { resource, names, verbs } in allowed.iter().filter(|allowed| !allowed.resource.starts_with("selfsubject")) {
        println!("  {resource:<54} {:<44} {}", names.trim_matches(['[', ']']), verbs.join(" "));
    }
}

/// By its own account. Whatever it does to children, it does as a plugin.
async fn the_host_cannot(kubectl: &Kubectl) {
    let host = user(ACCOUNT);
    for question in [
        &["list", "secrets", "--all-namespaces"][..],
        &["list", "secrets", "--namespace", NAMESPACE],
        &["get", "secret/another", "--namespace", NAMESPACE],
        &["create", "secrets", "--namespace", NAMESPACE],
        &["create", "pods", "--namespace", NAMESPACE],
        &["get", "statefulsets.apps", "--namespace", "default"],
        &["update", "plugins.plugins.banhbaoring.io"],
        &["patch", "pluginpolicies.plugins.banhbaoring.io"],
        &["create", "customresourcedefinition/pods.example.com"],
        &["delete", "customresourcedefinition/openbaoclusters.openbao.org"],
        &["impersonate", "users"],
        &["impersonate", "serviceaccount/default", "--namespace", NAMESPACE],
        &["impersonate", "serviceaccount/plugin-openbao", "--namespace", "default"],
        &["create", "serviceaccounts/plugin-openbao", "--subresource", "token", "--namespace", NAMESPACE],
        &["list", "inventories.plugins.banhbaoring.io", "--namespace", "default"],
        &["create", "clusterroles.rbac.authorization.k8s.io"],
    ] {
        let arguments = [&["auth", "can-i"], question, &["--as", &host]].concat();
        let answer = kubectl.run(&arguments).await;
        assert!(answer.is_err(), "{question:?}: {answer:?}");
    }
    let definition = ["auth", "can-i", "create", "customresourcedefinition/openbaoclusters.openbao.org", "--as", &host];
    assert_eq!(kubectl.run(&definition).await.unwrap().trim(), "yes", "the questions are understood");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rule_of_the_chart_has_a_wildcard_or_an_empty_list_of_names() {
    for values in [serde_json::json!({}), with_plugins()] {
        let rendered = render(&values, &[]).await.unwrap();
        let roles = [of_kind(&rendered, "ClusterRole"), of_kind(&rendered, "Role")].concat();
        assert_eq!(roles.len(), FIRST_PARTY.len() + 2);
        for role in roles {
            for rule in role["rules"].as_array().into_iter().flatten() {
                let entries = ["apiGroups", "resources", "verbs", "resourceNames"].map(|field| rule[field].as_array());
                for entry in entries.into_iter().flatten() {
                    assert!(!entry.is_empty() && entry.iter().all(|value| !value.as_str().unwrap().contains('*')), "{rule}");
                }
                let impersonates = rule["verbs"].as_array().unwrap().contains(&Value::from("impersonate"));
                assert!(!impersonates || rule["resourceNames"].is_array(), "{rule}");
            }
        }
    }
}
