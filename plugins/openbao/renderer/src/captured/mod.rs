//! The first initialisation by the operator, where the owner asks for it: the answer with the only keys goes from the host into a Secret, and no plugin sees it.
//!
//! ```text
//! one node ─▶ Secret <name>-init ─▶ intent in the journal ─▶ PUT sys/init ─▶ answer in the Secret ─▶ users ─▶ operator let in ─▶ root token revoked ─▶ all nodes
//! ```
//!
//! Whoever carries the answer may be killed with it. So nothing here rests on what is remembered of it: at each look the node is asked whether it is initialised,
//! and the Secret whether its token is that store's.
//!
//! | node says | Secret | means |
//! |---|---|---|
//! | no | empty | ask it to |
//! | no | full | `DataLost` |
//! | yes | this store's token | make the users |
//! | yes | a revoked token | done, if it was to be revoked |
//! | yes | empty, and it had a token | somebody took it out: done if the operator is let in, else `RootTokenRefused` |
//! | yes | empty, and it was asked for this volume | `InitializationAnswerLost`, unless the answer is on its way |
//! | yes | empty, and it never was | somebody else's store |
//!
//! `InitializationAnswerLost` is told with commands that delete a volume, so it takes more than a Secret without a token: that is also what is answered while a
//! Service or the authority is missing, and one answer is seen at several looks. It takes a second question, asked after the first was answered, and a store
//! that refuses the operator.
//!
//! A volume is never deleted from here, also where it seems worthless. That the operator asked and got no answer does not prove that the store is the operator's: a
//! person who sent the same request at the same time, and keeps the answer, leaves the same traces.

mod missing;
pub mod requests;

use banhbaoring_openbao_api::{InitializationMode, InitializationStatus, InitializationStep as Step};
use banhbaoring_sdk::answer::{Answer, Outcome};
use banhbaoring_sdk::contract::action;
use banhbaoring_sdk::contract::need::{self, HttpAnswer};
use banhbaoring_sdk::{Action, Context, Failure, Need, Response};
use serde_json::Value;

use crate::access::REFUSAL;
use crate::cluster::Cluster;
use crate::component::OpenBao;
use crate::live::{Live, Node, is_cut_short};
use crate::report::words;

/// Begins the ids of actions that initialise a store; the uid of its volume claim follows.
const INITIALIZE: &str = "initialize-";
/// Longest text of the store in a message, in characters.
const SHOWN: usize = 300;

/// The owner asks the operator to initialise the store.
pub fn is_asked_for(cluster: &Cluster) -> bool {
    cluster.spec.initialization.mode == Some(InitializationMode::Captured)
}

/// How far it is, and what follows.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    /// For the status.
    pub told: Option<InitializationStatus>,
    /// What the whole component is told as, until it is done.
    pub verdict: Option<Verdict>,
    /// The operator was let in.
    pub is_let_in: bool,
    needs: Vec<Need>,
    actions: Vec<Action>,
}

/// A state for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It does not pass by waiting.
    pub has_failed: bool,
    /// CamelCase.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Captured {
    /// Adds what is asked and done.
    pub fn tell(&self, response: Response) -> Response {
        let response = self.needs.iter().cloned().fold(response, Response::need);
        let response = self.actions.iter().cloned().fold(response, Response::action);
        if self.verdict.is_some() { response.requeue_after(requests::SECONDS) } else { response }
    }
}

