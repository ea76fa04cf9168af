//! Where the truth about what belongs to an owner is kept: one `Inventory` object per owner in the host's namespace, read and written with
//! the host's own client. What its entries mean is `banhbaoring-api`'s and the planner's.

use std::collections::{BTreeMap, BTreeSet};

use banhbaoring_api::inventory::{Inventory, InventorySpec, OwnerReference};
use kube::{Client, Resource as _};
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::discovery::ServedKind;
use crate::request::{Answer, ApiError, Collection, Endpoint, text};

/// An object in etcd may have 1.5 MiB by default; a request 3 MiB.
const MAX_BYTES: usize = 1 << 20;

/// Why the inventory could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// Somebody else wrote it since it was read: another instance of the host leads.
    #[error(
        "inventory {name} was written by somebody else since it was read; this instance no longer leads, or was restarted: read it again"
    )]
    Superseded {
        /// Name of the object.
        name: String,
    },
    /// It does not fit into one object.
    #[error("inventory {name} would have {bytes} bytes, at most {MAX_BYTES} are stored; let the components render fewer objects")]
    TooLarge {
        /// Name of the object.
        name: String,
        /// Found.
        bytes: usize,
    },
    /// Its content is not what the host writes.
    #[error(
        "expected in inventory {name} what this version of the host writes, found something else; somebody edited it, or a later version wrote \
         it: put its spec back, or run that version. Nothing of its owner is touched until then"
    )]
    Malformed {
        /// Name of the object. What is in it is not shown: it holds tokens.
        name: String,
    },
    /// It speaks of another owner.
    #[error("inventory {name} belongs to owner {found}, not {expected}; somebody copied it: delete the copy")]
    Foreign {
        /// Name of the object.
        name: String,
        /// Uid of the owner.
        expected: String,
        /// Uid in it.
        found: String,
    },
    /// The owner has no usable uid.
    #[error("expected an owner with the uid that the API server gave it, found {0:?}")]
    Owner(String),
    /// The API server refused or did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl InventoryError {
    /// CamelCase, bounded.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Superseded { .. } => "InventorySuperseded",
            Self::TooLarge { .. } => "InventoryTooLarge",
            Self::Malformed { .. } => "InventoryMalformed",
            Self::Foreign { .. } => "InventoryForeign",
            Self::Owner(_) => "OwnerInvalid",
            Self::Api(error) => error.reason(),
        }
    }
}

/// An inventory as read or as last written.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredInventory {
    /// Name of the object, from the owner's kind and uid.
    pub name: String,
    /// Absent while it has not been stored.
    pub resource_version: Option<String>,
    /// What it says.
    pub spec: InventorySpec,
    /// Hash of what is stored. A copy of it would be kilobytes for each owner, all the time.
    stored_hash: Option<[u8; 32]>,
}

impl StoredInventory {
    /// That of an owner that has none yet.
    ///
    /// # Errors
    /// The owner has no usable uid.
    pub fn new(owner: &OwnerReference) -> Result<Self, InventoryError> {
        let spec = InventorySpec { owner: owner.clone(), ..InventorySpec::default() };
        Ok(Self { name: name(owner)?, resource_version: None, spec, stored_hash: None })
    }

    fn from_object(mut object: Value) -> Result<Self, InventoryError> {
        let name = text(&object, "/metadata/name").to_owned();
        let resource_version = Some(text(&object, "/metadata/resourceVersion").to_owned());
        let spec = object.get_mut("spec").map(Value::take).unwrap_or_default();
        let spec = InventorySpec::deserialize(spec).map_err(|_| InventoryError::Malformed { name: name.clone() })?;
        let stored_hash = serde_json::to_vec(&spec).ok().map(|text| hash(&text));
        Ok(Self { name, resource_version, spec, stored_hash })
    }
}

/// All inventories of the host's namespace.
#[derive(Debug, Default)]
pub struct Listed {
    /// Those that can be read.
    pub inventories: Vec<StoredInventory>,
    /// Why each of the others cannot.
    pub malformed: Vec<InventoryError>,
}

/// An inventory on its way. Its spec is text already, because its hash is of the text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Metadata<'a>,
    spec: &'a RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_version: Option<&'a str>,
}

/// The inventories in the host's namespace.
#[derive(Clone)]
pub struct InventoryStore {
    host: Client,
    namespace: String,
    kind: ServedKind,
}

impl std::fmt::Debug for InventoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InventoryStore({})", self.namespace)
    }
}

impl InventoryStore {
    /// Inventories in `namespace`, with the host's own client.
    pub fn new(host: Client, namespace: &str) -> Self {
        let kind = ServedKind {
            api_version: Inventory::api_version(&()).into_owned(),
            kind: Inventory::kind(&()).into_owned(),
            plural: Inventory::plural(&()).into_owned(),
            namespaced: true,
            verbs: BTreeSet::new(),
        };
        Self { host, namespace: namespace.to_owned(), kind }
    }

