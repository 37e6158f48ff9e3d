//! The target's side of a login (RFC 7143 §6.3): requests in, responses out, no socket, clock or
//! randomness.

mod bend;
mod negotiation;
mod security;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use hawser_proto::names::IscsiName;
use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::{LoginRequest, LoginResponse, LoginStage, LoginStatus, Pdu};
use hawser_proto::text::{
    Assembly, Key, MAX_PAIRS, MAX_TEXT_BYTES, Pair, PairWriter, Pieces, Sender, lookup, pairs, spec,
};

use self::bend::Bend;
use self::negotiation::Negotiation;
pub(crate) use self::negotiation::{answer_unknown, receive_limit};
pub(crate) use self::security::RANDOM_BYTES;
use self::security::{Security, SecurityKeys};
use crate::config::TargetConfig;
use crate::faults::{Faults, Redirect};
use crate::policy::KeyPolicy;
use crate::realm::Realm;

/// How many requests a login may take. Six exchanges are common; text that comes in pieces takes
/// more.
const MAX_REQUESTS: u32 = 64;

/// RFC 7143 §13.12: the longest data segment during login.
const LOGIN_SEGMENT: usize = 8192;

/// What a login is for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// A discovery session.
    Discovery,
    /// A normal session with this target.
    Normal(Arc<TargetConfig>),
}

impl Purpose {
    /// The target of a normal session.
    pub(crate) fn target(&self) -> Option<&Arc<TargetConfig>> {
        match self {
            Self::Discovery => None,
            Self::Normal(target) => Some(target),
        }
    }
}

/// Who logs in, and what for: known after the first text.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) initiator: IscsiName,
    pub(crate) purpose: Purpose,
}

/// What to do after a request.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send this response, and wait for the next request.
    Reply(LoginResponse, Vec<u8>),
    /// Send this response, with the TSIH of the session; the full feature phase begins.
    Complete(LoginResponse, Vec<u8>, Box<Parameters>),
    /// Send this response and close the connection.
    Refuse(LoginResponse, Vec<u8>),
}

/// A refused login: the status and, in a redirect, the text that goes with it.
#[derive(Debug)]
struct Refusal {
    status: LoginStatus,
    text: Vec<u8>,
}

impl From<LoginStatus> for Refusal {
    fn from(status: LoginStatus) -> Self {
        Self {
            status,
            text: Vec::new(),
        }
    }
}

/// What must stay the same in all requests of a login (RFC 7143 §11.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Constant {
    isid: [u8; 6],
    tsih: u16,
    cid: u16,
    itt: u32,
}

impl From<&LoginRequest> for Constant {
    fn from(request: &LoginRequest) -> Self {
        Self {
            isid: request.isid,
            tsih: request.tsih.get(),
            cid: request.cid.get(),
            itt: request.itt.get(),
        }
    }
}

/// One login. Every request goes through [`Self::handle`] until that completes or refuses.
#[derive(Debug)]
pub(crate) struct Login {
    realm: Arc<Realm>,
    /// The portal group that the connection came in by.
    group: u16,
    constant: Option<Constant>,
    stage: Option<LoginStage>,
    requests: u32,
    incoming: Assembly,
    outgoing: Option<Pieces>,
    seen: HashSet<String>,
    peer: Option<Peer>,
    security: Option<Security>,
    negotiation: Option<Negotiation>,
    greeted: bool,
    random: [u8; RANDOM_BYTES],
    bend: Bend,
}

impl Login {
    /// A login over a connection that came in by the portal group of tag `group`. `random` must
    /// never have been used before.
    pub(crate) fn new(
        realm: Arc<Realm>,
        group: u16,
        random: [u8; RANDOM_BYTES],
        faults: Arc<Faults>,
    ) -> Self {
        Self {
            realm,
            group,
            constant: None,
            stage: None,
            requests: 0,
            incoming: Assembly::new(MAX_TEXT_BYTES),
            outgoing: None,
            seen: HashSet::new(),
            peer: None,
            security: None,
            negotiation: None,
            greeted: false,
            random,
            bend: Bend::new(faults),
        }
    }

