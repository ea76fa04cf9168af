//! A team in its namespace: applies OpenBaoClusters with kubectl and waits for what becomes of them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use banhbaoring_api::inventory::Inventory;
use banhbaoring_testing::kubectl::Kubectl;
use banhbaoring_testing::wait;
use serde_json::{Value, json};

pub use banhbaoring_testing::wait::PATIENCE;

use crate::Survey;
use crate::survey::{Objects, recorded, text, uids};

/// A team.
#[derive(Clone)]
pub struct Team {
    /// Its namespace.
    pub namespace: String,
    /// `kubectl` in that namespace.
    pub kubectl: Kubectl,
    /// Everything that is there.
    pub survey: Survey,
}

/// An `OpenBaoCluster`.
#[must_use]
pub fn cluster(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "openbao.org/v1alpha1", "kind": "OpenBaoCluster", "metadata": {"name": name}, "spec": spec})
}

/// What a cluster of three nodes with the static seal is made of, as `Kind/name`.
#[must_use]
pub fn parts_of(name: &str) -> BTreeSet<String> {
    let mut parts = parts_of_one_node(name);
    parts.insert(format!("PodDisruptionBudget/{name}-pdb"));
    parts
}

/// What a cluster of one node with the static seal is made of.
#[must_use]
pub fn parts_of_one_node(name: &str) -> BTreeSet<String> {
    let named = [
        ("ConfigMap", "-ca"),
        ("ConfigMap", "-config"),
        ("ConfigMap", "-init"),
        ("NetworkPolicy", "-network-policy"),
        ("Role", ""),
        ("RoleBinding", ""),
        ("Secret", "-admin"),
        ("Secret", "-operator"),
        ("Secret", "-tls-ca"),
        ("Secret", "-tls-server"),
        ("Secret", "-unseal-key"),
        ("Service", ""),
        ("Service", "-active"),
        ("Service", "-public"),
        ("ServiceAccount", ""),
        ("StatefulSet", ""),
    ];
    named.into_iter().map(|(kind, suffix)| format!("{kind}/{name}{suffix}")).collect()
}

/// The condition of that type of an object; null where it has none.
#[must_use]
pub fn condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().find(|condition| text(condition, "/type") == type_).unwrap_or(&Value::Null)
}

impl Team {
    /// `kubectl apply`, as people do it.
    ///
    /// # Errors
    /// The API server refused.
    pub async fn apply(&self, objects: &[Value]) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.kubectl.run_with_input(&["apply", "-f", "-"], &list.to_string()).await?;
        Ok(())
    }

    /// Merges a patch into an object, `kind/name`.
    ///
    /// # Errors
    /// The API server refused.
    pub async fn patch(&self, object: &str, patch: &Value) -> Result<()> {
        self.kubectl.run(&["patch", object, "--type=merge", "-p", &patch.to_string()]).await?;
        Ok(())
    }

    /// An object, `kind/name`.
    ///
    /// # Errors
    /// There is none.
    pub async fn get(&self, object: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.kubectl.run(&["get", object, "-o", "json"]).await?)?)
    }

    /// A cluster.
    ///
    /// # Errors
    /// There is none.
    pub async fn cluster(&self, name: &str) -> Result<Value> {
        self.get(&format!("openbaocluster/{name}")).await
    }

    /// The uid of a cluster.
    ///
    /// # Errors
    /// There is none.
    pub async fn uid(&self, name: &str) -> Result<String> {
        Ok(text(&self.cluster(name).await?, "/metadata/uid").to_owned())
    }

    /// What says of itself that it belongs to a cluster.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn children(&self, name: &str) -> Result<Objects> {
        self.survey.children(&self.namespace, &self.uid(name).await?).await
    }

    /// What the host has recorded of a cluster.
    ///
    /// # Errors
    /// Nothing.
    pub async fn inventory(&self, name: &str) -> Result<Inventory> {
        let uid = self.uid(name).await?;
        self.survey.inventory(&uid).await?.with_context(|| format!("no inventory of {name} ({uid})"))
    }

    /// Waits until a cluster is as a look at it says.
    ///
    /// # Errors
    /// It was not in time; the error has what the look said, and the cluster's status.
    pub async fn until(&self, name: &str, what: &str, look: impl Fn(&Value) -> Result<(), String>) -> Result<Value> {
        let found = wait::until(PATIENCE, format!("{name}: {what}"), async || {
            let cluster = self.cluster(name).await.map_err(|error| error.to_string())?;
            let said = look(&cluster);
            said.map_err(|saw| format!("{saw}; status {}", cluster["status"])).map(|()| cluster)
        });
        Ok(found.await?)
    }

    /// Waits until a condition of a cluster speaks of its newest generation and has that status.
    ///
    /// # Errors
    /// It had not in time.
    pub async fn until_condition(&self, name: &str, type_: &str, status: &str) -> Result<Value> {
        let what = format!("condition {type_} to be {status}");
        let found = self.until(name, &what, |cluster| {
            let condition = condition(cluster, type_);
            let is_new = condition["observedGeneration"] == cluster["metadata"]["generation"];
            if is_new && condition["status"] == status { Ok(()) } else { Err(format!("condition {condition}")) }
        });
        Ok(condition(&found.await?, type_).clone())
    }

    /// Waits until a condition of a cluster has that status for that reason, and returns it.
    ///
    /// # Errors
    /// It had not in time.
    pub async fn until_reason(&self, name: &str, type_: &str, status: &str, reason: &str) -> Result<Value> {
        let what = format!("condition {type_} to be {status} for {reason}");
        let found = self.until(name, &what, |cluster| {
            let condition = condition(cluster, type_);
            if condition["status"] == status && condition["reason"] == reason { Ok(()) } else { Err(format!("condition {condition}")) }
        });
        Ok(condition(&found.await?, type_).clone())
    }

    /// Waits until a cluster has exactly these children and the inventory holds the uid of each of them. Returns them.
    ///
    /// # Errors
    /// It had not in time; the error names what is missing and what is too many.
    pub async fn until_children(&self, name: &str, parts: &BTreeSet<String>) -> Result<Objects> {
        let uid = self.uid(name).await?;
        let found = wait::until(PATIENCE, format!("all parts of {name}"), async || {
            let children = self.survey.children(&self.namespace, &uid).await.map_err(|error| format!("{error:#}"))?;
            let there: BTreeSet<String> = children.keys().cloned().collect();
            if there != *parts {
                let missing: Vec<_> = parts.difference(&there).collect();
                let unexpected: Vec<_> = there.difference(parts).collect();
                let status = self.cluster(name).await.map(|cluster| cluster["status"].clone()).unwrap_or_default();
                return Err(format!("missing {missing:?}, unexpected {unexpected:?}; status {status}"));
            }
            let inventory = self.survey.inventory(&uid).await.map_err(|error| format!("{error:#}"))?;
            let held = inventory.map(|inventory| recorded(&inventory.spec)).unwrap_or_default();
            let live = uids(&children).into_iter().map(|(name, uid)| (name, Some(uid))).collect();
            if held == live { Ok(children) } else { Err(format!("the inventory holds {held:?}, there are {live:?}")) }
        });
        Ok(found.await?)
    }
}
