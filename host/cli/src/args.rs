//! The arguments, as clap reads them. No behaviour.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// BanhBaoRing: a Kubernetes operator whose controllers are signed WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(name = "banhbaoring", version, propagate_version = true)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Filter of log lines, as in RUST_LOG.
    #[arg(long, global = true, env = "BANHBAORING_LOG", default_value = "info,kube=warn,tower=warn", hide_default_value = true)]
    pub(crate) log: String,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the operator.
    Run(RunArgs),
    /// Print the manifests that an owner's plugins render; needs no cluster.
    Render(RenderArgs),
    /// Show what would change in the cluster. Exits with 2 where something would.
    Plan(PlanArgs),
    /// Show the component graph of an owner.
    Graph(GraphArgs),
    /// Print the CustomResourceDefinitions of the host.
    Crds,
    /// Build, publish, sign, check and look at plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
}

/// How the cluster is reached, as kubectl has it.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct ClusterArgs {
    /// Path to the kubeconfig file.
    #[arg(long, env = "KUBECONFIG")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context in it.
    #[arg(long)]
    pub(crate) context: Option<String>,
    /// Namespace.
    #[arg(long, short)]
    pub(crate) namespace: Option<String>,
}

/// Arguments of `run`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// The cluster.
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// The host's own namespace: inventories and the Lease live there.
    #[arg(long, env = "POD_NAMESPACE", default_value = "banhbaoring-system")]
    pub(crate) host_namespace: String,
    /// The host's own account, for plugins that name it in policies.
    #[arg(long, env = "POD_SERVICE_ACCOUNT", default_value = "banhbaoring-operator")]
    pub(crate) service_account: String,
    /// Name of this replica in the election.
    #[arg(long, env = "POD_NAME", default_value_t = default_identity())]
    pub(crate) identity: String,
    /// Address of /metrics, /healthz and /readyz; port 0 picks a free one.
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub(crate) listen: SocketAddr,
    /// Directory for verified artifacts and compiled code; a small volume, so that a restart needs no registry.
    #[arg(long, env = "BANHBAORING_DATA", default_value = "/var/lib/banhbaoring")]
    pub(crate) data: PathBuf,
    /// File with the key that compiled code is authenticated with; made where it is missing. Keep it outside the data directory.
    #[arg(long, env = "BANHBAORING_CACHE_KEY", default_value = "/var/run/banhbaoring/cache.key")]
    pub(crate) cache_key: PathBuf,
    /// DNS domain of the cluster.
    #[arg(long, default_value = "cluster.local")]
    pub(crate) cluster_domain: String,
    /// Allow plain http to any registry whose Plugin says `insecure: true`, not to loopback alone.
    #[arg(long)]
    pub(crate) allow_insecure_registries: bool,
    /// Address where the API server asks plugins about writes, over TLS; absent: it does not ask.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admission_listen: Option<SocketAddr>,
    /// Service in the host's namespace whose port 443 leads there; absent: the API server reaches the address itself.
    #[arg(long, value_name = "NAME", requires = "admission_listen")]
    pub(crate) admission_service: Option<String>,
    /// Owners reconciled at the same time, for each kind.
    #[arg(long, default_value_t = 16)]
    pub(crate) concurrency: u16,
}

fn default_identity() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "banhbaoring".to_owned());
    format!("{}-{}", name.trim(), std::process::id())
}

/// Where plugins come from where no operator runs.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct SourceArgs {
    /// A directory with `*.wasm` files, an OCI image layout, or `oci://…`; may be given several times.
    #[arg(long = "plugins", value_name = "SOURCE", default_value = "target/plugins")]
    pub(crate) sources: Vec<String>,
    /// Allow plain http to loopback registries.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Public key that must have signed what comes from `oci://` or a layout.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Run plugins from `oci://` or a layout although nothing says who made them.
    #[arg(long, conflicts_with = "key")]
    pub(crate) allow_unsigned: bool,
}

/// Arguments of `render`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RenderArgs {
    /// The owner; `-` for standard input.
    #[arg(long, short)]
    pub(crate) filename: PathBuf,
    /// Plugins.
    #[command(flatten)]
    pub(crate) plugins: SourceArgs,
    /// Recorded answers to needs: a YAML map from `component/id` to the value.
    #[arg(long, value_name = "FILE")]
    pub(crate) answers: Option<PathBuf>,
    /// yaml or json.
    #[arg(long, short, value_enum, default_value_t = Format::Yaml)]
    pub(crate) output: Format,
    /// A namespaced API that the cluster serves beside the built-in ones and those of plugins; may be given several times.
    #[arg(long = "api", value_name = "GROUP/VERSION/KIND")]
    pub(crate) apis: Vec<String>,
    /// Version of Kubernetes that plugins are told.
    #[arg(long, default_value = "v1.34.0")]
    pub(crate) kubernetes_version: String,
}

