//! The driver around [`Session`]: sockets, logins, buffers by slot. It shows all that is sent and
//! received to the checkers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::IoSlice;
use std::time::{Duration, Instant};

use hawser_proto::login::{
    LOGIN_RANDOM_BYTES, LoggedIn, Login, LoginConfig, LoginErrorKind, LoginOutcome,
};
use hawser_proto::names::Isid;
use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::LoginStatus;
use hawser_proto::serial::Serial;
use hawser_proto::session::{
    Action, ConnectionError, Established, Event, LoginRole, MAX_SEGMENTS, Session, SessionConfig,
    TaskBuffers, Transmit,
};

use crate::checkers::Checkers;
use crate::net::{Happening, Net};
use crate::scenario::Scenario;
use crate::tally::Tally;

/// Bytes a socket takes at once.
const SOCKET: usize = 16 * 1024;
/// How long a login may take.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(3);

/// The driver's buffers, by slot, with the token of their task.
#[derive(Debug, Default)]
pub(crate) struct Buffers(pub(crate) HashMap<u16, (u64, Vec<u8>)>);

impl TaskBuffers for Buffers {
    fn outgoing(&self, slot: u16) -> &[u8] {
        self.0.get(&slot).map_or(&[], |(_, data)| data)
    }

    fn incoming(&mut self, slot: u16) -> &mut [u8] {
        self.0.get_mut(&slot).map_or(&mut [], |(_, data)| data)
    }
}

/// How far a connection is.
enum Stage {
    Dialing(Box<LoginConfig>),
    LoggingIn(Box<Login>),
    Full { batch: Transmit, is_blocked: bool },
}

struct Member {
    link: u64,
    role: LoginRole,
    stage: Stage,
}

pub(crate) struct Initiator {
    pub(crate) session: Session,
    pub(crate) buffers: Buffers,
    scenario: Scenario,
    /// By CID.
    members: BTreeMap<u16, Member>,
    pub(crate) checkers: Checkers,
    pub(crate) events: VecDeque<Event>,
    /// When the last connection was lost, and how long its Time2Wait is.
    lost: Option<(Instant, Duration)>,
    /// What the leading login agreed on.
    parameters: Parameters,
    /// The target spoke of the end of the session: it names another wait.
    is_announced: bool,
    /// Connections that the driver has closed, for the world to tell the target.
    pub(crate) closed: Vec<u64>,
    pub(crate) tally: Tally,
}