    /// Who logs in, once that was said.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Takes in one request with its data segment.
    pub(crate) fn handle(&mut self, request: &LoginRequest, data: &[u8]) -> Step {
        match self.advance(request, data) {
            Ok(step) => step,
            Err(refusal) => refuse(request, refusal.status, refusal.text),
        }
    }

    fn advance(&mut self, request: &LoginRequest, data: &[u8]) -> Result<Step, Refusal> {
        let stage = self.check(request)?;
        if let Some(status) = self.bend.refusal() {
            return Err(status.into());
        }
        if self.outgoing.is_some() {
            // The rest of our own text is asked for with an empty request.
            if !data.is_empty() {
                return Err(LoginStatus::INITIATOR_ERROR.into());
            }
            return self.respond(request, stage);
        }
        let text = self
            .incoming
            .push(data, request.is_continued())
            .map_err(|_| LoginStatus::INITIATOR_ERROR)?;
        let Some(text) = text else {
            return Ok(Step::Reply(LoginResponse::answer(request), Vec::new()));
        };
        let answer = self.answer(request, stage, &text)?;
        let answer = self.bend.text(stage, answer);
        if !answer.is_empty() {
            self.outgoing = Some(Pieces::new(answer, self.bend.split(LOGIN_SEGMENT)));
        }
        self.respond(request, stage)
    }

    /// Checks what the header says against the requests before it.
    fn check(&mut self, request: &LoginRequest) -> Result<LoginStage, LoginStatus> {
        self.requests += 1;
        if request.version_min > 0 {
            return Err(LoginStatus::UNSUPPORTED_VERSION);
        }
        let constant = Constant::from(request);
        let stage = request
            .current_stage()
            .map_err(|_| LoginStatus::INITIATOR_ERROR)?;
        let first = *self.constant.get_or_insert(constant);
        let expected = *self.stage.get_or_insert(stage);
        let changed = constant != first || stage != expected;
        if changed || stage == LoginStage::FullFeaturePhase || self.requests > MAX_REQUESTS {
            return Err(LoginStatus::INITIATOR_ERROR);
        }
        if request.is_transit() {
            let next = request
                .next_stage()
                .map_err(|_| LoginStatus::INITIATOR_ERROR)?;
            if next.code() <= stage.code() {
                return Err(LoginStatus::INITIATOR_ERROR);
            }
        }
        Ok(stage)
    }

    /// Takes in one whole text and writes our own.
    fn answer(
        &mut self,
        request: &LoginRequest,
        stage: LoginStage,
        text: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        let pairs = pairs(text, MAX_PAIRS).map_err(|_| LoginStatus::INITIATOR_ERROR)?;
        for pair in &pairs {
            // RFC 7143 §6.3: a key may be said once in a login.
            if !self.seen.insert(pair.key.to_owned()) {
                return Err(LoginStatus::INITIATOR_ERROR.into());
            }
        }
        if self.peer.is_none() {
            self.identify(&pairs, request.tsih.get() == 0)?;
        }
        let mut out = PairWriter::new();
        self.greet(&mut out);
        let keys = known_keys(&pairs, stage, request.tsih.get() == 0, &mut out)?;
        match stage {
            LoginStage::SecurityNegotiation => self.negotiate_security(request, keys, &mut out)?,
            _ => self.negotiate(request, keys, &mut out)?,
        }
        Ok(out.into_bytes())
    }