/// Arguments of `plan`.
#[derive(Debug, ClapArgs)]
pub(crate) struct PlanArgs {
    /// The cluster.
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// The owner as it would be applied; `-` for standard input.
    #[arg(long, short, required_unless_present = "owner")]
    pub(crate) filename: Option<PathBuf>,
    /// An owner in the cluster, `kind/name`.
    #[arg(long, conflicts_with = "filename")]
    pub(crate) owner: Option<String>,
    /// Plugins.
    #[command(flatten)]
    pub(crate) plugins: SourceArgs,
    /// The host's own namespace, where inventories are.
    #[arg(long, default_value = "banhbaoring-system")]
    pub(crate) host_namespace: String,
    /// diff or json.
    #[arg(long, short, value_enum, default_value_t = PlanFormat::Diff)]
    pub(crate) output: PlanFormat,
}

/// Arguments of `graph`.
#[derive(Debug, ClapArgs)]
pub(crate) struct GraphArgs {
    /// The cluster.
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// An owner in the cluster, `kind/name`.
    #[arg(required_unless_present = "filename")]
    pub(crate) owner: Option<String>,
    /// The owner as a file instead; `-` for standard input. No cluster is asked then.
    #[arg(long, short, conflicts_with = "owner")]
    pub(crate) filename: Option<PathBuf>,
    /// Plugins.
    #[command(flatten)]
    pub(crate) plugins: SourceArgs,
    /// text, mermaid or svg.
    #[arg(long, short, value_enum, default_value_t = GraphFormat::Text)]
    pub(crate) output: GraphFormat,
}

/// Commands about plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Compile a plugin's crate to a component.
    Build {
        /// Directory of the crate.
        #[arg(default_value = ".")]
        path: PathBuf,
        /// The file to write.
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
    /// Publish a component.
    Push {
        /// The component.
        file: PathBuf,
        /// Where to: `oci://registry/repository:tag`, or a directory for an image layout (with `:tag`).
        target: String,
        /// Registry access.
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Sign a published plugin; the real cosign verifies it.
    Sign {
        /// What to sign.
        reference: String,
        /// Encrypted cosign.key; the password is read from COSIGN_PASSWORD.
        #[arg(long, required_unless_present = "generate_key")]
        key: Option<PathBuf>,
        /// Make cosign.key and cosign.pub in this directory first.
        #[arg(long, value_name = "DIRECTORY", conflicts_with = "key")]
        generate_key: Option<PathBuf>,
        /// Registry access.
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Check the signature of a published plugin.
    Verify {
        /// What to check.
        reference: String,
        /// Public key that must have signed it.
        #[arg(long)]
        key: PathBuf,
        /// Registry access.
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Show what a plugin says of itself, what it imports and what it asks for.
    Inspect {
        /// A file or `oci://…`.
        reference: String,
        /// text, json, or the manifests that a platform team applies: account, roles and Plugin.
        #[arg(long, short, value_enum, default_value_t = InspectFormat::Text)]
        output: InspectFormat,
        /// Namespace of the plugin's account in `-o manifests`.
        #[arg(long, default_value = "banhbaoring-system")]
        account_namespace: String,
        /// Public key to demand in `-o manifests`.
        #[arg(long)]
        key: Option<PathBuf>,
        /// Where a local file will be found once it is published, for `-o manifests`: `oci://registry/repository:tag`.
        #[arg(long, value_name = "REFERENCE")]
        published_as: Option<String>,
        /// Registry access.
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Fetch a component whose signature is good.
    Pull {
        /// What to fetch.
        reference: String,
        /// The file to write.
        #[arg(long, short)]
        output: PathBuf,
        /// Public key that must have signed it.
        #[arg(long, required_unless_present = "allow_unsigned")]
        key: Option<PathBuf>,
        /// Fetch it although nothing says who made it.
        #[arg(long, conflicts_with = "key")]
        allow_unsigned: bool,
        /// Registry access.
        #[command(flatten)]
        registry: RegistryArgs,
    },
}

/// How a registry is reached.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct RegistryArgs {
    /// Allow plain http to loopback registries.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Docker's config.json with credentials; `$DOCKER_CONFIG/config.json` or `~/.docker/config.json` otherwise.
    #[arg(long, value_name = "FILE")]
    pub(crate) registry_config: Option<PathBuf>,
}

/// Formats of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Documents separated by `---`.
    Yaml,
    /// A List.
    Json,
}

/// Formats of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// A coloured diff and a summary.
    Diff,
    /// The plan itself.
    Json,
}

/// Formats of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// A tree.
    Text,
    /// Mermaid source.
    Mermaid,
    /// A picture.
    Svg,
}

/// Formats of an inspection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InspectFormat {
    /// For people.
    Text,
    /// The descriptor.
    Json,
    /// Account, roles and Plugin.
    Manifests,
}
