//! An initiator that means harm, towards the embedded target: whatever it sends, the target says only
//! what is legal, reads give what was written, its memory is bounded, and a connection or session ends when
//! its time has come.

mod client;
mod disk;
mod judge;
mod logins;
mod steps;

use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hawser_proto::login::{DigestChoice, Offers};
use hawser_proto::parameters::Parameters;
use hawser_target::disk::{LogicalUnit, RamBackend, UnitIdentity};
use hawser_target::{KeyPolicy, TargetConfig, TargetHandle, TargetServer};

use self::client::{Client, Stage};
use self::disk::{BLOCK, BLOCKS, Disk};
use crate::script::Script;
use crate::wire::Pdu;

/// Connections that a run may make.
const CLIENTS_MAX: usize = 10;
/// Steps of one script.
const STEPS_MAX: usize = 400;
/// What fits between the two ends of a connection.
const PIPE: usize = 128 * 1024;
/// Rounds until the target has done all that it can do without hearing more.
const ROUNDS_MAX: usize = 400;
/// Bytes that the target may say after one step: what it keeps for recovery, more than once.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longer than the target keeps a session without connections.
const RETENTION: Duration = Duration::from_secs(120);

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 3260);
const TARGET: &str = "iqn.2026-01.fuzz:target";

/// A session, as far as its initiator cares.
#[derive(Debug, Default)]
struct Nexus {
    tsih: u16,
    cmd_sn: u32,
    /// Numbers that were left out.
    gaps: Vec<u32>,
    parameters: Parameters,
    next_cid: u16,
}

/// A command of which the data is known.
#[derive(Debug)]
struct Task {
    nexus: usize,
    writes: bool,
    /// What it writes, or what of its data has come.
    data: Vec<u8>,
    /// Blocks of a read that have come.
    came: Vec<bool>,
    /// How far unsolicited data was sent.
    unsolicited: u32,
    /// Its data was asked for once more, or it was moved.
    recovered: bool,
    ended: bool,
}

/// One run.
struct Run {
    handle: TargetHandle,
    clients: Vec<Client>,
    nexuses: [Nexus; 2],
    tasks: BTreeMap<u32, Task>,
    /// Tags of other requests.
    strange: HashSet<u32>,
    next_itt: u32,
    disk: Disk,
    /// A stream has lost its frame: nobody knows what was asked.
    frameless: bool,
    /// How the next logins go.
    offers: Offers,
    tells: bool,
}

/// Plays a whole script.
pub fn play(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut script = Script::new(bytes);
        let mut run = Run::new(&mut script);
        run.connect(0);
        run.settle().await;
        for _ in 0..STEPS_MAX {
            let Some(choice) = script.step() else { break };
            run.say(|| format!("-- step {choice}"));
            run.step(choice, &mut script).await;
            run.settle().await;
        }
        run.end().await;
    });
}

impl Run {
    fn new(script: &mut Script<'_>) -> Self {
        let unit = |name: &str| {
            let size = u64::from(BLOCKS) * BLOCK as u64;
            let medium = RamBackend::new(size).expect("a small disk");
            let identity = UnitIdentity::from_key(name);
            Arc::new(LogicalUnit::new(Arc::new(medium), BLOCK as u32, identity).expect("a disk"))
        };
        let target = TargetConfig::new(TARGET)
            .expect("a name")
            .lun(0, unit("modelled"))
            .lun(1, unit("free"))
            .policy(policy(script.byte()));
        let handle = TargetServer::builder()
            .portal(ADDRESS)
            .target(target)
            .target(logins::chap_target())
            .detached()
            .expect("a target");
        Self {
            handle,
            clients: Vec::new(),
            nexuses: <[Nexus; 2]>::default(),
            tasks: BTreeMap::new(),
            strange: HashSet::new(),
            next_itt: 1,
            disk: Disk::new(),
            frameless: false,
            offers: offers(script),
            tells: std::env::var_os("TRACE").is_some(),
        }
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.tells {
            eprintln!("{}", what());
        }
    }

