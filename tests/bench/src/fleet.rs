//! A control plane of its own, a registry, and the operator as a process, with owners that the benchmark makes. What is measured on it is
//! elsewhere.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use banhbaoring_testing::control_plane::{self, ControlPlane};
use banhbaoring_testing::wait;
use banhbaoring_tests::{Installation, Operator, Publisher, operator};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use crate::bare::name;
use crate::machine::Reading;

const TAG: &str = "v0.1.0";
const PATIENCE: Duration = Duration::from_secs(60);
/// What the operator logs when its turn has come.
const LEADING: &str = "\"leading\"";
/// Looks without any reconcile in between until the operator counts as idle.
const QUIET_LOOKS: u32 = 6;
const LOOK: Duration = Duration::from_millis(250);

/// The servers and the operator.
pub(crate) struct Fleet {
    pub(crate) client: Client,
    pub(crate) operator: Option<Operator>,
    pub(crate) cluster: ControlPlane,
    publisher: Publisher,
    installation: Installation,
    address: String,
}

impl Fleet {
    /// Everything but the operator. Without a controller-manager: its writes would be counted.
    pub(crate) async fn start() -> Result<Self> {
        let options = control_plane::Options { without_controller_manager: true, ..control_plane::Options::default() };
        let cluster = ControlPlane::start(options).await?;
        let publisher = Publisher::start().await?;
        let installation = Installation::new(&cluster, "banhbaoring-system").await?;
        Ok(Self { client: cluster.client().await?, operator: None, cluster, publisher, installation, address: String::new() })
    }

    /// Starts the operator and waits until it leads.
    pub(crate) async fn operate(&mut self) -> Result<()> {
        let operator = Operator::start(&operator::Options {
            kubeconfig: self.cluster.kubeconfig().to_owned(),
            namespace: self.installation.namespace.clone(),
            identity: "bench".to_owned(),
            admission: false,
        })?;
        self.operator = Some(operator);
        self.until_leading_again(0).await
    }

    /// Ends the operator as Kubernetes does. It leaves its data.
    pub(crate) async fn pause(&self) -> Result<()> {
        ensure!(self.operator()?.server().stop(PATIENCE).await, "the operator does not end by itself");
        Ok(())
    }

    /// Starts it again on its data, and waits until it leads.
    pub(crate) async fn resume(&mut self) -> Result<()> {
        let before = self.operator()?.server().log().matches(LEADING).count();
        self.operator()?.server().start_again()?;
        self.until_leading_again(before).await
    }

    async fn until_leading_again(&mut self, before: usize) -> Result<()> {
        let operator = self.operator.as_ref().context("the operator does not run")?;
        let again = async || if operator.server().log().matches(LEADING).count() > before { Ok(()) } else { Err("not yet") };
        operator.server().until_ready(PATIENCE, "leading", again).await?;
        self.address = operator.address().await?;
        Ok(())
    }

    /// The running operator.
    pub(crate) fn operator(&self) -> Result<&Operator> {
        self.operator.as_ref().context("the operator does not run")
    }

    /// Publishes a component and applies its Plugin.
    pub(crate) async fn add(&self, plugin: &str, component: &Path) -> Result<()> {
        self.publisher.push(component, plugin, TAG).await?;
        self.publisher.sign(plugin, TAG).await?;
        self.installation.add(&self.publisher, plugin, TAG).await
    }

    /// Waits until every Plugin serves.
    pub(crate) async fn until_plugins_serve(&self) -> Result<()> {
        let kubectl = self.cluster.kubectl()?;
        kubectl.run(&["wait", "plugins", "--all", "--for=condition=Ready", "--timeout=180s"]).await?;
        Ok(())
    }

    /// Stacks in a namespace.
    pub(crate) fn stacks(&self, namespace: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("bench.banhbaoring.io", "v1alpha1", "Stack"));
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    /// Makes stacks, several at a time.
    pub(crate) async fn create_stacks(&self, namespace: &str, owners: usize) -> Result<()> {
        let api = self.stacks(namespace);
        stream::iter(0..owners)
            .map(|index| {
                let api = api.clone();
                async move {
                    let object = json!({
                        "apiVersion": "bench.banhbaoring.io/v1alpha1", "kind": "Stack",
                        "metadata": {"name": name(index)}, "spec": {"message": "hello"},
                    });
                    let object: DynamicObject = serde_json::from_value(object)?;
                    api.create(&PostParams::default(), &object).await?;
                    anyhow::Ok(())
                }
            })
            .buffer_unordered(16)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(())
    }

