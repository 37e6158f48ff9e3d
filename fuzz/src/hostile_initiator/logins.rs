//! Logins: those by the rules, with and without CHAP or for discovery, and those by none.

use hawser_proto::chap::ChapSecret;
use hawser_proto::login::{ChapConfig, LOGIN_RANDOM_BYTES, Login, LoginConfig, LoginOutcome};
use hawser_proto::names::Isid;
use hawser_proto::serial::Serial;
use hawser_target::{Credentials, TargetConfig};

use super::client::Stage;
use super::{Run, TARGET};
use crate::script::Script;
use crate::wire::{Damage, Digests, Pdu, request};

/// A target that demands CHAP.
const CHAP_TARGET: &str = "iqn.2026-01.fuzz:chap";
const INITIATOR: &str = "iqn.2026-01.fuzz:i";
const USER: &str = "user";
const SECRET: &str = "secretsecret1";

/// What a login may say, beside anything else.
const KEYS: [&[u8]; 40] = [
    b"InitiatorName=iqn.2026-01.fuzz:i",
    b"TargetName=iqn.2026-01.fuzz:target",
    b"TargetName=iqn.2026-01.fuzz:chap",
    b"TargetName=iqn.2026-01.fuzz:none",
    b"SessionType=Normal",
    b"SessionType=Discovery",
    b"InitiatorAlias=alias",
    b"AuthMethod=None",
    b"AuthMethod=CHAP",
    b"AuthMethod=CHAP,None",
    b"CHAP_A=7,6,5",
    b"CHAP_A=5",
    b"CHAP_N=user",
    b"CHAP_R=0x00112233445566778899aabbccddeeff",
    b"CHAP_I=1",
    b"CHAP_C=0x00112233445566778899aabbccddeeff",
    b"HeaderDigest=CRC32C,None",
    b"HeaderDigest=None",
    b"DataDigest=CRC32C",
    b"DataDigest=X-other,None",
    b"MaxConnections=4",
    b"MaxConnections=0",
    b"InitialR2T=No",
    b"InitialR2T=maybe",
    b"ImmediateData=Yes",
    b"MaxRecvDataSegmentLength=512",
    b"MaxRecvDataSegmentLength=16777216",
    b"MaxBurstLength=4096",
    b"FirstBurstLength=16777215",
    b"DefaultTime2Wait=0",
    b"DefaultTime2Retain=3601",
    b"MaxOutstandingR2T=65536",
    b"DataPDUInOrder=No",
    b"DataSequenceInOrder=No",
    b"ErrorRecoveryLevel=2",
    b"iSCSIProtocolLevel=2",
    b"TaskReporting=FastAbort,ResponseFence,RFC3720",
    b"X-org.example.key=1",
    b"IFMarker=Yes",
    b"SendTargets=All",
];

/// The target that demands CHAP.
pub(super) fn chap_target() -> TargetConfig {
    let secret = ChapSecret::from(SECRET);
    let mut chap = hawser_target::ChapConfig::one_way(USER, secret);
    chap.target = Some(Credentials {
        name: String::from("target"),
        secret: ChapSecret::from("targetsecret1"),
    });
    TargetConfig::new(CHAP_TARGET).expect("a name").chap(chap)
}

impl Run {
    /// Begins a leading login for a session.
    pub(super) fn connect(&mut self, nexus: usize) {
        let mut config = self.login_config(nexus, TARGET);
        config.cmd_sn = Serial([1, 0xffff_fffa][nexus]);
        self.begin_login(nexus, config);
    }

    /// The same with CHAP, and the right secret or another.
    pub(super) fn connect_with_chap(&mut self, nexus: usize, script: &mut Script<'_>) {
        let mut config = self.login_config(nexus, CHAP_TARGET);
        let secret = match script.byte() & 1 {
            0 => SECRET,
            _ => "anothersecret",
        };
        config.chap = Some(ChapConfig::one_way(USER, ChapSecret::from(secret)));
        self.begin_login(nexus, config);
    }