    fn open(&mut self, nexus: usize, cid: u16, stage: Stage) {
        if self.clients.len() >= CLIENTS_MAX {
            return;
        }
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let job = tokio::spawn(self.handle.serve(theirs, ADDRESS));
        self.clients.push(Client::new(nexus, cid, stage, ours, job));
    }

    /// Lets the target do all that it can do now, and hears what it says.
    async fn settle(&mut self) {
        let mut bytes = 0;
        for _ in 0..ROUNDS_MAX {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            let before = bytes;
            let mut wrote = false;
            for at in 0..self.clients.len() {
                bytes += self.clients[at].read();
                wrote |= self.hear(at);
            }
            assert!(bytes <= BYTES_MAX, "no end of answers");
            if bytes == before && !wrote {
                self.disk.pause();
                return;
            }
        }
        panic!("the target does not fall silent");
    }

    /// Takes in what has come on a connection; whether that was answered at once.
    fn hear(&mut self, at: usize) -> bool {
        let is_login = matches!(self.clients[at].stage, Stage::LoggingIn(_));
        let wrote = is_login && self.log_in(at);
        let client = &mut self.clients[at];
        match client.stage {
            Stage::LoggingIn(_) => {}
            Stage::Raw => self.judge_raw(at),
            Stage::Full => {
                let digests = client.digests();
                while let Some(pdu) = Pdu::take(&mut self.clients[at].inbox, digests) {
                    self.say(|| format!("< {at}: {:02x?} {} bytes", pdu.header, pdu.data.len()));
                    self.judge(at, &pdu);
                }
            }
        }
        wrote
    }

    /// Closes everything: connections end at once, sessions when their time is over.
    async fn end(mut self) {
        for client in &mut self.clients {
            client.close();
        }
        self.settle().await;
        for _ in 0..8 {
            tokio::time::advance(RETENTION / 8).await;
            self.settle().await;
        }
        for client in &mut self.clients {
            assert!(client.has_ended().await, "a connection outlives its socket");
        }
        self.say(|| format!("-- {:?}", self.handle.counters()));
        let left = self.handle.sessions();
        assert!(left.is_empty(), "left: {left:?}");
    }
}

fn policy(choice: u8) -> KeyPolicy {
    KeyPolicy {
        window: [4, 16, 64, 1024][usize::from(choice & 3)],
        max_recv_data_segment: 2048,
        max_burst: 4096,
        first_burst: 2048,
        max_outstanding_r2t: 1 + u16::from(choice >> 2 & 3),
        data_ack_every: (choice & 16 != 0).then_some(1024),
        skip_bad_headers: choice & 32 != 0,
        ping_after: (choice & 64 != 0).then_some(Duration::from_secs(7)),
        ..KeyPolicy::default()
    }
}

/// Offers that are possible.
fn offers(script: &mut Script<'_>) -> Offers {
    let (digests, data) = (script.byte(), script.byte());
    let digest = |wanted: bool| match wanted {
        true => vec![DigestChoice::Crc32c, DigestChoice::None],
        false => vec![DigestChoice::None],
    };
    let level = (digests >> 2 & 3).min(2);
    let in_order = data & 1 == 0;
    let only_one = level > 0 && in_order;
    Offers {
        header_digest: digest(digests & 1 != 0),
        data_digest: digest(digests & 2 != 0),
        error_recovery_level: level,
        protocol_level: 1 + (digests >> 4 & 1),
        max_connections: 4,
        initial_r2t: data & 2 == 0,
        immediate_data: data & 4 == 0,
        max_recv_data_segment: 512 << (data >> 3 & 3),
        max_burst: 4096,
        first_burst: 1024 << (data >> 5 & 1),
        max_outstanding_r2t: if only_one {
            1
        } else {
            1 + u16::from(data >> 6)
        },
        data_pdu_in_order: in_order,
        data_sequence_in_order: in_order,
        time2wait: u16::from(digests >> 5 & 1),
        time2retain: u16::from(digests >> 6) * 9,
        ..Offers::default()
    }
}
