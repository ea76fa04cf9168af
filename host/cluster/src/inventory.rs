//! Where the truth about what belongs to an owner is kept: one `Inventory` object per owner in the host's namespace, read and written with
//! the host's own client. What its entries mean is `banhbaoring-api`'s and the planner's.

use banhbaoring_api::inventory::{Inventory, InventorySpec, OwnerReference};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, PostParams, Preconditions};
use kube::{Client, ResourceExt as _};
use sha2::{Digest as _, Sha256};

use crate::request::{self, ApiError, Target};

/// An object in etcd may have 1.5 MiB by default; a request 3 MiB.
const MAX_BYTES: usize = 1 << 20;
/// Inventories that are listed at a time.
const PAGE: u32 = 500;

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

    fn from_object(object: Inventory) -> Self {
        let stored_hash = serde_json::to_vec(&object.spec).ok().map(|text| hash(&text));
        Self { name: object.name_any(), resource_version: object.resource_version(), stored_hash, spec: object.spec }
    }
}

/// The inventories in the host's namespace.
#[derive(Clone)]
pub struct InventoryStore {
    api: Api<Inventory>,
    namespace: String,
}

impl std::fmt::Debug for InventoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InventoryStore({})", self.namespace)
    }
}

impl InventoryStore {
    /// Inventories in `namespace`, with the host's own client.
    pub fn new(host: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(host, namespace), namespace: namespace.to_owned() }
    }

    /// The inventory of an owner; an empty one that is not stored yet where there is none.
    ///
    /// # Errors
    /// It speaks of another owner, or the API server refused.
    pub async fn read(&self, owner: &OwnerReference) -> Result<StoredInventory, InventoryError> {
        let name = name(owner)?;
        let found = request::within(&self.target("get", &name), self.api.get_opt(&name)).await?;
        let Some(object) = found else {
            return StoredInventory::new(owner);
        };
        if object.spec.owner.uid != owner.uid {
            return Err(InventoryError::Foreign { name, expected: owner.uid.clone(), found: object.spec.owner.uid });
        }
        Ok(StoredInventory::from_object(object))
    }

    /// Stores what differs; nothing is sent where nothing does.
    ///
    /// # Errors
    /// [`InventoryError::Superseded`] when somebody else wrote it since it was read.
    pub async fn write(&self, stored: &mut StoredInventory) -> Result<(), InventoryError> {
        let name = stored.name.clone();
        let too_large = |bytes| InventoryError::TooLarge { name: name.clone(), bytes };
        let text = serde_json::to_vec(&stored.spec).map_err(|_| too_large(usize::MAX))?;
        let hash = hash(&text);
        if stored.stored_hash == Some(hash) {
            return Ok(());
        }
        if text.len() > MAX_BYTES {
            return Err(too_large(text.len()));
        }
        let mut object = Inventory::new(&name, stored.spec.clone());
        object.metadata =
            ObjectMeta { name: Some(name.clone()), resource_version: stored.resource_version.clone(), ..ObjectMeta::default() };
        let answer = match stored.resource_version {
            None => request::within(&self.target("create", &name), self.api.create(&PostParams::default(), &object)).await,
            Some(_) => request::within(&self.target("update", &name), self.api.replace(&name, &PostParams::default(), &object)).await,
        };
        match answer {
            Ok(object) => {
                stored.resource_version = object.resource_version();
                stored.stored_hash = Some(hash);
                Ok(())
            }
            Err(ApiError::Conflict { .. } | ApiError::AlreadyExists { .. } | ApiError::NotFound { .. }) => {
                Err(InventoryError::Superseded { name })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// All of them: to know each owner's at once, and to find those whose owner is gone.
    ///
    /// # Errors
    /// The API server refused or did not answer.
    pub async fn list(&self) -> Result<Vec<StoredInventory>, InventoryError> {
        let mut found = Vec::new();
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = request::within(&self.target("list", ""), self.api.list(&page)).await?;
            found.extend(list.items.into_iter().map(StoredInventory::from_object));
            match list.metadata.continue_.filter(|next| !next.is_empty()) {
                Some(next) => page = page.continue_token(&next),
                None => return Ok(found),
            }
        }
    }

    /// Deletes it as it was read; gone already is fine.
    ///
    /// # Errors
    /// [`InventoryError::Superseded`] when somebody else wrote it since.
    pub async fn delete(&self, stored: &StoredInventory) -> Result<(), InventoryError> {
        let Some(resource_version) = stored.resource_version.clone() else {
            return Ok(());
        };
        let preconditions = Preconditions { resource_version: Some(resource_version), uid: None };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match request::within(&self.target("delete", &stored.name), self.api.delete(&stored.name, &parameters)).await {
            Ok(_) | Err(ApiError::NotFound { .. }) => Ok(()),
            Err(ApiError::Conflict { .. }) => Err(InventoryError::Superseded { name: stored.name.clone() }),
            Err(error) => Err(error.into()),
        }
    }

    fn target(&self, verb: &'static str, name: &str) -> Target {
        Target {
            verb,
            resource: "inventories.plugins.banhbaoring.io".to_owned(),
            namespace: Some(self.namespace.clone()),
            name: name.to_owned(),
            account: None,
        }
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
