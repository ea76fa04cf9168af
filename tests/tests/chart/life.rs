//! A release from its installation to its end, with an owner that must not notice.

use std::collections::BTreeSet;

use banhbaoring_testing::control_plane::{ControlPlane, Options};
use banhbaoring_testing::kubectl::Kubectl;
use banhbaoring_testing::scratch::Scratch;
use banhbaoring_testing::wait;
use banhbaoring_tests::helm::{Helm, chart};
use banhbaoring_tests::survey::{Objects, name_of, text, uids};
use banhbaoring_tests::team::{PATIENCE, cluster, parts_of};
use banhbaoring_tests::{FIRST_PARTY, Operator, Publisher, Survey, Team, operator, world};
use serde_json::{Value, json};

use crate::rights;
use crate::support::{ACCOUNT, NAMESPACE, RELEASE};

const DEFINITION: &str = "crd/plugins.plugins.banhbaoring.io";
const FIELDS: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";

struct Site {
    publisher: Publisher,
    helm: Helm,
    kubectl: Kubectl,
    scratch: Scratch,
    cluster: ControlPlane,
}

impl Site {
    async fn start() -> Self {
        let cluster = ControlPlane::start(Options::default()).await.unwrap();
        let publisher = Publisher::start().await.unwrap();
        for plugin in FIRST_PARTY {
            publisher.publish(plugin, world::TAG).await.unwrap();
        }
        let helm = Helm::new(Some(cluster.kubeconfig())).unwrap();
        Self { publisher, helm, kubectl: cluster.kubectl().unwrap(), scratch: Scratch::new("site").unwrap(), cluster }
    }

    /// A values file: our registry and key, and more.
    fn values(&self, more: &Value) -> String {
        let key = std::fs::read_to_string(self.publisher.public_key()).unwrap();
        let mut values = json!({
            "firstParty": {"registry": format!("{}/plugins", self.publisher.registry.host()), "insecure": true},
            "releaseKey": {"data": key},
        });
        for (name, value) in more.as_object().unwrap() {
            values[name].as_object_mut().map_or_else(
                || panic!("{name} is no map"),
                |of| value.as_object().unwrap().iter().for_each(|(name, value)| drop(of.insert(name.clone(), value.clone()))),
            );
        }
        self.scratch.write("values.json", values.to_string()).unwrap().display().to_string()
    }

    async fn helm(&self, command: &[&str], chart: &str, more: &Value) -> anyhow::Result<String> {
        let values = self.values(more);
        self.helm.run(&[command, &[RELEASE, chart, "--namespace", NAMESPACE, "-f", &values]].concat()).await
    }

    /// An operator with a token of the account that the chart made, and no other right.
    async fn operator(&self) -> Operator {
        self.operator_that_judges(true).await
    }

    async fn operator_that_judges(&self, admission: bool) -> Operator {
        let kubeconfig = self.cluster.kubeconfig_of(NAMESPACE, ACCOUNT).await.unwrap();
        let options = operator::Options { kubeconfig, namespace: NAMESPACE.to_owned(), identity: "chart".to_owned(), admission };
        let operator = Operator::start(&options).unwrap();
        operator.until_leading().await.unwrap();
        operator
    }

    async fn until_plugins_serve(&self, operator: &Operator) {
        let ready = ["wait", "plugins", "--all", "--for=condition=Ready", "--timeout=300s"];
        if let Err(error) = self.kubectl.run(&ready).await {
            panic!("{error}\n{}", operator.server().log_tail());
        }
    }

    async fn team(&self) -> Team {
        let survey = Survey::new(self.cluster.client().await.unwrap(), NAMESPACE).await.unwrap();
        let namespace = self.cluster.namespace("team").await.unwrap();
        Team { kubectl: self.kubectl.in_namespace(&namespace), namespace, survey }
    }

    async fn get(&self, object: &str) -> Value {
        serde_json::from_str(&self.kubectl.in_namespace(NAMESPACE).run(&["get", object, "-o", "json"]).await.unwrap()).unwrap()
    }

