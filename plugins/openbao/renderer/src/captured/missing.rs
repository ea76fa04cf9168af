//! The store is initialised and the Secret has no token that it takes: whether somebody took the token out, or the answer never came there. Only the second is
//! told with commands that delete a volume.

use banhbaoring_openbao_api::InitializationStep as Step;
use banhbaoring_sdk::Failure;
use banhbaoring_sdk::answer::{Answer, Outcome};
use banhbaoring_sdk::contract::need::HttpAnswer;

use super::{INITIALIZE, Sight, Standing, is_good, requests};
use crate::access::NOT_NOW;
use crate::live::refuses_login;

const LOOKED_FOR_AGAIN: &str = "the answer is not in the Secret; it is looked for once more";
/// At these steps the answer was in the Secret: whatever is missing there later was taken out.
const KEPT: [Step; 5] = [Step::Captured, Step::DataLost, Step::MakingUsers, Step::RevokingRootToken, Step::RootTokenRefused];

/// What the store says to the operator.
enum Entry {
    LetIn,
    Refused,
    /// Nobody knows yet, and why.
    Unknown(String),
}

impl Sight<'_> {
    /// The token was missed at the look before.
    pub(super) fn has_missed(&self) -> bool {
        matches!(self.before, Some(Step::AnswerMissing | Step::AnswerLost))
    }

    fn entry(&self) -> Entry {
        let asking = "asking whether the store lets the operator in";
        match &self.operator {
            refused if refuses_login(refused) => Entry::Refused,
            Answer::Known(HttpAnswer { status: 200, .. }) => Entry::LetIn,
            Answer::Known(HttpAnswer { status, .. }) if NOT_NOW.contains(status) => {
                Entry::Unknown(format!("{asking}: it answered {status}"))
            }
            Answer::Known(_) => Entry::Refused,
            Answer::Error(error) => Entry::Unknown(format!("{asking}: {}: {}", error.class, error.message)),
            Answer::Unasked | Answer::Pending => Entry::Unknown(asking.to_owned()),
        }
    }

    /// There was a token, and it opens nothing any more, or was taken out.
    pub(super) fn without_token(&self, asking: Step) -> Standing {
        match self.entry() {
            Entry::LetIn => self.done(),
            Entry::Refused => self.standing(Step::RootTokenRefused, String::new(), Vec::new()),
            Entry::Unknown(why) => self.waits(asking, &why),
        }
    }

    /// The store is initialised, and the Secret has no token.
    pub(super) fn missing(&self) -> Result<Standing, Failure> {
        let Some(attempt) = &self.attempt else {
            return Ok(self.standing(Step::Foreign, "somebody else initialised the store", Vec::new()));
        };
        if let Some(before) = self.before.filter(|before| KEPT.contains(before)) {
            return Ok(self.without_token(before));
        }
        let id = format!("{INITIALIZE}{attempt}");
        Ok(match (self.outcome(&id)?, self.before) {
            // The answer may be on its way.
            (Outcome::NotRun, Some(Step::Initializing)) => self.waits(Step::Initializing, "the store is initialising itself"),
            (Outcome::Done(answer), Some(Step::Initializing)) if is_good(&answer) => {
                self.waits(Step::Captured, "the answer is kept; the Secret is read again")
            }
            (_, Some(before)) if self.has_missed() => self.missing_again(before, attempt),
            _ => self.standing(Step::AnswerMissing, LOOKED_FOR_AGAIN, Vec::new()),
        })
    }

    /// Before somebody is told to delete the volume, everything has to speak for it: both questions, the store, and that it is the volume that was asked for.
    fn missing_again(&self, before: Step, attempt: &str) -> Standing {
        match (self.entry(), &self.again) {
            (Entry::LetIn, _) => self.done(),
            (Entry::Unknown(why), _) => self.waits(before, &why),
            (Entry::Refused, again) if !again.is_not_found() => self.waits(before, LOOKED_FOR_AGAIN),
            (Entry::Refused, _) if self.claim.as_deref() != Some(attempt) => {
                self.waits(before, &format!("{} is not the volume for which the store was asked", requests::claim(self.cluster)))
            }
            (Entry::Refused, _) => self.standing(Step::AnswerLost, String::new(), Vec::new()),
        }
    }
}