    /// Begins a discovery session.
    pub(super) fn discover(&mut self, nexus: usize) {
        let isid = Isid([0x80, 1, 2, 3, 1, nexus as u8]);
        let name = INITIATOR.parse().expect("a name");
        self.begin_login(nexus, LoginConfig::discovery(name, isid));
    }

    /// Begins the login of another connection, or of one in the place of another.
    pub(super) fn join(&mut self, nexus: usize, cid: u16, exp_stat_sn: u32) {
        let mut config = self.login_config(nexus, TARGET);
        let session = &self.nexuses[nexus];
        if session.tsih == 0 {
            return;
        }
        config.cid = cid;
        config.tsih = session.tsih;
        config.cmd_sn = Serial(session.cmd_sn);
        config.exp_stat_sn = exp_stat_sn;
        config.joined = Some(session.parameters.clone());
        self.begin_login(nexus, config);
    }

    fn login_config(&self, nexus: usize, target: &str) -> LoginConfig {
        let name = |name: &str| name.parse().expect("a name");
        let isid = Isid([0x80, 1, 2, 3, 0, nexus as u8]);
        let mut config = LoginConfig::normal(name(INITIATOR), name(target), isid);
        config.offers = self.offers.clone();
        config
    }

    fn begin_login(&mut self, nexus: usize, config: LoginConfig) {
        let cid = config.cid;
        let login = Login::new(config, &[7; LOGIN_RANDOM_BYTES]).expect("a possible login");
        self.open(nexus, cid, Stage::LoggingIn(Box::new(login)));
    }

    /// A login by no rules: what comes of it is only looked at.
    pub(super) fn log_in_badly(&mut self, nexus: usize, script: &mut Script<'_>) {
        let before = self.clients.len();
        self.open(nexus, 9, Stage::Raw);
        if self.clients.len() == before {
            return;
        }
        for _ in 0..1 + script.below(4) {
            let flags = script.byte();
            let mut pdu = Pdu::new(0x40 | request::LOGIN, flags, 1);
            pdu.header[8..14].copy_from_slice(&[0x80, 1, 2, 3, 0, script.byte() & 3]);
            pdu.header[15] = script.byte() & 7;
            pdu.header[21] = script.byte();
            for _ in 0..script.byte() & 15 {
                match KEYS.get(usize::from(script.byte() & 63)) {
                    Some(key) => pdu.data.extend_from_slice(key),
                    None => {
                        let length = usize::from(script.byte() & 31);
                        pdu.data.extend_from_slice(script.bytes(length));
                    }
                }
                pdu.data.push(0);
            }
            pdu.set_lengths();
            self.say(|| format!("> raw {}", String::from_utf8_lossy(&pdu.data)));
            let bytes = pdu.encode(Digests::default(), Damage::default());
            self.clients[before].write(&bytes);
        }
    }

    /// Goes on with a login; whether it had something to say.
    pub(super) fn log_in(&mut self, at: usize) -> bool {
        let client = &mut self.clients[at];
        let Stage::LoggingIn(login) = &mut client.stage else {
            return false;
        };
        let result = login.handle_input(&client.inbox);
        let mut request = Vec::new();
        login.poll_transmit(&mut request);
        match result {
            Ok((used, outcome)) => {
                client.inbox.drain(..used);
                client.write(&request);
                if let Some(LoginOutcome::FullFeature(login)) = outcome {
                    client.stage = Stage::Full;
                    client.parameters = login.parameters.clone();
                    client.stat_sn = login.exp_stat_sn;
                    client.acknowledged = client.stat_sn;
                    let nexus = &mut self.nexuses[client.nexus];
                    if nexus.tsih != login.tsih {
                        nexus.tsih = login.tsih;
                        nexus.cmd_sn = login.cmd_sn.0;
                        nexus.gaps.clear();
                        nexus.parameters = login.parameters;
                        nexus.next_cid = 1;
                    }
                }
            }
            Err(error) => {
                self.say(|| format!("login: {error}"));
                let client = &mut self.clients[at];
                client.close();
                client.stage = Stage::Raw;
                client.inbox.clear();
            }
        }
        !request.is_empty()
    }
}
