//! What crosses crates: the real `banhbaoring` binary against a real API server and a real registry.
//!
//! Here live the parts that the tests under `tests/`, the demo and the benchmarks put together: the binary as a process, plugins that are
//! pushed and signed with it, and their installation. What asserts something is a test, not this library.

pub mod audit;
mod binary;
pub mod container;
pub mod helm;
pub mod installation;
pub mod kubelet;
pub mod objects;
pub mod operator;
pub mod publisher;
pub mod release;
pub mod repository;
mod stage;
pub mod survey;
pub mod team;
pub mod world;

pub use binary::{Banhbaoring, Output};
pub use helm::Helm;
pub use installation::Installation;
pub use operator::Operator;
pub use publisher::Publisher;
pub use release::Release;
pub use repository::Repository;
pub use stage::Stage;
pub use survey::Survey;
pub use team::Team;
pub use world::World;

/// The plugins that the main job needs, by the names of their packages without `banhbaoring-plugin-`.
pub const FIRST_PARTY: [&str; 6] = ["openbao", "unseal-static", "unseal-awskms", "unseal-gcpkms", "unseal-azurekv", "unseal-transit"];