impl Initiator {
    pub(crate) fn new(now: Instant, scenario: Scenario, config: SessionConfig) -> Self {
        Self {
            session: Session::new(config, now),
            buffers: Buffers::default(),
            scenario,
            members: BTreeMap::new(),
            checkers: Checkers::default(),
            events: VecDeque::new(),
            lost: None,
            parameters: Parameters::default(),
            is_announced: false,
            closed: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn cid_of(&self, link: u64) -> Option<u16> {
        let found = self.members.iter().find(|(_, member)| member.link == link);
        found.map(|(&cid, _)| cid)
    }

    /// Does all that can be done now: the driver's loop.
    pub(crate) fn drive(&mut self, net: &mut Net) {
        loop {
            self.drain(net);
            let cids: Vec<u16> = self.members.keys().copied().collect();
            let mut wrote = false;
            for cid in cids {
                wrote |= self.write(net, cid);
            }
            if !wrote {
                break;
            }
        }
    }

    fn drain(&mut self, net: &mut Net) {
        while let Some(action) = self.session.poll_action() {
            net.say(|| format!("** {action:?}"));
            match action {
                Action::Disconnect { cid, after_logout } => {
                    // The answer to a logout names another wait.
                    self.is_announced |= after_logout;
                    self.disconnect(net, cid);
                }
                Action::Connect { cid, login, .. } => self.connect(net, cid, login),
            }
        }
        while let Some(event) = self.session.poll_event() {
            net.say(|| format!("** {event:?}"));
            match &event {
                Event::Done(done) => self.checkers.done(done.slot),
                Event::AsyncNotice { .. } => self.is_announced = true,
                _ => {}
            }
            self.events.push_back(event);
        }
    }

    fn connect(&mut self, net: &mut Net, cid: u16, role: LoginRole) {
        let name = |name: &str| name.parse().expect("a name");
        let isid = Isid([0x80, 1, 2, 3, 0, 0]);
        let mut config =
            LoginConfig::normal(name("iqn.2026-01.sim:i"), name("iqn.2026-01.sim:t"), isid);
        config.offers = self.scenario.initiator.offers();
        config.security = self.scenario.security;
        config.cid = cid;
        match role {
            LoginRole::Leading => {
                config.cmd_sn = Serial(net.rng.pick(&[1, 0x7fff_fff0, 0xffff_fff8]));
                let level = &mut config.offers.error_recovery_level;
                *level = (*level).min(self.session.trusted_level());
            }
            LoginRole::Additional(joining) | LoginRole::Reinstating(joining) => {
                config.tsih = joining.tsih;
                config.cmd_sn = joining.cmd_sn;
                config.exp_stat_sn = joining.exp_stat_sn;
                config.joined = Some(self.parameters.clone());
            }
        }
        if !matches!(role, LoginRole::Additional(_))
            && let Some((at, wait)) = self.lost
            && !self.is_announced
        {
            assert!(net.now >= at + wait, "a login before Time2Wait is over");
        }
        let link = net.open();
        let stage = Stage::Dialing(Box::new(config));
        let before = self.members.insert(cid, Member { link, role, stage });
        assert!(before.is_none(), "two connections of one CID");
        let after = net.rng.millis(1, 30);
        net.plan(after, Happening::Connected(link));
        net.plan(LOGIN_TIMEOUT, Happening::DialTimeout(link));
    }

    /// An attempt to connect has succeeded, or not; if the target is to hear of it, says whether a new
    /// session is to be made.
    pub(crate) fn connected(&mut self, net: &mut Net, link: u64, well: bool) -> Option<bool> {
        let cid = self.cid_of(link)?;
        if !well {
            self.login_failed(net, cid, None);
            return None;
        }
        let member = self.members.get_mut(&cid).expect("found");
        let Stage::Dialing(config) = &member.stage else {
            return None;
        };
        let login = Login::new(LoginConfig::clone(config), &[7; LOGIN_RANDOM_BYTES])
            .expect("a possible login");
        member.stage = Stage::LoggingIn(Box::new(login));
        Some(member.role == LoginRole::Leading)
    }

    pub(crate) fn dial_timeout(&mut self, net: &mut Net, link: u64) {
        if let Some(cid) = self.cid_of(link)
            && !matches!(self.members[&cid].stage, Stage::Full { .. })
        {
            self.login_failed(net, cid, None);
        }
    }

    fn login_failed(&mut self, net: &mut Net, cid: u16, status: Option<LoginStatus>) {
        net.say(|| format!("-- the login of connection {cid} fails"));
        let role = self.members[&cid].role;
        self.disconnect(net, cid);
        match role {
            LoginRole::Leading => self.session.handle_login_failed(net.now),
            _ => self.session.handle_join_failed(net.now, cid, status),
        }
    }

    fn logged_in(&mut self, net: &mut Net, cid: u16, login: LoggedIn) {
        let member = self.members.get_mut(&cid).expect("a member");
        member.stage = Stage::Full {
            batch: Transmit::default(),
            is_blocked: false,
        };
        net.links
            .entry(member.link)
            .and_modify(|link| link.is_protected = true);
        let is_leading = member.role == LoginRole::Leading;
        self.tally.count_variant("login", &member.role);
        self.checkers.logged_in(member.link, &login, is_leading);
        if is_leading {
            self.parameters = login.parameters.clone();
        }
        (self.lost, self.is_announced) = (None, false);
        net.say(|| format!("-- logged in: {:?}", login.parameters));
        let established = Established {
            cid,
            tsih: login.tsih,
            tpgt: login.tpgt,
            parameters: login.parameters,
            cmd_sn: login.cmd_sn,
            exp_cmd_sn: login.exp_cmd_sn,
            max_cmd_sn: login.max_cmd_sn,
            exp_stat_sn: login.exp_stat_sn,
        };
        self.session.handle_logged_in(net.now, established);
    }

    fn disconnect(&mut self, net: &mut Net, cid: u16) {
        let Some(member) = self.members.remove(&cid) else {
            return;
        };
        net.say(|| format!("-- connection {cid} closed ({})", member.link));
        if matches!(member.stage, Stage::Full { .. }) {
            let wait = Duration::from_secs(u64::from(self.parameters.time2wait));
            self.lost = Some((net.now, wait));
        }
        self.checkers.lost(member.link);
        self.closed.push(member.link);
    }

    /// The connection has ended.
    pub(crate) fn ended(&mut self, net: &mut Net, link: u64) {
        let Some(cid) = self.cid_of(link) else { return };
        if matches!(self.members[&cid].stage, Stage::Full { .. }) {
            self.lose(net, cid, ConnectionError::Transport("closed".to_owned()));
        } else {
            self.login_failed(net, cid, None);
        }
    }

    fn lose(&mut self, net: &mut Net, cid: u16, error: ConnectionError) {
        net.say(|| format!("-- connection {cid} lost: {error}"));
        self.session.handle_connection_lost(net.now, cid, error);
    }

    pub(crate) fn writable(&mut self, link: u64) {
        let is_this = |member: &&mut Member| member.link == link;
        if let Some(member) = self.members.values_mut().find(is_this)
            && let Stage::Full { is_blocked, .. } = &mut member.stage
        {
            *is_blocked = false;
        }
    }

    pub(crate) fn receive(&mut self, net: &mut Net, link: u64, mut bytes: &[u8]) {
        let Some(cid) = self.cid_of(link) else { return };
        if let Stage::LoggingIn(login) = &mut self.members.get_mut(&cid).expect("found").stage {
            match login.handle_input(bytes) {
                Ok((_, None)) => return,
                Ok((used, Some(LoginOutcome::FullFeature(login)))) => {
                    bytes = &bytes[used..];
                    self.logged_in(net, cid, *login);
                }
                Ok((_, Some(other))) => panic!("{other:?}"),
                Err(error) => {
                    net.say(|| format!("-- login: {error}"));
                    let status = match error.kind {
                        LoginErrorKind::Refused { status, .. } => Some(status),
                        _ => None,
                    };
                    return self.login_failed(net, cid, status);
                }
            }
        }
        self.checkers.received(link, bytes);
        if let Err(error) = self.feed(net, cid, link, bytes) {
            self.lose(net, cid, error);
        }
    }

    /// Gives the session bytes, some of them read straight into their place.
    fn feed(
        &mut self,
        net: &mut Net,
        cid: u16,
        link: u64,
        mut bytes: &[u8],
    ) -> Result<(), ConnectionError> {
        while !bytes.is_empty() && self.cid_of(link).is_some() {
            let taken = match net.rng.chance(300) {
                true => net.rng.range(1, bytes.len() as u64) as usize,
                false => bytes.len(),
            };
            let (piece, rest) = bytes.split_at(taken);
            bytes = rest;
            let mut beyond = piece;
            if let Some(place) = self.session.direct_read(cid)
                && net.rng.chance(500)
            {
                let count = piece.len().min(place.len);
                let to = self.buffers.incoming(place.slot);
                to[place.offset..place.offset + count].copy_from_slice(&piece[..count]);
                self.session.handle_direct(cid, count, &mut self.buffers);
                beyond = &piece[count..];
            }
            self.session
                .handle_input(net.now, cid, beyond, &mut self.buffers)?;
            self.drain(net);
        }
        Ok(())
    }

    /// Writes what there is to say; the socket takes all, or some and no more for a while.
    fn write(&mut self, net: &mut Net, cid: u16) -> bool {
        let Some(member) = self.members.get_mut(&cid) else {
            return false;
        };
        let link = member.link;
        match &mut member.stage {
            Stage::Dialing(_) => false,
            Stage::LoggingIn(login) => {
                let mut bytes = Vec::new();
                let wrote = login.poll_transmit(&mut bytes);
                if wrote {
                    net.send_up(link, bytes);
                }
                wrote
            }
            Stage::Full {
                is_blocked: true, ..
            } => false,
            Stage::Full { batch, is_blocked } => {
                if batch.is_empty() {
                    self.session.transmit_done(batch);
                    if !self
                        .session
                        .poll_transmit(net.now, cid, &self.buffers, batch)
                    {
                        return false;
                    }
                    self.checkers.sent(link, &content(batch, &self.buffers));
                }
                let mut bytes = content(batch, &self.buffers);
                bytes.truncate(SOCKET);
                if net.rng.chance(100) {
                    let taken = net.rng.range(1, bytes.len() as u64) as usize;
                    bytes.truncate(taken);
                    *is_blocked = true;
                    let after = net.rng.millis(0, 10);
                    net.plan(after, Happening::Writable(link));
                }
                batch.advance(bytes.len());
                net.send_up(link, bytes);
                true
            }
        }
    }
}

/// What is left to write of a batch.
fn content(batch: &Transmit, buffers: &Buffers) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
    let count = batch
        .slices(buffers, &mut slices)
        .expect("the buffer of a task under way");
    slices[..count]
        .iter()
        .map(|slice| &slice[..])
        .collect::<Vec<_>>()
        .concat()
}