/// Looks, and decides.
pub fn look(cx: &Context<OpenBao>, cluster: &Cluster, live: &Live) -> Result<Captured, Failure> {
    if !is_asked_for(cluster) {
        return Ok(Captured::default());
    }
    if !live.is_opening {
        let told = live.told_initialization.clone().unwrap_or(InitializationStatus { step: Step::Foreign, attempt: None });
        return Ok(Captured { told: Some(told), ..Captured::default() });
    }
    let root = cx.answer::<need::Http>(requests::FIRST_ROOT)?;
    let again = cx.answer::<need::Http>(requests::FIRST_ROOT_AGAIN)?;
    let operator = cx.answer::<need::Http>(requests::FIRST_OPERATOR)?;
    let claim = cx.answer::<need::Object>(requests::FIRST_CLAIM)?.known().map(|view| view.uid);
    let before = live.told_initialization.clone();
    // A host that ended between the journal and the status knows more than was told.
    let journal = || cx.request().results.iter().find_map(|result| result.id.strip_prefix(INITIALIZE)).map(ToOwned::to_owned);
    let attempt = before.as_ref().and_then(|told| told.attempt.clone()).or_else(journal);
    let sight = Sight { cx, cluster, live, claim, attempt, before: before.map(|told| told.step), again, operator };
    let standing = match (live.first_says, live.replicas()) {
        // How far it was is not forgotten with a StatefulSet that somebody deletes.
        (_, None) => sight.waits(sight.before.unwrap_or(Step::Waiting), "the first node is being made"),
        (None, _) => sight.waits(sight.before.unwrap_or(Step::Waiting), &format!("{} does not answer yet", cluster.pod(0))),
        (Some(false), Some(replicas)) if replicas > 1 => sight.among_others(),
        (Some(false), _) => sight.initialize()?,
        (Some(true), _) => sight.open(root.clone())?,
    };
    let mut needs = vec![requests::ask_claim(cluster), requests::ask_initialized(cluster)];
    if live.first_says == Some(true) {
        needs.push(requests::ask_root(cluster));
        let is_refused = matches!(&root, Answer::Known(HttpAnswer { status: 403, .. }));
        let is_wanted = is_refused || root.is_not_found() || standing.step == Step::RevokingRootToken;
        if is_wanted && live.wants_operator() {
            needs.push(requests::ask_as_operator(cluster));
        }
        if root.is_not_found() && sight.has_missed() {
            needs.push(requests::ask_root_again(cluster));
        }
    }
    let Standing { step, attempt, actions, message, is_let_in } = standing;
    let verdict = verdict(cluster, step, message);
    Ok(Captured { told: Some(InitializationStatus { step, attempt }), verdict: Some(verdict), is_let_in, needs, actions })
}

/// Where it stands after this look.
struct Standing {
    step: Step,
    attempt: Option<String>,
    actions: Vec<Action>,
    message: String,
    is_let_in: bool,
}

/// All that is known at this look.
struct Sight<'a> {
    cx: &'a Context<OpenBao>,
    cluster: &'a Cluster<'a>,
    live: &'a Live,
    claim: Option<String>,
    attempt: Option<String>,
    before: Option<Step>,
    /// What the store says to the token that was missed at a look before.
    again: Answer<HttpAnswer>,
    operator: Answer<HttpAnswer>,
}