    /// Learns from the first text who logs in and what for.
    fn identify(&mut self, pairs: &[Pair<'_>], leading: bool) -> Result<(), LoginStatus> {
        let value = |key: Key| pairs.iter().find(|pair| pair.key == spec(key).name);
        let initiator = value(Key::InitiatorName).ok_or(LoginStatus::MISSING_PARAMETER)?;
        let initiator =
            IscsiName::parse(initiator.value).map_err(|_| LoginStatus::INITIATOR_ERROR)?;
        let purpose = match value(Key::SessionType).map_or("Normal", |pair| pair.value) {
            "Discovery" => Purpose::Discovery,
            "Normal" => {
                let name = value(Key::TargetName).ok_or(LoginStatus::MISSING_PARAMETER)?;
                Purpose::Normal(self.find(name.value, &initiator)?)
            }
            _ => return Err(LoginStatus::SESSION_TYPE_NOT_SUPPORTED),
        };
        let (chap, policy) = match &purpose {
            Purpose::Discovery => (self.realm.discovery_chap.clone(), KeyPolicy::default()),
            Purpose::Normal(target) => (target.chap.clone(), target.effective_policy()),
        };
        let discovery = matches!(purpose, Purpose::Discovery);
        self.security = Some(Security::new(chap, self.random));
        self.negotiation = Some(Negotiation::new(policy, discovery, leading));
        self.peer = Some(Peer { initiator, purpose });
        Ok(())
    }

    /// The target of this name, if this initiator may log in to it here.
    fn find(&self, name: &str, initiator: &IscsiName) -> Result<Arc<TargetConfig>, LoginStatus> {
        let target = IscsiName::parse(name)
            .ok()
            .and_then(|name| self.realm.target(&name));
        match target.filter(|target| target.is_in_group(self.group)) {
            None => Err(LoginStatus::NOT_FOUND),
            Some(target) if !target.access.allows(initiator) => {
                Err(LoginStatus::AUTHORIZATION_FAILURE)
            }
            Some(target) => Ok(Arc::clone(target)),
        }
    }

    /// Says what the first response must say (RFC 7143 §6.3.1).
    fn greet(&mut self, out: &mut PairWriter) {
        if self.greeted {
            return;
        }
        self.greeted = true;
        out.push(
            spec(Key::TargetPortalGroupTag).name,
            &self.group.to_string(),
        );
        let alias = self
            .peer
            .as_ref()
            .and_then(|peer| peer.purpose.target()?.alias.clone());
        if let Some(alias) = alias {
            out.push(spec(Key::TargetAlias).name, &alias);
        }
    }

    fn negotiate_security(
        &mut self,
        request: &LoginRequest,
        keys: Vec<(Key, &str)>,
        out: &mut PairWriter,
    ) -> Result<(), LoginStatus> {
        let security = self.security.as_mut().ok_or(LoginStatus::TARGET_ERROR)?;
        let mut found = SecurityKeys::default();
        keys.into_iter()
            .for_each(|(key, value)| found.put(key, value));
        security.answer(found, out)?;
        if request.is_transit() {
            security.propose(out);
        }
        Ok(())
    }

    fn negotiate(
        &mut self,
        request: &LoginRequest,
        keys: Vec<(Key, &str)>,
        out: &mut PairWriter,
    ) -> Result<(), Refusal> {
        if !self.security.as_ref().is_some_and(Security::is_passed) {
            return Err(LoginStatus::AUTHENTICATION_FAILURE.into());
        }
        self.check_redirect()?;
        let negotiation = self.negotiation.as_mut().ok_or(LoginStatus::TARGET_ERROR)?;
        negotiation.answer(keys, out)?;
        // A request that does not want to move on has more to propose itself.
        negotiation.declare_and_propose(request.is_transit(), out);
        Ok(())
    }

    /// Sends the initiator elsewhere, if the target or a fault says so. Only one that has proved
    /// itself is told where.
    fn check_redirect(&self) -> Result<(), Refusal> {
        let target = self.peer.as_ref().and_then(|peer| peer.purpose.target());
        let configured = target.and_then(|target| target.redirect.clone());
        match self.bend.redirect().or(configured) {
            None => Ok(()),
            Some(redirect) => Err(elsewhere(redirect)),
        }
    }

    /// Sends the next piece of our text, and moves to the next stage if both sides are ready.
    fn respond(&mut self, request: &LoginRequest, stage: LoginStage) -> Result<Step, Refusal> {
        let (text, more) = self
            .outgoing
            .as_mut()
            .map(Pieces::next_piece)
            .unwrap_or_default();
        if !more {
            self.outgoing = None;
        }
        let mut response = LoginResponse::answer(request);
        response.set_data_segment_length(u32::try_from(text.len()).unwrap_or_default());
        response.set_continued(more);
        if more || !request.is_transit() || !self.is_ready(stage) || self.bend.holds_back() {
            return Ok(Step::Reply(response, text));
        }
        let wanted = request
            .next_stage()
            .map_err(|_| LoginStatus::INITIATOR_ERROR)?;
        let next = self.next_stage(stage, wanted)?;
        response.set_stages(stage, Some(next));
        self.stage = Some(next);
        if next != LoginStage::FullFeaturePhase {
            return Ok(Step::Reply(response, text));
        }
        let parameters = self
            .negotiation
            .as_ref()
            .ok_or(LoginStatus::TARGET_ERROR)?
            .finish()?;
        Ok(Step::Complete(response, text, Box::new(parameters)))
    }

    /// Whether we have nothing more to ask for in this stage.
    fn is_ready(&self, stage: LoginStage) -> bool {
        match stage {
            LoginStage::SecurityNegotiation => {
                self.security.as_ref().is_some_and(Security::is_passed)
            }
            _ => !self
                .negotiation
                .as_ref()
                .is_some_and(Negotiation::is_waiting),
        }
    }

    /// The stage to move to: the one asked for, or the operational one in between if there is
    /// something to negotiate.
    fn next_stage(&self, stage: LoginStage, wanted: LoginStage) -> Result<LoginStage, Refusal> {
        if stage == LoginStage::SecurityNegotiation {
            self.check_redirect()?;
            if self
                .negotiation
                .as_ref()
                .is_some_and(Negotiation::is_wanting)
            {
                return Ok(LoginStage::OperationalNegotiation);
            }
        }
        Ok(wanted)
    }
}

/// The refusal that sends an initiator elsewhere.
fn elsewhere(redirect: Redirect) -> Refusal {
    let status = if redirect.permanent {
        LoginStatus::TARGET_MOVED_PERMANENTLY
    } else {
        LoginStatus::TARGET_MOVED_TEMPORARILY
    };
    let mut text = PairWriter::new();
    if let Some(address) = redirect.address {
        text.push(spec(Key::TargetAddress).name, &address);
    }
    Refusal {
        status,
        text: text.into_bytes(),
    }
}

/// The response that ends a login.
pub(crate) fn refuse(request: &LoginRequest, status: LoginStatus, text: Vec<u8>) -> Step {
    let mut response = LoginResponse::answer(request);
    response.set_status(status);
    response.set_data_segment_length(u32::try_from(text.len()).unwrap_or_default());
    Step::Refuse(response, text)
}

/// The keys of a text that the RFC knows. Unknown ones are answered at once.
fn known_keys<'t>(
    pairs: &[Pair<'t>],
    stage: LoginStage,
    leading: bool,
    out: &mut PairWriter,
) -> Result<Vec<(Key, &'t str)>, LoginStatus> {
    let mut known = Vec::new();
    for pair in pairs {
        let Some(key) = lookup(pair.key) else {
            answer_unknown(pair.key, pair.value, out);
            continue;
        };
        let spec = spec(key);
        let allowed = match stage {
            LoginStage::SecurityNegotiation => spec.stages.security,
            _ => spec.stages.operational,
        };
        if !allowed || spec.sender == Sender::Target || spec.stages.leading_only && !leading {
            return Err(LoginStatus::INITIATOR_ERROR);
        }
        known.push((key, pair.value));
    }
    Ok(known)
}