    /// The inventory of an owner; an empty one that is not stored yet where there is none.
    ///
    /// # Errors
    /// It speaks of another owner or cannot be read, or the API server refused.
    pub async fn read(&self, owner: &OwnerReference) -> Result<StoredInventory, InventoryError> {
        let name = name(owner)?;
        let Some(object) = self.endpoint(&name).get(Answer::Whole).await? else {
            return StoredInventory::new(owner);
        };
        let stored = StoredInventory::from_object(object)?;
        if stored.spec.owner.uid != owner.uid {
            return Err(InventoryError::Foreign { name, expected: owner.uid.clone(), found: stored.spec.owner.uid });
        }
        Ok(stored)
    }

    /// Stores what differs; nothing is sent where nothing does.
    ///
    /// # Errors
    /// [`InventoryError::Superseded`] when somebody else wrote it since it was read.
    pub async fn write(&self, stored: &mut StoredInventory) -> Result<(), InventoryError> {
        let name = stored.name.clone();
        let unwritable = |_| InventoryError::TooLarge { name: name.clone(), bytes: usize::MAX };
        let spec = serde_json::value::to_raw_value(&stored.spec).map_err(unwritable)?;
        let hash = hash(spec.get().as_bytes());
        if stored.stored_hash == Some(hash) {
            return Ok(());
        }
        if spec.get().len() > MAX_BYTES {
            return Err(InventoryError::TooLarge { name, bytes: spec.get().len() });
        }
        let resource_version = stored.resource_version.as_deref();
        let metadata = Metadata { name: &name, resource_version };
        let body = Body { api_version: &self.kind.api_version, kind: &self.kind.kind, metadata, spec: &spec };
        let body = serde_json::to_vec(&body).map_err(unwritable)?;
        let endpoint = self.endpoint(&name);
        let answer = if resource_version.is_none() { endpoint.create(body).await } else { endpoint.replace(body).await };
        match answer {
            Ok(object) => {
                stored.resource_version = Some(text(&object, "/metadata/resourceVersion").to_owned());
                stored.stored_hash = Some(hash);
                Ok(())
            }
            Err(ApiError::Conflict { .. } | ApiError::AlreadyExists { .. } | ApiError::NotFound { .. }) => {
                Err(InventoryError::Superseded { name })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// All of them: to know each owner's at once, and to find those whose owner is gone. One that cannot be read does not hide the others.
    ///
    /// # Errors
    /// The API server refused or did not answer.
    pub async fn list(&self) -> Result<Listed, InventoryError> {
        let collection = Collection::of_host(self.host.clone(), self.kind.clone(), &self.namespace);
        let mut listed = Listed::default();
        let mut from = None;
        loop {
            let page = collection.page(&BTreeMap::new(), from.as_deref()).await?;
            for object in page.items {
                match StoredInventory::from_object(object) {
                    Ok(inventory) => listed.inventories.push(inventory),
                    Err(error) => listed.malformed.push(error),
                }
            }
            from = page.next;
            if from.is_none() {
                return Ok(listed);
            }
        }
    }

    /// Deletes it as it was read; gone already is fine.
    ///
    /// # Errors
    /// [`InventoryError::Superseded`] when somebody else wrote it since.
    pub async fn delete(&self, stored: &StoredInventory) -> Result<(), InventoryError> {
        let Some(resource_version) = &stored.resource_version else {
            return Ok(());
        };
        match self.endpoint(&stored.name).delete_version(resource_version).await {
            Ok(_) | Err(ApiError::NotFound { .. }) => Ok(()),
            Err(ApiError::Conflict { .. }) => Err(InventoryError::Superseded { name: stored.name.clone() }),
            Err(error) => Err(error.into()),
        }
    }

    fn endpoint(&self, name: &str) -> Endpoint {
        Endpoint::of_host(self.host.clone(), self.kind.clone(), &self.namespace, name)
    }
}

/// Of what is sent: maps in an inventory are sorted, so that the same one has the same text.
fn hash(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// `stack-0b1c…`: the owner's kind and uid, so that a later owner of the same name has another.
fn name(owner: &OwnerReference) -> Result<String, InventoryError> {
    let usable = |text: &str| !text.is_empty() && text.len() <= 63 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if usable(&owner.uid) && usable(&owner.kind) {
        Ok(format!("{}-{}", owner.kind, owner.uid).to_lowercase())
    } else {
        Err(InventoryError::Owner(format!("{} {}", owner.kind, owner.uid)))
    }
}