impl Sight<'_> {
    fn outcome(&self, id: &str) -> Result<Outcome<HttpAnswer>, Failure> {
        self.cx.outcome::<action::Http>(id)
    }

    /// What was asked for and has no outcome yet, or one that is not used yet, is asked for further: what nobody asks for is forgotten.
    fn waits(&self, step: Step, message: &str) -> Standing {
        let held = self.attempt.as_ref().map(|attempt| format!("{INITIALIZE}{attempt}")).filter(|id| {
            let has_outcome = self.cx.request().results.iter().any(|result| result.id == *id);
            has_outcome || matches!(self.before, Some(Step::Initializing))
        });
        let actions = held.iter().map(|id| requests::initialize(self.cluster, id)).collect();
        Standing { step, attempt: self.attempt.clone(), actions, message: message.to_owned(), is_let_in: false }
    }

    fn standing(&self, step: Step, message: impl Into<String>, actions: Vec<Action>) -> Standing {
        Standing { step, attempt: self.attempt.clone(), actions, message: message.into(), is_let_in: false }
    }

    /// The node says that it is not initialised, and there are others. They could begin a store of their own meanwhile, or join one that is begun again; or
    /// they have the store already, and what was told of it is lost.
    fn among_others(&self) -> Standing {
        let others = || self.live.nodes.iter().filter(|node| node.ordinal > 0);
        let tells = |node: &Node| node.pod.there().and_then(|pod| pod.initialized);
        let (first, before) = (self.cluster.pod(0), self.before.unwrap_or(Step::Waiting));
        if let Some(node) = others().find(|node| tells(node) == Some(true)) {
            let message = format!(
                "{first} says that it is not initialised, and {0} has a store: nothing is initialised, so that there are not two. Leave all nodes where they are; \
                 {first} joins that store by itself while {0} is up and unsealed, and where it does not, its log says why",
                node.name
            );
            return self.waits(before, &message);
        }
        let alone = words::one_node_first(self.cluster);
        match others().find(|node| !node.pod.is_missing() && tells(node).is_none()) {
            Some(node) => {
                let message =
                    format!("{} has not told yet whether it has a store. Wait for it; only where it never had one: {alone}", node.name);
                self.waits(before, &message)
            }
            None => self.waits(Step::Waiting, &alone),
        }
    }

    /// The node says that it is not initialised.
    fn initialize(&self) -> Result<Standing, Failure> {
        let Some(claim) = &self.claim else {
            return Ok(self.waits(Step::Waiting, &format!("waiting for the volume claim {}", requests::claim(self.cluster))));
        };
        let id = format!("{INITIALIZE}{claim}");
        let action = || vec![requests::initialize(self.cluster, &id)];
        let standing = |step, message: String, actions| Standing { attempt: Some(claim.clone()), ..self.standing(step, message, actions) };
        let asked = "the store is asked to initialise itself";
        Ok(match self.outcome(&id)? {
            Outcome::NotRun => standing(Step::Initializing, asked.to_owned(), action()),
            // Either the node's word is older than the answer, or the store is gone again: then the next attempt finds the Secret full.
            Outcome::Done(answer) if is_good(&answer) => {
                let again = if self.before == Some(Step::Captured) { Vec::new() } else { action() };
                standing(Step::Captured, "the answer is kept; the node has to tell that it is initialised".to_owned(), again)
            }
            Outcome::Done(answer) if is_cut_short(refusal(&answer)) => standing(Step::Interrupted, String::new(), action()),
            // The store refuses a second initialisation by itself, so it may be asked again where nobody knows what came of the first.
            Outcome::Done(answer) => standing(Step::Initializing, format!("{asked} again: it answered {}", refused(&answer)), Vec::new()),
            Outcome::Unknown => standing(Step::Initializing, format!("{asked} again: nobody knows whether it was"), Vec::new()),
            Outcome::Error(error) if error.class == "conflict" => standing(Step::DataLost, String::new(), action()),
            Outcome::Error(error) if matches!(error.class.as_str(), "lost" | "unsupported") => {
                standing(Step::Initializing, format!("{asked} again: {}", error.message), Vec::new())
            }
            Outcome::Error(error) => standing(Step::Initializing, format!("{asked}: {}: {}", error.class, error.message), action()),
        })
    }

    /// The node says that it is initialised. `root` is what the store says to the token of the Secret.
    fn open(&self, root: Answer<HttpAnswer>) -> Result<Standing, Failure> {
        let asking = self.before.unwrap_or(Step::Waiting);
        Ok(match root {
            Answer::Known(HttpAnswer { status: 200, .. }) if self.before == Some(Step::RevokingRootToken) => self.revoke()?,
            Answer::Known(HttpAnswer { status: 200, .. }) => self.make_users()?,
            Answer::Known(HttpAnswer { status: 403, .. }) if self.before == Some(Step::RevokingRootToken) => self.done(),
            Answer::Known(HttpAnswer { status: 403, .. }) => self.without_token(asking),
            Answer::Known(HttpAnswer { status, .. }) => self.waits(asking, &format!("the store answered {status} to its root token")),
            Answer::Error(error) if error.class == "not-found" => self.missing()?,
            Answer::Error(error) => self.waits(asking, &format!("the store cannot be asked: {}: {}", error.class, error.message)),
            Answer::Unasked | Answer::Pending => self.waits(asking, "asking whether the answer is in the Secret"),
        })
    }

    /// All of it is sent again until each was done: nothing of it does harm twice.
    fn make_users(&self) -> Result<Standing, Failure> {
        // What was lost is let go for one look, and nothing is sent that takes from it.
        if !(self.live.wants_admin() && self.live.wants_operator()) {
            return Ok(self.standing(Step::MakingUsers, "a Secret with a first password was lost and is made anew", Vec::new()));
        }
        let (mut actions, mut why) = (Vec::new(), None);
        let mut all = true;
        for (id, action) in requests::users(self.cluster, self.store()) {
            let is_method = id.starts_with("make-method-");
            let is_let_go = match self.outcome(&id)? {
                // The method is there already.
                Outcome::Done(answer) if is_good(&answer) || (is_method && answer.status == 400) => false,
                outcome => {
                    all = false;
                    match outcome {
                        Outcome::NotRun => false,
                        Outcome::Done(answer) => {
                            why = Some(format!("the store answered {}", refused(&answer)));
                            true
                        }
                        Outcome::Error(error) => {
                            let is_over = matches!(error.class.as_str(), "lost" | "unsupported");
                            why = Some(format!("{}: {}", error.class, error.message));
                            is_over
                        }
                        Outcome::Unknown => true,
                    }
                }
            };
            if !is_let_go {
                actions.push(action);
            }
        }
        let step = if all { Step::RevokingRootToken } else { Step::MakingUsers };
        let why = why.map(|why| format!("; it is tried again: {why}")).unwrap_or_default();
        Ok(self.standing(step, format!("the users admin and operator are made{why}"), actions))
    }

    /// Only after the operator was let in: until then the root token is the only way in.
    fn revoke(&self) -> Result<Standing, Failure> {
        let asking = "asking whether the store lets the operator in";
        let status = match &self.operator {
            Answer::Known(HttpAnswer { status: 200, .. }) => None,
            Answer::Unasked | Answer::Pending => return Ok(self.standing(Step::RevokingRootToken, asking, Vec::new())),
            Answer::Error(error) if error.class == "unavailable" => {
                return Ok(self.standing(Step::RevokingRootToken, format!("{asking}: {}", error.message), Vec::new()));
            }
            Answer::Error(error) => Some(error.message.clone()),
            Answer::Known(HttpAnswer { status, .. }) => Some(format!("it answered {status}")),
        };
        if let Some(why) = status {
            let message = format!("the store does not let the operator in, so its user is made again: {why}");
            return Ok(self.standing(Step::MakingUsers, message, Vec::new()));
        }
        let id = format!("revoke-root-{}", self.store());
        let actions = match self.outcome(&id)? {
            Outcome::NotRun | Outcome::Error(_) => vec![requests::revoke(self.cluster, &id)],
            Outcome::Done(answer) if is_good(&answer) => vec![requests::revoke(self.cluster, &id)],
            Outcome::Done(_) | Outcome::Unknown => Vec::new(),
        };
        Ok(Standing {
            is_let_in: true,
            ..self.standing(Step::RevokingRootToken, "the operator was let in; the root token is revoked", actions)
        })
    }

    fn done(&self) -> Standing {
        let is_let_in = matches!(self.operator, Answer::Known(HttpAnswer { status: 200, .. }));
        Standing {
            is_let_in,
            ..self.standing(Step::Done, "the users are made, and the root token of the Secret opens nothing or was taken out", Vec::new())
        }
    }

    fn store(&self) -> &str {
        self.attempt.as_deref().or(self.claim.as_deref()).unwrap_or_else(|| self.live.first_uid().unwrap_or("first"))
    }
}

