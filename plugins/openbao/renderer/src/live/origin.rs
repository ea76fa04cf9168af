//! Whose the volumes are: made for this cluster, or kept from one before. Who says that there is nothing to lose has to know it.
//!
//! Not known on the very first look: there is no StatefulSet yet, and claims are shown to a plugin only as those of one. A first node without a volume beside
//! others with kept ones can begin a store of its own in that moment.

use banhbaoring_sdk::contract::need::{self, ObjectView};
use banhbaoring_sdk::{Context, Failure};
use serde_json::Value;

use super::node::Presence;
use super::questions;
use crate::component::OpenBao;

/// Annotation of the data's claims with the uid of the owner that they were made for: times have seconds, and a claim is made within the one of its
/// StatefulSet. Its place in the template cannot change, so a StatefulSet of before goes without it.
pub const MADE_FOR: &str = "openbao.org/cluster-uid";

/// Where and for whom a claim was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    at: String,
    whose: Option<String>,
}

impl Origin {
    fn read(view: &ObjectView) -> Self {
        let text = |pointer: &str| view.value.get(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
        Self { at: text(questions::MADE).unwrap_or_default(), whose: text(questions::WHOSE) }
    }
}

/// Of the first so many nodes' claims of data.
pub(super) fn read(cx: &Context<OpenBao>, many: i32) -> Result<Vec<Presence<Origin>>, Failure> {
    (0..many).map(|ordinal| Ok(Presence::of(cx.answer::<need::Object>(&questions::made(ordinal))?, Origin::read))).collect()
}

/// Some volume was kept from a cluster before: it is older than the StatefulSet that claims are made for, or was made for another owner. Absent: not known.
/// Times of an API server compare as text.
pub(super) fn is_taken_over(cx: &Context<OpenBao>, claims: &[Presence<Origin>]) -> Result<Option<bool>, Failure> {
    let set = Presence::of(cx.answer::<need::Object>(questions::SET_MADE)?, Origin::read);
    let Some(set) = set.there().filter(|set| !set.at.is_empty()) else { return Ok(None) };
    let owner = Some(cx.uid()).filter(|uid| !uid.is_empty());
    let is_older = |claim: &Origin| !claim.at.is_empty() && claim.at < set.at;
    let is_others = |claim: &Origin| claim.whose.is_some() && claim.whose.as_deref() != owner;
    if claims.iter().filter_map(Presence::there).any(|claim| is_older(claim) || is_others(claim)) {
        return Ok(Some(true));
    }
    let is_ours = |claim: &Origin| claim.at > set.at || (claim.at == set.at && claim.whose.is_some());
    // Each of them: one that is missing may be there and somebody else's, which is not seen, and may hold anything.
    let are_ours = !claims.is_empty() && claims.iter().all(|claim| claim.there().is_some_and(is_ours));
    Ok(are_ours.then_some(false))
}