    /// The chart as it was before a field was added to Plugins.
    fn older_chart(&self) -> String {
        let older = self.scratch.path().join("older");
        copy(&chart(), &older);
        let file = older.join("crds/plugins.banhbaoring.io_plugins.yaml");
        let mut definition: Value = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        definition.pointer_mut(FIELDS).unwrap().as_object_mut().unwrap().remove("suspend").unwrap();
        std::fs::write(&file, serde_yaml::to_string(&definition).unwrap()).unwrap();
        older.display().to_string()
    }

    /// Names of what the host told the API server about plugins that judge.
    async fn told(&self) -> String {
        let kinds =
            "validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings";
        self.kubectl.run(&["get", kinds, "-l", "app.kubernetes.io/managed-by=banhbaoring", "-o", "name"]).await.unwrap()
    }

    async fn has_field(&self, field: &str) -> bool {
        self.get(DEFINITION).await.pointer(FIELDS).unwrap().get(field).is_some()
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}

/// What an owner is and has: none of it may change while the release does.
async fn treasure(team: &Team) -> Value {
    let children = team.children("vault").await.unwrap();
    let inventory = team.inventory("vault").await.unwrap();
    let (uid, recorded) = (team.uid("vault").await.unwrap(), inventory.spec.children.len());
    json!({"owner": uid, "uids": uids(&children), "inventory": inventory.metadata.uid, "recorded": recorded})
}

/// What was written of each by anybody but kube-controller-manager, which tells a status where there is a generation.
fn written(objects: &Objects) -> Objects {
    let written = |object: &Value| match &object["metadata"]["generation"] {
        Value::Null => object["metadata"]["resourceVersion"].clone(),
        generation => generation.clone(),
    };
    objects.iter().map(|(name, object)| (name.clone(), written(object))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_serves_with_the_rights_of_its_chart_alone_and_nothing_in_its_life_touches_data() {
    let site = Site::start().await;
    let current = chart().display().to_string();

    // Definitions are helm's to make, and the operator's to extend: helm never does.
    let older = site.older_chart();
    site.helm(&["install", "--create-namespace"], &older, &json!({})).await.unwrap();
    site.helm(&["upgrade"], &current, &json!({})).await.unwrap();
    assert!(!site.has_field("suspend").await, "helm upgrades no definitions");
    let operator = site.operator().await;
    assert!(site.has_field("suspend").await);

    site.until_plugins_serve(&operator).await;
    rights::are_narrow(&site.kubectl).await;
    let team = site.team().await;
    team.apply(&[cluster("vault", &json!({}))]).await.unwrap();
    let children = team.until_children("vault", &parts_of("vault")).await.unwrap();
    team.until_condition("vault", "Reconciled", "True").await.unwrap();
    let before = treasure(&team).await;
    judged(&site, &team).await;
    // All is as it should be, and that is no event.
    team.apply(&[cluster("refused", &json!({"unseal": {"type": "nobodys", "keyId": "a"}}))]).await.unwrap();
    team.until_condition("refused", "Reconciled", "False").await.unwrap();
    wait::until(PATIENCE, "an event of ours", async || {
        let events = team.kubectl.run(&["get", "events.events.k8s.io", "-o", "json"]).await.map_err(|error| error.to_string())?;
        if events.contains("\"reportingController\": \"banhbaoring\"") { Ok(()) } else { Err(events) }
    })
    .await
    .unwrap();
    let refused = team.uid("refused").await.unwrap();
    team.kubectl.run(&["delete", "openbaocluster/refused"]).await.unwrap();
    wait::until(PATIENCE, "its inventory to go", async || match team.survey.inventory(&refused).await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
    .unwrap();
    assert!(!operator.log().contains("forbidden"), "{}", operator.log());

    upgraded_and_rolled_back(&site, &operator, &team).await;
    assert_eq!(treasure(&team).await, before);
    assert_eq!(written(&team.children("vault").await.unwrap()), written(&children));

    // The operator runs on for a while after its rights are gone, as a pod does that is being stopped.
    site.helm.run(&["uninstall", RELEASE, "--namespace", NAMESPACE]).await.unwrap();
    gone(&site, &team).await;
    assert!(operator.server().stop(PATIENCE).await || operator.server().exit_status().is_some());
    gone(&site, &team).await;
    assert_eq!(treasure(&team).await, before);

    // And again: what was left is taken up as it is.
    site.helm(&["install"], &current, &json!({})).await.unwrap();
    let operator = site.operator().await;
    site.until_plugins_serve(&operator).await;
    team.patch("openbaocluster/vault", &json!({"spec": {"replicas": 5}})).await.unwrap();
    team.until_condition("vault", "Reconciled", "True").await.unwrap();
    assert_eq!(treasure(&team).await["owner"], before["owner"]);
    let same = uids(&team.children("vault").await.unwrap());
    assert!(same.iter().all(|(name, uid)| before["uids"][name] == *uid), "{same:?} {before}");

    let operator = later_definitions_stay(&site, operator).await;
    let operator = asked_no_more(&site, operator).await;
    the_owner_ends(&site, &operator, &team).await;

    // Helm does not go back behind definitions that it did not make, unless it is told to leave them alone.
    site.helm.run(&["uninstall", RELEASE, "--namespace", NAMESPACE]).await.unwrap();
    let refused = site.helm(&["install"], &current, &json!({})).await.expect_err("there is a later definition").to_string();
    assert!(refused.contains("conflict") && refused.contains(".spec.versions"), "{refused}");
    site.helm(&["install", "--skip-crds"], &current, &json!({})).await.unwrap();
    assert!(site.has_field("later").await);
}

/// Writes are judged with the rights of the chart, by the plugin and by the API server itself.
async fn judged(site: &Site, team: &Team) {
    let conditions = site.get("plugin/openbao").await["status"]["conditions"].clone();
    let served = conditions.as_array().into_iter().flatten().find(|condition| condition["type"] == "AdmissionServed");
    assert_eq!(served.map(|served| &served["status"]), Some(&json!("True")), "{conditions}");
    // An API server takes up what it was told after a moment.
    wait::until(PATIENCE, "a write that only the plugin can judge to be denied", async || {
        let written = team.apply(&[cluster("judged", &json!({"tls": {"ipAddresses": ["999.1.1.1"]}}))]).await;
        match written.map_err(|error| error.to_string()) {
            Err(told) if told.contains("spec.tls.ipAddresses[0]: expected an address") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap();
    team.kubectl.run(&["delete", "openbaocluster/judged", "--ignore-not-found"]).await.unwrap();
    let protect = |protected: bool| json!({"spec": {"deletionProtection": protected}});
    team.patch("openbaocluster/vault", &protect(true)).await.unwrap();
    wait::until(PATIENCE, "a deletion to be denied by the API server's own policy", async || {
        let deleted = team.kubectl.run(&["delete", "openbaocluster/vault", "--dry-run=server"]).await;
        match deleted.map_err(|error| error.to_string()) {
            Err(told) if told.contains("ValidatingAdmissionPolicy 'banhbaoring-openbao'") && told.contains("deletionProtection") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap();
    team.patch("openbaocluster/vault", &protect(false)).await.unwrap();
}

/// Switched off, the API server asks nobody and has no rule of a plugin left; the chart's rights are enough for that.
async fn asked_no_more(site: &Site, operator: Operator) -> Operator {
    assert_ne!(site.told().await, "");
    assert!(operator.server().stop(PATIENCE).await, "{}", operator.server().log_tail());
    site.helm(&["upgrade", "--set", "admission.enabled=false"], &chart().display().to_string(), &json!({})).await.unwrap();
    let operator = site.operator_that_judges(false).await;
    let gone = wait::until(PATIENCE, "what the API server was told to go", async || {
        let told = site.told().await;
        if told.is_empty() { Ok(()) } else { Err(told) }
    });
    gone.await.unwrap_or_else(|error| panic!("{error}\n{}", operator.server().log_tail()));
    operator
}

/// Other values, the key from a Secret, a plugin less; and back.
async fn upgraded_and_rolled_back(site: &Site, operator: &Operator, team: &Team) {
    let key = format!("--from-file=cosign.pub={}", site.publisher.public_key().display());
    site.kubectl.in_namespace(NAMESPACE).run(&["create", "secret", "generic", "release-key", &key]).await.unwrap();
    let one =
        ["upgrade", "--set", "replicas=1", "--set", "firstParty.plugins.unseal-gcpkms.enabled=false", "--set", "firstParty.interval=30s"];
    let by_name = json!({"releaseKey": {"data": "", "secret": {"name": "release-key"}}});
    site.helm(&one, &chart().display().to_string(), &by_name).await.unwrap();
    assert_eq!(site.get("deployment/banhbaoring-operator").await["spec"]["replicas"], 1);
    let of_plugin = ["get", "plugins/unseal-gcpkms", "--ignore-not-found", "-o", "name"];
    assert_eq!(site.kubectl.run(&of_plugin).await.unwrap(), "");
    assert!(site.kubectl.in_namespace(NAMESPACE).run(&["get", "pdb/banhbaoring-operator"]).await.is_err());
    until_observed(site, operator).await;

    site.helm.run(&["rollback", RELEASE, "2", "--namespace", NAMESPACE]).await.unwrap();
    assert_eq!(site.get("deployment/banhbaoring-operator").await["spec"]["replicas"], 2);
    site.get("pdb/banhbaoring-operator").await;
    until_observed(site, operator).await;
    assert!(site.kubectl.run(&of_plugin).await.unwrap().contains("unseal-gcpkms"));
    assert!(site.has_field("suspend").await, "a rollback takes no field away");
    team.until_condition("vault", "Reconciled", "True").await.unwrap();
}

/// Every plugin serves, by what its resource says now: the key of before would do for a while.
async fn until_observed(site: &Site, operator: &Operator) {
    let seen = wait::until(PATIENCE, "every plugin to serve as it is written now", async || {
        let list = site.kubectl.run(&["get", "plugins", "-o", "json"]).await.map_err(|error| error.to_string())?;
        let list: Value = serde_json::from_str(&list).map_err(|error| error.to_string())?;
        let late: Vec<String> = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|plugin| {
                let conditions = plugin["status"]["conditions"].as_array().into_iter().flatten();
                let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready");
                ready.is_none_or(|ready| ready["reason"] != "Active" || ready["observedGeneration"] != plugin["metadata"]["generation"])
            })
            .map(|plugin| format!("{} {}", name_of(plugin), plugin["status"]["conditions"]))
            .collect();
        if late.is_empty() { Ok(()) } else { Err(late.join("\n")) }
    });
    if let Err(error) = seen.await {
        panic!("{error}\n{}", operator.server().log_tail());
    }
}

/// Nothing of the release is left, and everything that holds data is.
async fn gone(site: &Site, team: &Team) {
    let selector = format!("app.kubernetes.io/instance={RELEASE}");
    wait::until(PATIENCE, "nothing of the release to be left", async || {
        let kinds = "clusterroles,clusterrolebindings,plugins,pluginpolicies";
        let cluster = site.kubectl.run(&["get", kinds, "-l", &selector, "-o", "name"]).await.map_err(|error| error.to_string())?;
        let cluster = cluster + &site.told().await;
        let namespaced = team.survey.everything(&selector).await.map_err(|error| format!("{error:#}"))?;
        let names: Vec<String> = namespaced.iter().map(name_of).collect();
        if cluster.is_empty() && names.is_empty() { Ok(()) } else { Err(format!("{cluster} {names:?}")) }
    })
    .await
    .unwrap();
    // Not by its labels alone: all that there is in its namespace.
    let all = team.survey.everything("").await.unwrap();
    let left: Vec<String> = all.iter().filter(|object| text(object, "/metadata/namespace") == NAMESPACE).map(name_of).collect();
    let inventory = format!("Inventory/{}", team.inventory("vault").await.unwrap().metadata.name.unwrap());
    let known = ["ConfigMap/kube-root-ca.crt", "ServiceAccount/default", "Secret/release-key", "Lease/banhbaoring-operator", &inventory];
    assert!(left.iter().all(|name| known.contains(&name.as_str())), "{left:?}");
    assert!(left.contains(&inventory), "{left:?}");
    for definition in ["openbaoclusters.openbao.org", "plugins", "pluginpolicies", "inventories"] {
        let name = if definition.contains('.') { definition.to_owned() } else { format!("{definition}.plugins.banhbaoring.io") };
        let found = site.get(&format!("crd/{name}")).await;
        assert_eq!(found["metadata"]["deletionTimestamp"], Value::Null, "{name}");
    }
    let vault = team.cluster("vault").await.unwrap();
    assert_eq!(vault["metadata"]["deletionTimestamp"], Value::Null);
}

/// A later version of the host was here and went back: its field, and what is stored in it, outlive a start of this one.
async fn later_definitions_stay(site: &Site, operator: Operator) -> Operator {
    drop(operator);
    let mut definition = site.get(DEFINITION).await;
    definition.pointer_mut(FIELDS).unwrap()["later"] = json!({"type": "string"});
    let versions = json!({"spec": {"versions": definition["spec"]["versions"]}}).to_string();
    site.kubectl.run(&["patch", DEFINITION, "--type=merge", "-p", &versions]).await.unwrap();
    let later = ["patch", "plugin/openbao", "--type=merge", "-p", r#"{"spec": {"later": "kept"}}"#];
    wait::until(PATIENCE, "the later field to be stored", async || {
        site.kubectl.run(&later).await.map_err(|error| error.to_string())?;
        let stored = site.get("plugin/openbao").await;
        if stored["spec"]["later"] == "kept" { Ok(()) } else { Err(stored["spec"].to_string()) }
    })
    .await
    .unwrap();
    let operator = site.operator().await;
    assert!(operator.log().contains("installed by a later version"), "{}", operator.server().log_tail());
    assert!(site.has_field("later").await);
    until_observed(site, &operator).await;
    assert_eq!(site.get("plugin/openbao").await["spec"]["later"], "kept");
    operator
}

/// Deleted by its team, and not by anything of the release: then its inventory goes too, and what it keeps stays.
async fn the_owner_ends(site: &Site, operator: &Operator, team: &Team) {
    let uid = team.uid("vault").await.unwrap();
    let inventory = team.inventory("vault").await.unwrap();
    let children = inventory.spec.children.iter().filter(|child| child.keep);
    let kept: BTreeSet<String> = children.map(|child| format!("{}/{}", child.kind, child.name)).collect();
    assert!(kept.contains("Secret/vault-unseal-key"), "{kept:?}");
    team.kubectl.run(&["delete", "openbaocluster/vault"]).await.unwrap();
    wait::until(PATIENCE, "what the owner had to be gone, but for what it keeps", async || {
        let children = team.survey.children(&team.namespace, &uid).await.map_err(|error| format!("{error:#}"))?;
        let inventory = team.survey.inventory(&uid).await.map_err(|error| format!("{error:#}"))?;
        let left: BTreeSet<String> = children.keys().cloned().collect();
        if left == kept && inventory.is_none() { Ok(()) } else { Err(format!("{left:?}, inventory {inventory:?}")) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", operator.server().log_tail()));
    assert!(!operator.log().contains("forbidden"), "{}", operator.log());
    assert!(site.kubectl.run(&["get", "plugin/openbao"]).await.is_ok());
}