    /// Plays the controller of Deployments, which does not run: every one of them is observed.
    pub(crate) async fn observe_deployments(&self, namespace: &str) -> Result<()> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let names: Vec<String> = api.list(&ListParams::default()).await?.into_iter().map(|found| found.name_any()).collect();
        let status = json!({"status": {"observedGeneration": 1}});
        stream::iter(names)
            .map(|name| {
                let (api, status) = (api.clone(), status.clone());
                async move { api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await.map(drop) }
            })
            .buffer_unordered(16)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(())
    }

    /// CPU time that the API server has used, in seconds.
    pub(crate) fn apiserver_cpu(&self) -> Result<f64> {
        Ok(Reading::of(self.cluster.apiserver().context("the API server is not ours")?.pid())?.cpu)
    }

    async fn metrics(&self) -> Result<String> {
        Ok(reqwest::get(format!("{}/metrics", self.address)).await?.text().await?)
    }

    /// Reconciles of stacks since the operator started.
    pub(crate) async fn reconciles(&self) -> Result<u64> {
        let metrics = self.metrics().await?;
        let line = metrics.lines().find_map(|line| line.strip_prefix("banhbaoring_reconcile_total{controller=\"stack\"} "));
        Ok(line.unwrap_or("0").trim().parse()?)
    }

    /// Waits until so many plugins serve in the running process.
    pub(crate) async fn until_serving(&self, plugins: usize) -> Result<()> {
        wait::until(PATIENCE, format!("{plugins} plugins to serve"), async || {
            let metrics = self.metrics().await.map_err(|error| error.to_string())?;
            let serving = metrics.lines().filter(|line| line.starts_with("banhbaoring_plugin_active{")).count();
            if serving >= plugins { Ok(()) } else { Err(serving.to_string()) }
        })
        .await?;
        Ok(())
    }

    /// Waits until every stack runs. Looks by a list, which is why lists of stacks are not counted as reads.
    pub(crate) async fn until_running(&self, namespace: &str, owners: usize, deadline: Duration) -> Result<()> {
        let api = self.stacks(namespace);
        wait::until(deadline, format!("{owners} stacks to run"), async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let stacks = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            let running = stacks.iter().filter(|stack| stack.data.pointer("/status/phase").is_some_and(|phase| phase == "Running")).count();
            if running == owners { Ok(()) } else { Err(running.to_string()) }
        })
        .await?;
        Ok(())
    }

    /// Waits until so many reconciles were done and no further one for a while.
    pub(crate) async fn until_idle(&self, at_least: u64, deadline: Duration) -> Result<()> {
        let (last, quiet) = (Cell::new(u64::MAX), Cell::new(0));
        wait::until(deadline, format!("the operator to be idle after {at_least} reconciles"), async || {
            tokio::time::sleep(LOOK).await;
            let count = self.reconciles().await.map_err(|error| format!("{error:#}"))?;
            quiet.set(if count == last.replace(count) { quiet.get() + 1 } else { 0 });
            if count >= at_least && quiet.get() >= QUIET_LOOKS { Ok(()) } else { Err(format!("{count} reconciles")) }
        })
        .await?;
        Ok(())
    }

    /// What the operator holds, once that no longer changes.
    pub(crate) async fn at_rest(&self) -> Result<Reading> {
        let pid = self.operator()?.server().pid();
        let last = Cell::new(0);
        let reading = wait::until(PATIENCE, "the operator's memory to stand still", async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let reading = Reading::of(pid).map_err(|error| error.to_string())?;
            let before = last.replace(reading.resident);
            if before.abs_diff(reading.resident) * 200 <= before { Ok(reading) } else { Err(reading.told()) }
        });
        Ok(reading.await?)
    }
}