fn is_good(answer: &HttpAnswer) -> bool {
    (200..300).contains(&answer.status)
}

fn refusal(answer: &HttpAnswer) -> &str {
    answer.exposed.get(REFUSAL).and_then(Value::as_str).unwrap_or_default()
}

fn refused(answer: &HttpAnswer) -> String {
    let said: String = refusal(answer).split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect();
    format!("{} {said}", answer.status).trim_end().to_owned()
}

fn verdict(cluster: &Cluster, step: Step, message: String) -> Verdict {
    let (has_failed, reason, message) = match step {
        Step::Waiting => (false, "WaitingForInitialization", message),
        Step::Initializing | Step::Captured | Step::AnswerMissing => (false, "Initializing", message),
        Step::AnswerLost => (true, "InitializationAnswerLost", words::answer_lost(cluster)),
        Step::DataLost => (true, words::DATA_LOST, words::captured_data_lost(cluster)),
        Step::Interrupted => (true, words::CUT_SHORT, words::cut_short(cluster)),
        Step::RootTokenRefused => (true, "RootTokenRefused", words::root_token_refused(cluster)),
        Step::MakingUsers | Step::RevokingRootToken | Step::Done | Step::Foreign => (false, "MakingUsers", message),
    };
    Verdict { has_failed, reason, message }
}
